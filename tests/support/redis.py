"""A redis of a test's own: on a free port of 127.0.0.1, in memory only, ended by process id."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.certificates import put_certificate
from tests.support.processes import Program, free_port


class RedisServer:
    """A running redis-server; after `kill`, `start` brings up an empty one on the same port."""

    def __init__(
        self, program: str, folder: Path, password: str = "", is_tls: bool = False
    ) -> None:
        """`folder` takes its output, and its certificate (`certificate`) with TLS."""
        self.certificate = folder / "redis.pem"
        self._is_tls = is_tls
        self.port = free_port()
        self._password = password
        self._folder = folder
        self._program = program
        self._running: Program | None = None

    @property
    def url(self) -> str:
        """Where it is, with the password."""
        sign_in = f":{self._password}@" if self._password else ""
        scheme = "rediss" if self._is_tls else "redis"
        return f"{scheme}://{sign_in}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options: list[object] = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        options += self._tls_options() if self._is_tls else ["--port", self.port]
        if self._password:
            options += ["--requirepass", self._password]
        command = [self._program, "--dir", self._folder, *options]
        self._running = Program(command, self._folder / "redis.log")
        self._running.wait_for(self._answers, "redis-server")

    def _tls_options(self) -> list[object]:
        key = self._folder / "redis.key"
        put_certificate(self.certificate, key, "redis")
        files = ["--tls-cert-file", self.certificate, "--tls-key-file", key]
        return ["--port", 0, "--tls-port", self.port, "--tls-auth-clients", "no", *files]

    def _answers(self) -> bool:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", self.port)):
                return False
            if self._is_tls:
                return True
            sock.settimeout(5)
            sock.sendall(b"PING\r\n")
            return sock.recv(100).startswith((b"+PONG", b"-NOAUTH"))

    def kill(self) -> None:
        """End it as a crash does."""
        if self._running is not None:
            self._running.process.kill()
            self._running.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.kill()
