"""The server's side of a connection: requests in, answers out (RFC 3507 4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from icapd.protocol.chunks import LAST_CHUNK, format_chunk
from icapd.protocol.encapsulated import (
    BodyKind,
    Encapsulated,
    check_request,
    parse_encapsulated,
)
from icapd.protocol.errors import LocalProtocolError, ProtocolError
from icapd.protocol.events import NEED_DATA, PREVIEW_END, BodyEnd, Data, Event
from icapd.protocol.grammar import (
    Limits,
    format_fields,
    parse_fields,
    parse_number,
    parse_request_line,
)
from icapd.protocol.reader import MessageReader

REASONS = {
    100: "Continue",
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "ICAP Service Not Found",
    405: "Method Not Allowed For Service",
    408: "Request Timeout",
    500: "Server Error",
    501: "Method Not Implemented",
    503: "Service Overloaded",
    505: "ICAP Version Not Supported",
}
CONTINUE = b"ICAP/1.0 100 Continue\r\n\r\n"


@dataclass(slots=True)
class Request:
    """An ICAP request's head with the HTTP heads it carries.

    `uri` is as sent; `path` is its path, without scheme, authority and query; `fields` maps
    lower-case names to values. `heads` holds the encapsulated HTTP heads as sent.
    """

    method: str
    uri: str
    fields: dict[str, str]
    encapsulated: Encapsulated
    preview: int | None = None
    heads: bytes = b""

    @property
    def path(self) -> str:
        """The service asked for; clients get scheme, host and port wrong, so only this counts."""
        rest = self.uri.partition("://")[2]
        path = rest.partition("/")[2] if rest else self.uri
        return path.partition("?")[0].strip("/")

    @property
    def request_head(self) -> bytes:
        """The encapsulated HTTP request head, empty where absent."""
        return self.heads[: self.encapsulated.request_head or 0]

    @property
    def response_head(self) -> bytes:
        """The encapsulated HTTP response head, empty where absent."""
        return self.heads[self.encapsulated.request_head or 0 :]

    @property
    def allows_204(self) -> bool:
        """Whether 204 is allowed outside a preview (RFC 3507 4.6)."""
        allow = self.fields.get("allow")
        return allow is not None and "204" in [item.strip() for item in allow.split(",")]

    @property
    def wants_close(self) -> bool:
        """Whether the client ends the connection after this request."""
        tokens = self.fields.get("connection", "").lower().split(",")
        return "close" in [token.strip() for token in tokens]


class Reading(Enum):
    """What the server may expect from the client."""

    HEAD = auto()  # the next request
    PREVIEW = auto()
    HELD = auto()  # the preview is in; the client waits for 100 or an answer
    BODY = auto()
    COMPLETE = auto()


class Sending(Enum):
    """How far the answer is."""

    IDLE = auto()
    BODY = auto()
    COMPLETE = auto()


# What each part of a request does to the reading state; a pair that is missing cannot happen.
_ON_BODY_END = {
    (Reading.PREVIEW, False): Reading.HELD,
    (Reading.PREVIEW, True): Reading.COMPLETE,
    (Reading.BODY, False): Reading.COMPLETE,
    (Reading.BODY, True): Reading.COMPLETE,  # `0; ieof` without a preview: Traffic Server
}


def _parse_head(block: bytes) -> Request:
    line, _, rest = block.partition(b"\r\n")
    start = parse_request_line(line)
    fields = parse_fields(rest)
    value = fields.get("encapsulated")
    if value is not None:
        encapsulated = parse_encapsulated(value)
        check_request(start.method, encapsulated)
    elif start.method in ("REQMOD", "RESPMOD"):
        raise ProtocolError(f"{start.method} without an Encapsulated header.")
    else:
        encapsulated = Encapsulated()
    if "transfer-encoding" in fields and fields["transfer-encoding"].lower() != "chunked":
        raise ProtocolError("An ICAP body is chunked, nothing else.")
    return Request(start.method, start.uri, fields, encapsulated, parse_number(fields, "preview"))


class ServerConnection:
    """One connection, seen from the server, without I/O.

    Feed bytes with `receive_data`, take events with `next_event`, and send the bytes that the
    `send_…` methods return. After an answer and the whole request: `next_request`.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._reader = MessageReader(_parse_head, limits or Limits())
        self._preview_left = 0
        self.reading = Reading.HEAD
        self.sending = Sending.IDLE

    # -- reading -------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Add bytes from the client."""
        self._reader.feed(data)

    @property
    def buffered(self) -> int:
        """Bytes received but not yet reported."""
        return self._reader.buffered

    @property
    def in_request(self) -> bool:
        """Whether a request has begun and is not yet answered."""
        return self.reading is not Reading.HEAD or self._reader.in_message

    def next_event(self) -> Request | Event:
        """The next thing the client said; `ProtocolError` ends the connection's use."""
        part = self._reader.next()
        if part is None:
            return NEED_DATA
        if isinstance(part, BodyEnd):
            return self._body_ends(part)
        if isinstance(part, Request):
            self._begin(part)
        elif isinstance(part, Data) and self.reading is Reading.PREVIEW:
            self._preview_left -= len(part.data)
            if self._preview_left < 0:
                raise ProtocolError("The preview is longer than its Preview header says.")
        return part

    def _body_ends(self, end: BodyEnd) -> Event:
        self.reading = _ON_BODY_END[self.reading, end.ieof]
        if self.reading is not Reading.HELD:
            return end
        if self.sending is not Sending.IDLE:  # answered before its end: the rest never comes
            self.reading = Reading.COMPLETE
        return PREVIEW_END

    def _begin(self, request: Request) -> None:
        if request.encapsulated.body is BodyKind.NULL:
            self.reading = Reading.COMPLETE
        elif request.preview is not None:
            self.reading = Reading.PREVIEW
            self._preview_left = request.preview
        else:
            self.reading = Reading.BODY

    # -- sending -------------------------------------------------------------------------------

    def send_continue(self) -> bytes:
        """`100 Continue`: legal once, after a preview that has more (RFC 3507 4.5)."""
        if self.reading is not Reading.HELD or self.sending is not Sending.IDLE:
            raise LocalProtocolError("100 Continue outside the end of a preview")
        self.reading = Reading.BODY
        self._reader.continue_body()
        return CONTINUE

    def send_head(
        self,
        status: int,
        fields: list[tuple[str, str]],
        encapsulated: Encapsulated,
        heads: bytes = b"",
    ) -> bytes:
        """A final answer's head; `Encapsulated` goes last, where ownCloud stops reading.

        An answer in place of `100 Continue` means that the client sends no more of this body.
        """
        if self.sending is not Sending.IDLE:
            raise LocalProtocolError("a second answer to one request")
        if len(heads) != encapsulated.heads_size:
            raise LocalProtocolError("Encapsulated does not match the heads")
        if self.reading is Reading.HELD:
            self.reading = Reading.COMPLETE
        self.sending = Sending.BODY if encapsulated.has_body else Sending.COMPLETE
        lines = [*fields, ("Encapsulated", str(encapsulated))]
        status_line = f"ICAP/1.0 {status} {REASONS[status]}\r\n".encode("ascii")
        return b"%b%b\r\n%b" % (status_line, format_fields(lines), heads)

    def send_data(self, data: bytes) -> bytes:
        """A piece of the answer's body."""
        if self.sending is not Sending.BODY:
            raise LocalProtocolError("body bytes outside a body")
        return format_chunk(data) if data else b""

    def send_end(self) -> bytes:
        """The end of the answer's body."""
        if self.sending is not Sending.BODY:
            raise LocalProtocolError("the end of a body that was not begun")
        self.sending = Sending.COMPLETE
        return LAST_CHUNK

    def next_request(self) -> None:
        """Go on to the next request of the connection; bytes read ahead belong to it."""
        if self.reading is not Reading.COMPLETE or self.sending is not Sending.COMPLETE:
            raise LocalProtocolError("the next request before the end of this one")
        self.reading, self.sending = Reading.HEAD, Sending.IDLE
        self._reader.next_message()
