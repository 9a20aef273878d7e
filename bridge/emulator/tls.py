"""TLS that demands a client certificate and takes any, as KATA does.

The standard library cannot: it takes only certificates whose issuer it knows.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from OpenSSL import SSL

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_SECONDS = 60
_MAX_WRITE = 1 << 16


def server_context(certificate: Path, key: Path) -> SSL.Context:
    """TLS 1.2 or later with a mandatory client certificate from anybody."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.use_privatekey_file(str(key))
    context.use_certificate_file(str(certificate))
    demand = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(demand, lambda *_: True)  # who it is, is for the administrator to say
    context.set_session_id(b"kata-emulator")
    return context


class TlsStream(io.RawIOBase):
    """One accepted connection as a raw byte stream; OSError for whatever TLS dislikes."""

    def __init__(self, context: SSL.Context, sock: socket.socket) -> None:
        sock.settimeout(None)  # OpenSSL on a socket with a Python timeout would not block
        limit = struct.pack("ll", _SECONDS, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tls = SSL.Connection(context, sock)
        self._tls.set_accept_state()
        try:
            self._tls.do_handshake()
        except SSL.Error as error:
            raise ConnectionError(f"no TLS handshake: {error}") from None

    @property
    def peer(self) -> str:
        """The sha256 fingerprint of the client's certificate, lower hex."""
        certificate = self._tls.get_peer_certificate()
        digest = certificate.digest("sha256").decode("ascii") if certificate else ""
        return digest.replace(":", "").lower()

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def writable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """See io.RawIOBase; 0 at the end."""
        try:
            return self._tls.recv_into(memoryview(buffer))
        except SSL.ZeroReturnError:
            return 0
        except SSL.Error as error:
            raise ConnectionError(f"TLS: {error}") from None

    def write(self, data: ReadableBuffer) -> int:
        """See io.RawIOBase."""
        try:
            return self._tls.send(bytes(memoryview(data)[:_MAX_WRITE]))
        except SSL.Error as error:
            raise ConnectionError(f"TLS: {error}") from None

    def cut(self) -> None:
        """End the connection without a word."""
        with contextlib.suppress(OSError):  # the client broke it off first
            self._tls.sock_shutdown(socket.SHUT_RDWR)
