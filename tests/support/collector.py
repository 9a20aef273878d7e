"""A syslog collector for tests: TCP or TLS, octet counting."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from pathlib import Path

_RESET = struct.pack("ii", 1, 0)


class Collector:
    """Listens from its making on, with TLS where it has a certificate and its key.

    `messages` is what came in, in order; `accepted` how many connections there were.
    """

    def __init__(self, port: int, *pair: Path, host: str = "127.0.0.1") -> None:
        self.messages: list[bytes] = []
        self.accepted = 0
        self._context = None
        if pair:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate, key = pair
            self._context.load_cert_chain(certificate, key)
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server((host, port))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def texts(self) -> list[str]:
        """What was sent, without the headers of RFC 5424."""
        return [text_of(message) for message in list(self.messages)]

    def hang_up(self) -> None:
        """End all connections properly, and go on listening."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """End as a killed program does: nobody listens, connections are reset."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        readers = []
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self.accepted += 1
                readers.append(
                    threading.Thread(target=self._serve, args=(connection,), daemon=True)
                )
                readers[-1].start()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                connection.shutdown(socket.SHUT_RD)
        for reader in readers:
            reader.join()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            try:
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
                    self._connections.append(connection)  # the first one has no descriptor now
                self._read(connection)
            finally:
                connection.close()

    def _read(self, connection: socket.socket) -> None:
        left = b""
        while data := connection.recv(65_536):
            left = self._split(left + data)

    def _split(self, data: bytes) -> bytes:
        while match := re.match(rb"([1-9][0-9]*) ", data):
            end = match.end() + int(match[1])
            if len(data) < end:
                break
            self.messages.append(data[match.end() : end])
            data = data[end:]
        assert re.match(rb"[0-9]*\Z|[1-9][0-9]* ", data), data[:50]
        return data


def text_of(message: bytes) -> str:
    """The text of a message of RFC 5424 without structured data."""
    match = re.fullmatch(rb"<\d{1,3}>1 \S+ \S+ \S+ \S+ \S+ - (.*)", message)
    assert match is not None, message
    return match[1].decode()
