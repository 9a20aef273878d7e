"""The servers that are compared, each on the same core."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.core import Address
from bridge.status import ask
from tests.bench import cores
from tests.bench.work import WORKS, Work
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site, deep_merge
from tests.support.processes import Program, accepts, free_port, module, wait_until

_C_ICAP = """\
PidFile {directory}/c-icap.pid
CommandsSocket {directory}/c-icap.ctl
Port 127.0.0.1:{port}
TlsPort 127.0.0.1:{tls_port} cert={directory}/tls.pem key={directory}/tls.key
StartServers 1
MaxServers 1
ThreadsPerChild 16
MaxKeepAliveRequests -1
KeepAliveTimeout 600
ServerLog {directory}/server.log
AccessLog {directory}/access.log
ModulesDir {libraries}
ServicesDir {libraries}
Service bench srv_echo.so
"""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs: `ports` by work, without those that it cannot do."""

    name: str
    program: Program
    ports: dict[Work, int]

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used, all its processes."""
        return cores.cpu_seconds(self.program.process.pid)


@dataclass(frozen=True, slots=True)
class Kata:
    """An emulated KATA in a process of its own, on the load's core."""

    program: Program
    url: str
    certificate: Path

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        return cores.cpu_seconds(self.program.process.pid)


@contextlib.contextmanager
def stub(directory: Path) -> Iterator[Server]:
    """Only answers, and so shows what the load can do."""
    certificate, key = _certificate(directory)
    ports = {work: free_port() for work in WORKS}
    command = [*module("tests.bench.stub"), certificate, key, *ports.values()]
    yield from _running("stub", command, directory, ports)


@contextlib.contextmanager
def icapd(directory: Path) -> Iterator[Server]:
    """Our ICAP door, advanced, with records and metrics, and an emulated KATA that is quick."""
    with (
        kata(directory / "kata") as central,
        configured(make_site(directory, central)) as server,
    ):
        yield server


def make_site(directory: Path, central: Kata, **changes: Any) -> Site:
    """A configuration as shipped, but for addresses and folders; `changes` more of it."""
    certificate, key = _certificate(directory)
    site = Site(directory / "site", central.url, central.certificate)
    tls = {"listen": [f"127.0.0.1:{free_port()}"], "cert": str(certificate), "key": str(key)}
    service = {"method": "RESPMOD", "mode": "advanced"}
    base = {
        "kata": {"poll_interval_waiting": "2s"},
        "icap": {"services": {"bench": service}, "tls": tls},
        "status": {"icapd": f"127.0.0.1:{free_port()}"},
    }
    site.changes = deep_merge(base, changes)
    return site


@contextlib.contextmanager
def configured(site: Site, *on: int) -> Iterator[Server]:
    """Our ICAP door with that configuration, `on` these cores rather than on the servers'.

    AssertionError, with what it said, where it does not start.
    """
    tls_port = int(site.changes["icap"]["tls"]["listen"][0].rpartition(":")[2])
    status_port = int(site.changes["status"]["icapd"].rpartition(":")[2])
    command = [*module("icapd.cli"), "--config", site.config]
    ports = _by_work(site.icap_port, tls_port)
    running = contextlib.contextmanager(_running)
    with running("icapd", command, site.directory, ports, *on) as server:
        # the start of the status page's process is no part of what an answer costs
        wait_until(lambda: _is_healthy(status_port), "the status page answers", 30)
        yield server


def _is_healthy(port: int) -> bool:
    try:
        return ask(Address("127.0.0.1", port), "/health") == b"live\n"
    except OSError:
        return False


@contextlib.contextmanager
def c_icap(directory: Path) -> Iterator[Server | None]:
    """c-icap's echo service with its access log on; None where it is not installed."""
    program = shutil.which("c-icap", path="/usr/sbin:/usr/bin")
    libraries = next(Path("/usr/lib").glob("*/c_icap"), None)
    if program is None or libraries is None:
        yield None
        return
    _certificate(directory)
    port, tls_port = free_port(), free_port()
    config = directory / "c-icap.conf"
    config.write_text(
        _C_ICAP.format(directory=directory, port=port, tls_port=tls_port, libraries=libraries)
    )
    command = [program, "-N", "-f", config]
    yield from _running("c-icap", command, directory, _by_work(port, tls_port))


@contextlib.contextmanager
def pyicap(directory: Path) -> Iterator[Server]:
    """pyicap with a service that lets everything by; it has no TLS."""
    port = free_port()
    command = [*module("tests.bench.pyicap_server"), port]
    yield from _running("pyicap", command, directory, _by_work(port, None))


@contextlib.contextmanager
def kata(directory: Path, delay: float = 0) -> Iterator[Kata]:
    """An emulated KATA that takes `delay` seconds for each object."""
    port = free_port()
    command = [*module("bridge.cli"), "emulate", "--state", directory]
    command += ["--listen", f"127.0.0.1:{port}", "--delay", str(delay)]
    with cores.on(cores.LOAD):
        program = Program(command, directory.with_suffix(".out"))
    try:
        program.wait_for(lambda: accepts(port), "the emulated KATA")
        yield Kata(program, f"https://127.0.0.1:{port}", directory / "server.pem")
    finally:
        program.stop()


def _certificate(directory: Path) -> tuple[Path, Path]:
    certificate, key = directory / "tls.pem", directory / "tls.key"
    put_certificate(certificate, key, "bench")
    return certificate, key


def _by_work(plain: int, tls: int | None) -> dict[Work, int]:
    ports = {work: tls if work.tls else plain for work in WORKS}
    return {work: port for work, port in ports.items() if port is not None}


def _running(
    name: str, command: list[object], directory: Path, ports: dict[Work, int], *on: int
) -> Iterator[Server]:
    with cores.on(*(on or (cores.SERVER,))):
        program = Program(command, directory / f"{name}.out")
    try:
        program.wait_for(lambda: all(map(accepts, set(ports.values()))), name)
        yield Server(name, program, ports)
    finally:
        program.stop()
