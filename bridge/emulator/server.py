"""The emulator's HTTPS server: a thread a connection, kept alive between calls."""

from __future__ import annotations

import contextlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from bridge.core import Address, make_certificate
from bridge.emulator.app import Application, Dropped
from bridge.emulator.memory import EmulatorError, Memory, read_sensors
from bridge.emulator.tls import TlsStream, server_context

ANY_PORT = Address("127.0.0.1", 0)
_MAX_BODY = 1 << 30


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    context: SSL.Context
    application: Application

    def setup(self) -> None:
        self._stream = TlsStream(self.context, self.request)
        self.server.streams.add(self._stream)
        self.rfile = io.BufferedReader(self._stream, 1 << 16)
        self.wfile = io.BufferedWriter(self._stream)

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            self.wfile.flush()
        self.server.streams.discard(self._stream)
        self._stream.cut()

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _MAX_BODY:
            self.send_error(400, "Content-Length is needed")
            return
        body = self.rfile.read(int(length))
        path, _, query = self.path.partition("?")
        with contextlib.closing(
            EnvironBuilder(
                path,
                query_string=query,
                method=self.command,
                headers=list(self.headers.items()),
                input_stream=io.BytesIO(body),
            )
        ) as builder:
            environ = builder.get_environ()
        with Request(environ) as request:
            try:
                response = self.application.answer(request, self._stream.peer)
            except Dropped:
                self.close_connection = True
                self._stream.cut()
                return
        data = response.get_data()
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the base looks for these names

    def log_message(self, format: str, *args: Any) -> None:
        del format, args


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.streams: set[TlsStream] = set()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address  # a client that broke off: it has its own log


class Emulator:
    """A running emulator: `with Emulator(memory) as kata: kata.url`."""

    def __init__(self, memory: Memory, listen: Address = ANY_PORT) -> None:
        """Make certificates where there are none, and listen.

        OSError where the port is taken, EmulatorError where the folder holds something odd.
        """
        self.memory = memory
        self.certificate, key = _certificates(memory.directory, listen.host)
        read_sensors(memory.directory)
        try:
            context = server_context(self.certificate, key)
        except SSL.Error:
            raise EmulatorError(
                f"{self.certificate} and {key} are no certificate and its key; remove both."
            ) from None
        members = {
            "context": context,
            "application": Application(memory),
        }
        self._server = _Server((listen.host, listen.port), type("Handler", (_Handler,), members))
        host, port = self._server.server_address[:2]
        self.address = Address(str(host), int(port))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="kata-emulator", daemon=True
        )

    @property
    def url(self) -> str:
        """The base address for `kata.urls`."""
        return f"https://{self.address}"

    def start(self) -> None:
        """Serve in a thread until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving: close the port and cut what is open."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        for stream in list(self._server.streams):
            stream.cut()

    def __enter__(self) -> Emulator:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _certificates(directory: Path, host: str) -> tuple[Path, Path]:
    certificate, key = directory / "server.pem", directory / "server.key"
    if certificate.exists() != key.exists():
        raise EmulatorError(f"{directory} holds only one of server.pem and server.key; remove it.")
    if not certificate.exists():
        directory.mkdir(parents=True, exist_ok=True)
        make_certificate(certificate, key, "kata-emulator", ["localhost", "127.0.0.1", host])
    return certificate, key
