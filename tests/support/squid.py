"""A real Squid in front of icapd, with its `icap_log` as the oracle."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.processes import Program, accepts, free_port

PROGRAM = "/usr/sbin/squid"

_CONFIG = """\
http_port 127.0.0.1:{port}
pid_filename {directory}/squid.pid
cache_log {directory}/cache.log
access_log stdio:{directory}/access.log
logformat icap %icap::to/%03icap::Hs %icap::rm %icap::ru %ru
icap_log stdio:{directory}/icap.log icap
coredump_dir {directory}
cache deny all
http_access allow localhost
shutdown_lifetime 0 seconds
via off
icap_enable on
icap_send_client_ip on
icap_send_client_username on
icap_preview_enable on
icap_preview_size 4096
icap_service req reqmod_precache icap://127.0.0.1:{icap}/av/reqmod bypass=off
icap_service resp respmod_precache icap://127.0.0.1:{icap}/av/respmod bypass=off
adaptation_access req allow all
adaptation_access resp allow all
{extra}
"""


class Squid:
    """Starts Squid; `get` and `send` go through it with curl."""

    def __init__(self, icap_port: int, extra: str = "") -> None:
        self.port = free_port()
        # not pytest's folder: Squid gives up root and must still get in
        self.directory = Path(tempfile.mkdtemp(prefix="katabridge-squid-"))
        config = self.directory / "squid.conf"
        config.write_text(
            _CONFIG.format(port=self.port, directory=self.directory, icap=icap_port, extra=extra)
        )
        if os.geteuid() == 0:
            shutil.chown(self.directory, "proxy", "proxy")
        command = [PROGRAM, "-N", "-n", f"kb{self.port}", "-f", config]
        self.program = Program(command, self.directory.with_suffix(".out"))
        self.program.wait_for(lambda: accepts(self.port), "squid")

    def icap_log(self) -> list[str]:
        """The lines of Squid's icap_log."""
        path = self.directory / "icap.log"
        return path.read_text().splitlines() if path.exists() else []

    def curl(self, url: str, *options: str, seconds: int = 30) -> Fetched:
        """What a user's client gets through the proxy."""
        body = Path(tempfile.mkstemp(prefix="katabridge-curl-")[1])
        try:
            done = subprocess.run(
                [
                    "curl", "-sS", "--proxy", f"http://127.0.0.1:{self.port}", "--noproxy", "",
                    "--max-time", str(seconds), "-o", body,
                    "-w", "%{http_code}", *options, url,
                ],
                capture_output=True,
                text=True,
                check=False,
            )  # fmt: skip
            return Fetched(done.returncode, int(done.stdout or 0), body.read_bytes())
        finally:
            body.unlink()

    def stop(self) -> None:
        """End Squid and remove what it left."""
        try:
            self.program.stop()
        finally:
            shutil.rmtree(self.directory)
            self.program.log.unlink()


class Fetched:
    """One answer as curl saw it: its own exit code, the HTTP status, the body."""

    def __init__(self, exit_code: int, status: int, body: bytes) -> None:
        self.exit_code = exit_code
        self.status = status
        self.body = body

    def __repr__(self) -> str:
        return f"curl exit {self.exit_code}, HTTP {self.status}, {len(self.body)} bytes"
