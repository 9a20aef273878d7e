"""A small blocking ICAP client, for demonstration, self-tests and tests."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Self

from icapd.protocol import (
    BodyEnd,
    BodyKind,
    ClientConnection,
    Data,
    Encapsulated,
    HttpHead,
    NeedData,
    Response,
)

_RECEIVE = 1 << 16
_SEND_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered: ICAP status and fields, the HTTP head, and the body.

    After 206 the body is whole: what came, and our own copy of the rest from `own_from` on.
    """

    status: int
    fields: dict[str, str]
    http_head: HttpHead
    body: bytes
    continued: bool
    own_from: int | None = None


class UnansweredError(ConnectionError):
    """The server closed the connection without a word."""


class IcapClient:
    """One connection to an ICAP server; OSError or ProtocolError where it fails."""

    def __init__(self, host: str, port: int, timeout: float = 60.0) -> None:
        """Connect; `timeout` in seconds for each wait."""
        self._where = f"{host}:{port}"
        self._socket = socket.create_connection((host, port), timeout)
        # a head and its body are two sends: without this the second waits for an ACK, 40 ms
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._icap = ClientConnection()
        self._has_heard = False

    def options(self, service: str) -> Answer:
        """Ask what a service can do."""
        self._send(self._icap.send_request("OPTIONS", self._uri(service), self._fields()))
        return self._answer(b"")

    def respmod(  # noqa: PLR0913 - each is a choice of the protocol
        self,
        service: str,
        http_request: bytes,
        http_response: bytes,
        body: bytes,
        *,
        preview: int | None = None,
        allow_204: bool = True,
        allow_206: bool = False,
        fields: dict[str, str] | None = None,
    ) -> Answer:
        """Have a response judged. `preview`: how many bytes go ahead, None: all at once."""
        what = Encapsulated(len(http_request), len(http_response), BodyKind.RESPONSE)
        lines = self._fields(preview, (allow_204, allow_206), fields)
        heads = http_request + http_response
        uri = self._uri(service)
        self._send(self._icap.send_request("RESPMOD", uri, lines, what, heads))
        return self._send_body(body, preview)

    def reqmod(  # noqa: PLR0913 - each is a choice of the protocol
        self,
        service: str,
        http_request: bytes,
        body: bytes | None,
        *,
        preview: int | None = None,
        allow_204: bool = True,
        allow_206: bool = False,
        fields: dict[str, str] | None = None,
    ) -> Answer:
        """Have a request judged; `body` None: it has none."""
        kind = BodyKind.NULL if body is None else BodyKind.REQUEST
        what = Encapsulated(len(http_request), None, kind)
        lines = self._fields(preview, (allow_204, allow_206), fields)
        self._send(self._icap.send_request("REQMOD", self._uri(service), lines, what, http_request))
        return self._answer(b"") if body is None else self._send_body(body, preview)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _uri(self, service: str) -> str:
        return f"icap://{self._where}/{service}"

    def _fields(
        self,
        preview: int | None = None,
        allow: tuple[bool, bool] = (False, False),
        more: dict[str, str] | None = None,
    ) -> list[tuple[str, str]]:
        fields = [("Host", self._where)]
        offers = [name for name, offered in zip(("204", "206"), allow, strict=True) if offered]
        if offers:
            fields.append(("Allow", ", ".join(offers)))
        if preview is not None:
            fields.append(("Preview", str(preview)))
        return fields + list((more or {}).items())

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _send_body(self, body: bytes, preview: int | None) -> Answer:
        if preview is None:
            self._send_rest(body)
            return self._answer(b"", body)
        first, rest = body[:preview], body[preview:]
        self._send(self._icap.send_data(first) + self._icap.send_end(ieof=not rest))
        return self._answer(rest, body)

    def _send_rest(self, body: bytes) -> None:
        for start in range(0, len(body), _SEND_PIECE):
            self._send(self._icap.send_data(body[start : start + _SEND_PIECE]))
        self._send(self._icap.send_end())

    def _answer(self, rest: bytes, own: bytes = b"") -> Answer:
        """The final answer; `rest` is sent when the server says 100, `own` is our copy."""
        head, body, continued = None, bytearray(), False
        while True:
            event = self._icap.next_event()
            if isinstance(event, NeedData):
                self._receive()
            elif isinstance(event, Data):
                body += event.data
            elif isinstance(event, Response) and event.status == 100:
                continued = True
                self._send_rest(rest)
            elif isinstance(event, Response):
                head = event
            if head is not None and (isinstance(event, BodyEnd) or not head.encapsulated.has_body):
                self._icap.next_response()
                http_head = HttpHead(head.http_head)
                own_from = event.use_original_body if isinstance(event, BodyEnd) else None
                if own_from is not None:
                    body += own[own_from:]
                return Answer(head.status, head.fields, http_head, bytes(body), continued, own_from)

    def _receive(self) -> None:
        data = self._socket.recv(_RECEIVE)
        if not data and not self._has_heard:
            raise UnansweredError(f"{self._where} closed the connection without an answer")
        if not data:
            raise ConnectionError(f"{self._where} closed the connection before its answer ended")
        self._has_heard = True
        self._icap.receive_data(data)
