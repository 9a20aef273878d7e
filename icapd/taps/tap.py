"""Writes down what is heard and said on one connection, as far as a capture wants it.

The bytes are read a second time here, beside the door: whatever goes wrong ends the capture, and
never the connection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Concatenate, ParamSpec

from bridge.core import Address, TcpFlow
from icapd.protocol import Limits, Request, Response
from icapd.protocol.messages import parse_request, parse_response
from icapd.taps.reading import Hearing, Kind, Piece
from icapd.taps.secrets import without_extensions, without_secrets
from icapd.taps.watch import Watch

_log = logging.getLogger(__name__)

ICAP_PORT = 1344
_OWN_LIMITS = Limits(head=1 << 20, fields=10_000, encapsulated_heads=1 << 24)
_CONTINUE = 100
_WITH_SECRETS = (Kind.HEAD, Kind.BROKEN, Kind.TRAILERS)

P = ParamSpec("P")


def _harmless(method: Callable[Concatenate[Tap, P], None]) -> Callable[Concatenate[Tap, P], None]:
    """A fault ends the capture, and nothing else."""

    @wraps(method)
    def guarded(self: Tap, /, *arguments: P.args, **named: P.kwargs) -> None:
        if self.watch.ended:
            return
        try:
            method(self, *arguments, **named)
        except Exception:
            _log.exception("a fault of katabridge itself ends the capture, and nothing else")
            self.watch.end("a fault of katabridge itself, which its log has", is_fault=True)

    return guarded


class Tap:
    """Of one connection, from a moment on at which nothing is under way."""

    def __init__(
        self, watch: Watch, limits: Limits, ends: Callable[[], tuple[Address, Address, bool]]
    ) -> None:
        """`ends`: the client's address and ours, and whether it is TLS, once it is connected."""
        self.watch = watch
        self._ends = ends
        self._places: tuple[Address, Address, bool] | None = None  # a closed one has none
        self._heard: Hearing[Request] = Hearing(parse_request, limits)
        self._said: Hearing[Response] = Hearing(parse_response, _OWN_LIMITS)
        self._flow: TcpFlow | None = None
        self._is_wanted = False
        self._is_under_way = False  # a request has begun, and its answer has not ended
        self._is_asked = False  # the request is whole, or its preview is
        self._is_answered = False
        self._left: list[int | None] = [0, 0]  # bytes that are kept of the bodies, None: all
        self._client_leaves = False
        self._is_gone = False
        self._held = 0  # bytes that are kept here until more of them come

    @_harmless
    def heard(self, data: bytes) -> None:
        """Bytes came."""
        if self._places is None:
            self._places = self._ends()
        self._heard.put(data)
        self._listen()
        self._hold(self._heard.waiting + self._said.waiting)

    @_harmless
    def said(self, data: bytes) -> None:
        """Bytes went out."""
        if not self._is_under_way:  # an answer to what is no request
            self._hear_broken()
        self._said.put(data)
        for piece in self._said.pieces():
            self._write(piece, by_client=False)
            if piece.head is not None and piece.head.status == _CONTINUE:
                self._is_asked = False
                self._said.next_message()
                self._heard.continue_body()
            else:
                self._is_answered |= piece.ends
        self._go_on()
        self._listen()
        self._hold(self._heard.waiting + self._said.waiting)

    def leaves(self) -> None:
        """The client says no more; it was the first to end the connection."""
        self._client_leaves = True

    @_harmless
    def gone(self, *, is_cut: bool) -> None:
        """The connection is no more, or is cut now. The first call counts."""
        if self._is_gone:
            return
        self._is_gone = True
        if not self._is_under_way:
            self._hear_broken()
        if self._flow is not None:
            end = self._flow.reset if is_cut else self._flow.close
            self.watch.emit(end(self.watch.now(), self._client_leaves))
        self._hold(0)

    def _hold(self, size: int) -> None:
        more, self._held = size - self._held, size
        self.watch.hold(more)

    def _listen(self) -> None:
        for piece in self._heard.pieces():
            self._hear(piece)
        self._go_on()

    def _hear(self, piece: Piece[Request]) -> None:
        if piece.head is not None:
            self._begin(self.watch.wants(piece.head, self._peer))
        elif piece.kind is Kind.BROKEN and not self._is_under_way:
            self._begin(self.watch.wants_broken(piece.data, self._peer))
        self._is_asked |= piece.ends
        self._write(piece, by_client=True)

    def _hear_broken(self) -> None:
        for piece in self._heard.rest():
            self._hear(piece)

    def _begin(self, is_wanted: bool) -> None:
        self._is_wanted, self._is_under_way = is_wanted, True
        self._is_asked = self._is_answered = False
        self._left = [self.watch.request.bodies] * 2
        self.watch.conversations += is_wanted

    def _go_on(self) -> None:
        """Expect the next request, once all of one and of its answer is here."""
        if self._is_under_way and self._is_asked and self._is_answered:
            self._is_under_way = self._is_asked = self._is_answered = False
            self._said.next_message()
            self._heard.next_message()
            self._listen()

    @property
    def _where(self) -> tuple[Address, Address, bool]:
        return self._places or self._ends()

    @property
    def _peer(self) -> str:
        return self._where[0].host

    def _write(self, piece: Piece[Request] | Piece[Response], *, by_client: bool) -> None:
        if not self._is_wanted or not piece.data:
            return
        watch, side, size = self.watch, 0 if by_client else 1, len(piece.data)
        now, data, keep, left = watch.now(), piece.data, None, self._left[side]
        comment = ""
        if piece.kind in _WITH_SECRETS:
            is_trailer = piece.kind is Kind.TRAILERS
            data = without_secrets(data, keep_query=watch.keep_query, is_trailer=is_trailer)
            comment = f"came in {piece.reads} pieces" if by_client and piece.reads > 1 else ""
        elif piece.kind is Kind.LAST_CHUNK:
            data = without_extensions(data)
        elif piece.kind is Kind.REST:
            keep = 0
        elif piece.kind is Kind.BODY and left is not None:
            keep = min(size, left)
            self._left[side] = left - keep
        watch.emit(self._opened(now))
        if self._flow is not None:
            watch.emit(self._flow.data(now, by_client, data, keep, comment))

    def _opened(self, now: int) -> Iterator[bytes]:
        """The handshake, before anything else."""
        if self._flow is not None:
            return
        client, server, is_tls = self._where
        comment = ""
        if is_tls:
            comment = f"came over TLS, to port {server.port}"
            server = Address(server.host, ICAP_PORT)
        self._flow = TcpFlow(client, server)
        yield from self._flow.open(now, comment)
