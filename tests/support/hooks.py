"""A webhook's receiver for tests, on 127.0.0.1, which answers as it is told."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.processes import free_port

Talk = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Talk:
    """An answer without a body; `retry_after="3"` is the header Retry-After."""

    def talk(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return talk


class Receiver:
    """Listens from its making on until `close`.

    `requests` is what came in; its first answers are those of `script`, then `otherwise`.
    """

    def __init__(self, port: int | None = None, pair: tuple[Path, Path] | None = None) -> None:
        self.port = port or free_port()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.script: list[Talk] = []
        self.otherwise = status(204)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                receiver._answer(self)

            def do_POST(self) -> None:
                receiver._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.requests.append((f"{request.command} {request.path}", dict(request.headers), body))
        talk = self.script.pop(0) if self.script else self.otherwise
        talk(request)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The bodies that came, also those that were refused."""
        return [json.loads(body) for _, _, body in list(self.requests)]

    def close(self) -> None:
        """Nobody listens any longer."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
