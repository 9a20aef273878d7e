"""Connections to a syslog collector. All of it blocks: network."""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bridge.core.siem.message import SyslogTarget, datagram, frame

_CONNECT_SECONDS = 10.0
_SEND_SECONDS = 20.0
_PROBE_SECONDS = 0.2
_PEER_DEAD_SECONDS = 15
_DRAIN = 65_536
_CHUNK = 65_536


class Connection(Protocol):
    """A collector that can be reached, as far as we know."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Return once they are delivered, as far as the protocol can tell; else OSError."""

    def check(self) -> None:
        """OSError where the collector is known to be gone. Does not wait."""

    def abort(self) -> None:
        """Make whatever another thread does with it fail."""

    def close(self) -> None:
        """Let go of it."""


def connect(target: SyslogTarget, ca_file: Path | None) -> Connection:
    """Connect; OSError (`ssl.SSLError` among them) where that fails.

    The certificate of a TLS collector must name `target.host` and come from a CA in `ca_file`, or
    of the system where that is None.
    """
    if target.scheme == "udp":
        return _Datagrams(target)
    sock = socket.create_connection((target.host, target.port), _CONNECT_SECONDS)
    try:
        _notice_dead_peers(sock)
        if target.scheme == "tls":
            sock = tls_context(ca_file).wrap_socket(sock, server_hostname=target.host)
    except BaseException:
        sock.close()
        raise
    return _Stream(sock)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later, by a CA in `ca_file` or of the system; OSError says what the file lacks."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise OSError(f"the CA file {ca_file} holds no certificate in PEM") from None
    except OSError as error:
        raise OSError(f"the CA file {ca_file} cannot be read: {error.strerror}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _notice_dead_peers(sock: socket.socket) -> None:
    """End the connection after 15 seconds in which the peer's TCP does not answer."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _PEER_DEAD_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _PEER_DEAD_SECONDS * 1000)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Stream:
    """TCP or TLS. What the collector's TCP has acknowledged counts as delivered."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def send(self, messages: Sequence[bytes]) -> None:
        self.check()  # the first write after the peer's end would seem to work
        self._sock.settimeout(_SEND_SECONDS)
        left = memoryview(b"".join(map(frame, messages)))
        while left:  # not sendall, which has one time limit for everything
            left = left[self._sock.send(left[:_CHUNK]) :]
        self._await_acknowledgement()

    def check(self) -> None:
        if self._poll.poll(0):
            self._drain()

    def _drain(self) -> None:
        """Read what no collector should send; the end of the stream is an OSError."""
        self._sock.settimeout(0)
        with contextlib.suppress(ssl.SSLWantReadError, BlockingIOError):
            if not self._sock.recv(_DRAIN):
                raise ConnectionResetError("the collector has closed the connection")

    def _await_acknowledgement(self) -> None:
        end = time.monotonic() + _SEND_SECONDS
        pause, before = 1, self._unacknowledged()
        while before:
            if self._poll.poll(pause):
                self._drain()
            pause = min(pause * 2, 50)
            left = self._unacknowledged()
            if left < before:
                end = time.monotonic() + _SEND_SECONDS
            elif time.monotonic() > end:
                raise TimeoutError("the collector takes nothing")
            before = left
        self.check()  # a reset empties the send queue as well

    def _unacknowledged(self) -> int:
        size: int = struct.unpack("i", fcntl.ioctl(self._sock, termios.TIOCOUTQ, bytes(4)))[0]
        return size

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._sock.close()


class _Datagrams:
    """UDP promises nothing; a port where nobody listens is noticed, if an ICMP message says so."""

    def __init__(self, target: SyslogTarget) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(
            target.host, target.port, type=socket.SOCK_DGRAM
        )[0]
        self._sock = socket.socket(family, kind, protocol)
        self._proven = False
        try:
            self._sock.connect(address)
        except BaseException:
            self._sock.close()
            raise

    def send(self, messages: Sequence[bytes]) -> None:
        if not self._proven:
            # one line first: else a whole batch would go to a port where nobody listens
            self._sock.send(datagram(messages[0]))
            self._listen(_PROBE_SECONDS)
            self._proven = True
            messages = messages[1:]
        self._sock.settimeout(_SEND_SECONDS)
        for message in messages:
            self._sock.send(datagram(message))
        self.check()

    def check(self) -> None:
        self._listen(0)

    def _listen(self, seconds: float) -> None:
        """Raise the error that an ICMP message brought."""
        self._sock.settimeout(seconds)
        with contextlib.suppress(TimeoutError, BlockingIOError):
            self._sock.recv(_DRAIN)

    def abort(self) -> None:
        """Nothing waits for long."""

    def close(self) -> None:
        self._sock.close()
