"""A real Squid in front of icapd, with the ICAP settings that examples/squid gives, and others."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.processes import Program, accepts, free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "squid" / "icap.conf"
_CONFIG = """\
http_port 127.0.0.1:{port}
http_access allow localhost
{cache}
pid_filename {directory}/squid.pid
cache_log {directory}/cache.log
access_log stdio:{directory}/access.log
logformat icap %icap::to/%03icap::Hs %icap::rm %ru preview=%{{Preview}}icap::>h
icap_log stdio:{directory}/icap.log icap
coredump_dir {directory}
shutdown_lifetime 0 seconds
{icap}
{settings}
"""
_NO_CACHE = "cache deny all"
_CACHE = "cache allow all\ncache_mem 32 MB\nmaximum_object_size_in_memory 8 MB"


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer as curl saw it: its own exit code, the HTTP status, the body."""

    exit_code: int
    status: int
    body: bytes

    def __repr__(self) -> str:
        return f"curl exit {self.exit_code}, HTTP {self.status}, {len(self.body)} bytes"


class Squid:
    """A running Squid; `icap_log` is its own word on every ICAP transaction.

    `settings`: lines after those of the example, so they count. `tls`: options of its two
    services, which are then `icaps://`; files they name must be readable for the user proxy.
    `services`: the first part of the paths of both services. `cache`: whether it keeps answers, in
    memory.
    """

    def __init__(
        self,
        squid: str,
        icap_port: int,
        *settings: str,
        tls: str | None = None,
        services: str = "av",
        cache: bool = False,
    ) -> None:
        self.port = free_port()
        # not pytest's folder: Squid gives up root and must still get in
        self.directory = Path(tempfile.mkdtemp(prefix="katabridge-squid-"))
        icap = EXAMPLE.read_text().replace("127.0.0.1:1344", f"127.0.0.1:{icap_port}")
        if tls is not None:
            icap = icap.replace("icap://", "icaps://").replace(
                "bypass=off\n", f"bypass=off {tls}\n"
            )
        icap = icap.replace("/av/", f"/{services}/")
        values = {
            "cache": _CACHE if cache else _NO_CACHE,
            "port": self.port,
            "directory": self.directory,
            "icap": icap,
        }
        config = self.directory / "squid.conf"
        config.write_text(_CONFIG.format(settings="\n".join(settings), **values))
        if os.geteuid() == 0:
            shutil.chown(self.directory, "proxy", "proxy")
        command = [squid, "-N", "-n", f"kb{self.port}", "-f", config]
        self.program = Program(command, self.directory.with_suffix(".out"))
        self.program.wait_for(lambda: accepts(self.port), "squid")

    def icap_log(self) -> list[str]:
        """The lines of its icap_log: `OUTCOME/STATUS METHOD URL preview=BYTES` (`-`: none)."""
        path = self.directory / "icap.log"
        return path.read_text().splitlines() if path.exists() else []

    def access_log(self) -> list[str]:
        """The lines of its access.log, in Squid's own format: the fourth field is its result."""
        path = self.directory / "access.log"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def url(self) -> str:
        """The proxy's address, as clients want it."""
        return f"http://127.0.0.1:{self.port}"

    def start_curl(self, url: str, body: Path, *options: object) -> Program:
        """A client at work: `body` grows as it gets bytes. Its messages go beside it."""
        command = ["curl", "-sS", "--no-buffer", "-o", body, "--proxy", self.url, "--noproxy", ""]
        return Program([*command, *options, url], body.with_suffix(".curl"))

    def curl(self, url: str, *options: object, seconds: int = 60) -> Fetched:
        """What a user's client gets through this proxy."""
        descriptor, name = tempfile.mkstemp(prefix="katabridge-curl-")
        os.close(descriptor)
        body = Path(name)
        command: list[object] = ["curl", "-sS", "-o", body, "-w", "%{http_code}"]
        command += ["--proxy", self.url, "--noproxy", ""]
        command += ["--max-time", seconds, *options, url]
        try:
            done = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, check=False
            )
            return Fetched(done.returncode, int(done.stdout or 0), body.read_bytes())
        finally:
            body.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End Squid and remove what it left."""
        try:
            self.program.stop()
        finally:
            shutil.rmtree(self.directory)
            self.program.log.unlink()
