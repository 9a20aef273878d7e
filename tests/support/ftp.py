"""A small FTP server: it takes uploads (STOR) over passive connections, and nothing else."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import Self

_REPLIES = {
    "USER": "331 say a password",
    "PASS": "230 welcome",
    "TYPE": "200 as you like",
    "MODE": "200 as you like",
    "STRU": "200 as you like",
    "CWD": "250 there",
    "SYST": "215 UNIX Type: L8",
    "PWD": '257 "/"',
    "QUIT": "221 bye",
}


class FtpServer:
    """Serves on `port`; `uploads` is what came, by its name."""

    def __init__(self) -> None:
        self.uploads: dict[str, bytes] = {}
        uploads = self.uploads

        class Handler(_Handler):
            def setup(self) -> None:
                super().setup()
                self.uploads = uploads

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(socketserver.StreamRequestHandler):
    uploads: dict[str, bytes]

    def handle(self) -> None:
        self._say("220 ready")
        with socket.create_server(("127.0.0.1", 0)) as data:
            while line := self.rfile.readline().decode("latin-1").strip():
                verb, _, argument = line.partition(" ")
                self._command(verb.upper(), argument, data)

    def _command(self, verb: str, argument: str, data: socket.socket) -> None:
        port = int(data.getsockname()[1])
        if verb == "EPSV":
            self._say(f"229 come (|||{port}|)")
        elif verb == "PASV":
            self._say(f"227 come (127,0,0,1,{port >> 8},{port & 255})")
        elif verb == "STOR":
            self._store(argument.rpartition("/")[2], data)
        else:
            self._say(_REPLIES.get(verb, "502 no"))

    def _store(self, name: str, data: socket.socket) -> None:
        self._say("150 go on")
        connection, _ = data.accept()
        with connection, connection.makefile("rb") as stream:
            self.uploads[name] = stream.read()
        self._say("226 done")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode("ascii"))
