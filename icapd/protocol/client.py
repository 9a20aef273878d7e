"""The client's side of a connection: requests out, answers in (RFC 3507 4)."""

from __future__ import annotations

from dataclasses import dataclass

from icapd.protocol.chunks import LAST_CHUNK, LAST_CHUNK_IEOF, format_chunk
from icapd.protocol.encapsulated import Encapsulated, parse_encapsulated
from icapd.protocol.errors import ProtocolError
from icapd.protocol.events import NEED_DATA, Event
from icapd.protocol.grammar import Limits, format_fields, parse_fields, parse_status_line
from icapd.protocol.reader import MessageReader


@dataclass(slots=True)
class Response:
    """An ICAP answer's head with the HTTP heads it carries; 100 Continue is one, too."""

    status: int
    reason: str
    fields: dict[str, str]
    encapsulated: Encapsulated
    heads: bytes = b""

    @property
    def http_head(self) -> bytes:
        """The encapsulated HTTP head: a response's where there is one, else a request's."""
        if self.encapsulated.response_head is not None:
            return self.heads[self.encapsulated.request_head or 0 :]
        return self.heads


def _parse_head(block: bytes) -> Response:
    line, _, rest = block.partition(b"\r\n")
    status, reason = parse_status_line(line)
    fields = parse_fields(rest)
    value = fields.get("encapsulated")
    if value is None and status not in (100, 204) and status < 400:
        raise ProtocolError(f"An answer {status} without an Encapsulated header.")
    encapsulated = parse_encapsulated(value) if value is not None else Encapsulated()
    return Response(status, reason, fields, encapsulated)


class ClientConnection:
    """One connection, seen from the client, without I/O."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._reader = MessageReader(_parse_head, limits or Limits())
        self._final = False

    def send_request(
        self,
        method: str,
        uri: str,
        fields: list[tuple[str, str]],
        encapsulated: Encapsulated | None = None,
        heads: bytes = b"",
    ) -> bytes:
        """A request's head; OPTIONS may go without `encapsulated`."""
        lines = list(fields)
        if encapsulated is not None:
            lines.append(("Encapsulated", str(encapsulated)))
        start = f"{method} {uri} ICAP/1.0\r\n".encode("ascii")
        return b"%b%b\r\n%b" % (start, format_fields(lines), heads)

    def send_data(self, data: bytes) -> bytes:
        """A piece of the request's body."""
        return format_chunk(data) if data else b""

    def send_end(self, *, ieof: bool = False) -> bytes:
        """The end of the preview or body; `ieof`: the preview was all there is."""
        return LAST_CHUNK_IEOF if ieof else LAST_CHUNK

    def receive_data(self, data: bytes) -> None:
        """Add bytes from the server."""
        self._reader.feed(data)

    def next_event(self) -> Response | Event:
        """The next thing the server said."""
        part = self._reader.next()
        if part is None:
            return NEED_DATA
        if isinstance(part, Response):
            self._final = part.status != 100
            if not self._final:
                self._reader.next_message()
        return part

    def next_response(self) -> None:
        """Go on to the answer to the next request."""
        self._reader.next_message()
