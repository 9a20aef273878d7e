"""An HTTP origin behind the proxy: bytes of any size, fast or slow, and what was uploaded."""

from __future__ import annotations

import contextlib
import random
import socketserver
import threading
import time
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PIECE = 16 * 1024
_SLOW_PIECES = 8


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that are the same for the same size and seed, and for no other."""
    return random.Random(f"{size}-{seed}").randbytes(size)


class Origin:
    """Serves `/plain/SIZE/SEED`, `/chunked/…`, `/slow/…`, `/slow-chunked/…` and `served` paths.

    `/stuck/…` sends half of its body, and then nothing until the client goes away. `/endless/…`
    sends that body again and again until then.

    A path of `makers` serves what its function makes, anew at each request. `fields` and `statuses`
    are more of the answer's head by path. `asked`: path and fields of each GET, in order.
    """

    def __init__(self) -> None:
        self.uploads: list[bytes] = []
        self.makers: dict[str, Callable[[], bytes]] = {}
        self.fields: dict[str, dict[str, str]] = {}
        self.statuses: dict[str, int] = {}
        self.asked: list[tuple[str, Message]] = []
        self.served: dict[str, bytes] = {}
        self.chunked: set[str] = set()
        origin = self

        class Handler(_Handler):
            def __init__(self, *args: Any) -> None:
                self.origin = origin
                super().__init__(*args)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.port = int(self._server.server_address[1])

    def url(self, path: str) -> str:
        """The absolute address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Origin:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    origin: Origin

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.origin.asked.append((path, self.headers))
        if path in self.origin.makers:
            self._answer(self.origin.makers[path](), "plain")
            return
        if path in self.origin.served:
            kind = "chunked" if path in self.origin.chunked else "plain"
            self._answer(self.origin.served[path], kind)
            return
        kind, size, seed = [*path.strip("/").split("/"), "0"][:3]
        self._answer(content(int(size), int(seed)), kind)

    def _answer(self, body: bytes, kind: str) -> None:
        path = self.path.partition("?")[0]
        self.send_response(self.origin.statuses.get(path, 200))
        for name, value in self.origin.fields.get(path, {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/octet-stream")
        chunked = kind.endswith("chunked") or kind == "endless"
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == "stuck":
            self.wfile.write(body[: len(body) // 2])
            self.rfile.read(1)
            self.close_connection = True
            return
        if kind == "endless":
            self._send_for_ever(body)
            return
        self._send(body, chunked=chunked, slow=kind.startswith("slow"))

    def _send_for_ever(self, body: bytes) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):  # until its client leaves
            while True:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(body), body))

    def _send(self, body: bytes, *, chunked: bool, slow: bool) -> None:
        piece = max(len(body) // _SLOW_PIECES, 1) if slow else _PIECE
        for start in range(0, len(body), piece if slow or chunked else max(len(body), 1)):
            data = body[start : start + piece] if slow or chunked else body
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            if slow:
                time.sleep(0.15)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self.origin.uploads.append(self.rfile.read(length))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PUT = do_POST

    def log_message(self, format: str, *args: object) -> None:
        del format, args


class UpgradingOrigin:
    """Answers each request with 101 Switching Protocols, and then everything with itself."""

    def __init__(self) -> None:
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Upgrade)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> UpgradingOrigin:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Upgrade(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket"
        self.wfile.write(head + b"\r\n\r\n")
        while data := self.request.recv(4096):
            self.wfile.write(data)
