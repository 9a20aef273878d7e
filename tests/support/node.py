"""A Central Node that answers whatever a test wants, over TLS or without it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Self

_SECONDS = 10.0


class OddNode:
    """Serves one answer to each request; None: it takes connections and says nothing.

    `url` is for `kata.urls`.
    """

    def __init__(self, answer: bytes | None, certificate: Path | None, key: Path | None) -> None:
        """Without `certificate` there is no TLS."""
        self._answer = answer
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        if self._answer is None:
            return
        with contextlib.suppress(OSError):
            sock.settimeout(_SECONDS)
            stream = sock
            if self._context is not None:
                stream = self._context.wrap_socket(sock, server_side=True)
                self._open.append(stream)
            while stream.recv(65536):
                stream.sendall(self._answer)


def http(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    """An answer of HTTP/1.1."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body
