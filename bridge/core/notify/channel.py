"""POSTs with a deadline of their own, over plain sockets.

`urllib.request` has a time limit for each read only, so that a server could hold it for ever by
sending byte after byte; it reads proxies from the environment, and follows redirects.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from bridge.core.notify.answer import Answer, read_answer
from bridge.core.notify.target import Target, format_request
from bridge.core.siem.connection import tls_context

_SECONDS = 10.0
_CLOSING_SECONDS = 1.0
_HEAD_BYTES = 16 << 10
_BODY_BYTES = 8 << 10
_CHUNK = 4096

# as getaddrinfo gives it: family, kind, protocol, name, address
_Address = tuple[int, int, int, str, tuple[str | int | bytes, ...]]


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, shares: int = 1) -> float:
        """Seconds that are left, divided; TimeoutError where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left / shares


class Channel:
    """Requests to one receiver, one after another, each over a connection of its own."""

    def __init__(self, target: Target, agent: str, ca_file: Path | None) -> None:
        """`agent`: User-Agent; `ca_file`: whom to believe instead of the system's CAs."""
        self._target = target
        self._agent = agent
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self.aborted = False

    def post(self, body: bytes) -> Answer:
        """Send a JSON object; the answer is there within 10 s, once the host's name is resolved.

        OSError (`ssl.SSLError` among it) or ValueError where there is none; the text says why, and
        holds nothing of path or query.
        """
        deadline = _Deadline(_SECONDS)
        try:
            self._connect(deadline)
            # who refuses a body may answer, and close, before he has read it
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._send(format_request(self._target, self._agent, body), deadline)
            return self._receive(deadline)
        except BaseException:
            self._context = None  # the CA file may be another one by the next attempt
            raise
        finally:
            self._let_go()

    def abort(self) -> None:
        """Make what another thread does here fail, now and later."""
        with self._lock:
            self.aborted = True
            sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    # -- connecting --------------------------------------------------------------------------------

    def _connect(self, deadline: _Deadline) -> None:
        host, port = self._target.host, self._target.port
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for left in range(len(addresses), 0, -1):
            try:
                sock = self._connected_to(addresses[-left], deadline.left(left))
                break
            except OSError:
                self._let_go()
                if left == 1:
                    raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._target.scheme == "https":
            self._secure(sock, deadline)

    def _connected_to(self, found: _Address, seconds: float) -> socket.socket:
        family, kind, protocol, _, address = found
        sock = self._hold(socket.socket(family, kind, protocol))
        sock.settimeout(seconds)
        sock.connect(address)
        return sock

    def _secure(self, sock: socket.socket, deadline: _Deadline) -> None:
        if self._context is None:
            self._context = tls_context(self._ca_file)
        tls = self._context.wrap_socket(
            sock, server_hostname=self._target.host, do_handshake_on_connect=False
        )
        self._hold(tls)
        tls.settimeout(deadline.left())
        tls.do_handshake()  # its limit is for all of it

    def _hold(self, sock: socket.socket) -> socket.socket:
        """Make a socket the one that `abort` ends."""
        with self._lock:
            self._sock = sock
            if self.aborted:
                raise ConnectionAbortedError("katabridge stops")
        return sock

    def _let_go(self) -> None:
        with self._lock:
            sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    @property
    def _connected(self) -> socket.socket:
        if self._sock is None:
            raise ConnectionAbortedError("it is not connected")
        return self._sock

    # -- talking -----------------------------------------------------------------------------------

    def _send(self, data: bytes, deadline: _Deadline) -> None:
        sock, left = self._connected, memoryview(data)
        while left:
            sock.settimeout(deadline.left())
            left = left[sock.send(left) :]

    def _receive(self, deadline: _Deadline) -> Answer:
        sock, data = self._connected, b""
        while (answer := read_answer(data, datetime.now(UTC))) is None:
            if len(data) >= _HEAD_BYTES:
                raise OSError("the head of its answer is too long")
            sock.settimeout(deadline.left())
            received = sock.recv(_CHUNK)
            if not received:
                raise ConnectionResetError("it closed the connection without an answer")
            data += received
        self._read_on(sock, answer.left)
        return answer

    @staticmethod
    def _read_on(sock: socket.socket, left: int | None) -> None:
        """Read some of the body: a receiver that is cut off while it answers logs a fault."""
        closing, size = _Deadline(_CLOSING_SECONDS), 0
        with contextlib.suppress(OSError):
            while size < (_BODY_BYTES if left is None else min(left, _BODY_BYTES)):
                sock.settimeout(closing.left())
                received = sock.recv(_CHUNK)
                if not received:
                    return
                size += len(received)
