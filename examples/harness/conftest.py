"""A Squid and a web server around the fixtures of katabridge; copy what you need."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bridge.testing import IcapdServer, Program, accepts, free_port

# The configuration that is tested: as it stands, but for the address of icapd.
CONFIGURATION = Path(__file__).parents[1] / "squid" / "icap.conf"
ADDRESS = "icap://127.0.0.1:1344/"
SURROUNDINGS = """
http_port 127.0.0.1:{port}
acl users src 127.0.0.0/8
http_access allow users
cache deny all
pid_filename none
cache_log {folder}/cache.log
access_log none
coredump_dir {folder}
shutdown_lifetime 0 seconds
include {folder}/icap.conf
"""


class Origin:
    """A web server: `files` is what it serves by path, `uploads` what it was sent."""

    def __init__(self) -> None:
        """Serve."""
        self.files: dict[str, bytes] = {}
        self.uploads: list[bytes] = []
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(200, origin.files[self.path])

            def do_PUT(self) -> None:
                origin.uploads.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(201, b"")

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Squid:
    """A running Squid with the configuration that is tested."""

    def __init__(self, program: str, icapd: IcapdServer, folder: Path) -> None:
        """Start it; its files lie in `folder`."""
        self.port = free_port()
        tested = CONFIGURATION.read_text()
        assert ADDRESS in tested
        (folder / "icap.conf").write_text(tested.replace(ADDRESS, icapd.url("")))
        config = folder / "squid.conf"
        config.write_text(SURROUNDINGS.format(port=self.port, folder=folder))
        if os.geteuid() == 0:
            shutil.chown(folder, "proxy", "proxy")
        command = [program, "-N", "-n", f"harness{self.port}", "-f", config]
        self._program = Program(command, folder / "squid.out")
        self._program.wait_for(lambda: accepts(self.port), "squid")

    def curl(self, url: str, *options: object) -> tuple[int, bytes]:
        """HTTP status and body that a user gets."""
        proxy = ["--proxy", f"http://127.0.0.1:{self.port}", "--noproxy", "", "--max-time", "60"]
        command = ["curl", "-sS", "-o", "-", "-w", "%{stderr}%{http_code}", *proxy]
        done = subprocess.run(
            [*command, *map(str, options), url], capture_output=True, check=True, timeout=90
        )
        return int(done.stderr), done.stdout

    def close(self) -> None:
        """End it."""
        self._program.stop()


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A web server."""
    running = Origin()
    yield running
    running.close()


@pytest.fixture
def squid(icapd_server: IcapdServer) -> Iterator[Squid]:
    """A Squid that asks `icapd_server`."""
    _need("curl")
    # not pytest's folder: as root, Squid becomes another user, who must get in
    with tempfile.TemporaryDirectory(prefix="katabridge-squid-") as folder:
        running = Squid(_need("squid"), icapd_server, Path(folder))
        yield running
        running.close()


def _need(program: str) -> str:
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is not None:
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{program} is not installed; a skip is a failure where CI=true", pytrace=False)
    pytest.skip(f"{program} is not installed")
