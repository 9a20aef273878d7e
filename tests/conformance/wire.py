"""A client's socket that sends as a case is delivered, and reads answers one after another."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from types import TracebackType

from icapd.protocol import BodyEnd, ClientConnection, NeedData, ProtocolError, Response
from tests.conformance.strict import Answer, Wrong, read_answer

_SINGLE_BYTES = 1024  # of a longer step this much is sent byte by byte at its front,
_LAST_BYTES = 256  # this much at its end,
_PIECE = 1009  # and what is between in pieces of this size
_LEFTOVER_SECONDS = 0.3
_ENCAPSULATED = b"\r\nencapsulated:"

CLOSED = "closed without an answer"
CUT_OFF = "the answer is cut off by a close"


class Silent(Exception):
    """The server closed the connection without an answer, or in the middle of one."""


def pieces(data: bytes) -> list[bytes]:
    """`data` byte by byte; the inside of a long one in larger pieces, to end in time."""
    if len(data) <= _SINGLE_BYTES + _LAST_BYTES:
        return [data[i : i + 1] for i in range(len(data))]
    inner = data[_SINGLE_BYTES:-_LAST_BYTES]
    middle = [inner[i : i + _PIECE] for i in range(0, len(inner), _PIECE)]
    return [*pieces(data[:_SINGLE_BYTES]), *middle, *pieces(data[-_LAST_BYTES:])]


class Wire:
    """One connection. A reset counts as a close."""

    def __init__(self, address: tuple[str, int], timeout: float) -> None:
        self._timeout = timeout
        self._socket = socket.create_connection(address, timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._protocol = ClientConnection(reads_only=True)
        self._unread = b""  # what no answer that was read accounts for
        self._fed = 0  # how much of it the protocol knows
        self._eof = False

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, data: bytes, *, split: bool = False) -> None:
        """Send all of it, or as much as the server takes before it closes."""
        end = time.monotonic() + self._timeout
        for piece in pieces(data) if split else [data]:
            if not self._send_piece(piece, end):
                return

    def _send_piece(self, piece: bytes, end: float) -> bool:
        view = memoryview(piece)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                readable, writable, _ = select.select(
                    [] if self._eof else [self._socket], [self._socket], [], 0.05
                )
                if readable:
                    self._receive()
                if not writable and time.monotonic() > end:
                    return False
            except OSError:
                return False
        return True

    def stop_sending(self) -> None:
        """Close the sending side."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    @property
    def has_continue(self) -> bool:
        """Whether 100 Continue is here already."""
        if not self._unread and not self._eof and select.select([self._socket], [], [], 0)[0]:
            self._receive()
        return self._unread.startswith(b"ICAP/1.0 100")

    def read_answer(self) -> Answer:
        """The next answer, 100 among them.

        Wrong where it breaks a rule, or none comes in time; Silent where the connection ends.
        """
        end = time.monotonic() + self._timeout
        while True:
            self._protocol.receive_data(self._unread[self._fed :])
            self._fed = len(self._unread)
            if self._is_complete():
                return self._take()
            if self._eof:
                if not self._unread:
                    raise Silent(CLOSED)
                raise Silent(CUT_OFF)
            if not self._wait(end):
                what = "the answer does not end" if self._unread else "no answer"
                raise Wrong(f"{what} within {self._timeout:g} s")

    def _is_complete(self) -> bool:
        head, end, _ = self._unread.partition(b"\r\n\r\n")
        if end and head.startswith(b"ICAP/1.0 200 ") and _ENCAPSULATED not in head.lower():
            return True  # legal where nothing is encapsulated, which the judge looks at
        try:
            while not isinstance(event := self._protocol.next_event(), NeedData):
                if isinstance(event, BodyEnd):
                    return True
                if isinstance(event, Response) and not event.encapsulated.has_body:
                    return True
        except ProtocolError as error:
            raise Wrong(error.sentence) from None
        return False

    def _take(self) -> Answer:
        answer = read_answer(self._unread)
        self._unread = self._unread[answer.size :]
        self._protocol = ClientConnection(reads_only=True)
        self._fed = 0
        return answer

    def closed_in_time(self) -> str | None:
        """What is wrong with the end of the connection, which is due now."""
        end = time.monotonic() + self._timeout
        while not self._eof:
            if not self._wait(end):
                return f"the connection does not end within {self._timeout:g} s"
        return self._more()

    def nothing_more(self) -> str | None:
        """What came behind the last answer, where the client ends the connection."""
        self.stop_sending()
        end = time.monotonic() + _LEFTOVER_SECONDS
        while not self._eof and self._wait(end):
            pass
        return self._more()

    def _more(self) -> str | None:
        return f"more behind the last answer: {self._unread[:60]!r}" if self._unread else None

    def _wait(self, end: float) -> bool:
        left = max(0.0, end - time.monotonic())
        if not select.select([self._socket], [], [], left)[0]:
            return False
        self._receive()
        return True

    def _receive(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._eof = not data
        self._unread += data
