"""The servers that are compared, each pinned to one core."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bridge.emulator import Emulator, Memory
from tests.support.katabridge import Site
from tests.support.processes import Program, accepts, free_port, module

SERVER_CORE = 0

_C_ICAP = """\
PidFile {directory}/c-icap.pid
CommandsSocket {directory}/c-icap.ctl
Port 127.0.0.1:{port}
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


@contextlib.contextmanager
def icapd(directory: Path) -> Iterator[int]:
    """Our ICAP door, advanced, with records, and an emulated KATA beside it."""
    with Emulator(Memory(directory / "kata")) as kata:
        site = Site(directory / "site", kata.url, kata.certificate)
        service = {"method": "RESPMOD", "mode": "advanced"}
        site.changes = {"icap": {"services": {"bench": service}}}
        yield from _running(site.start_icapd(), site.icap_port)


@contextlib.contextmanager
def c_icap(directory: Path) -> Iterator[int | None]:
    """c-icap's echo service with its access log on; None where it is not installed."""
    program = shutil.which("c-icap", path="/usr/sbin:/usr/bin")
    libraries = next(Path("/usr/lib").glob("*/c_icap"), None)
    if program is None or libraries is None:
        yield None
        return
    port = free_port()
    config = directory / "c-icap.conf"
    text = _C_ICAP.format(directory=directory, port=port, libraries=libraries)
    config.write_text(text)
    command = [program, "-N", "-f", config]
    yield from _running(Program(command, directory / "c-icap.out"), port)


@contextlib.contextmanager
def pyicap(directory: Path) -> Iterator[int]:
    """pyicap with a service that answers 204."""
    port = free_port()
    command = [*module("tests.bench.pyicap_server"), port]
    yield from _running(Program(command, directory / "pyicap.out"), port)


def _running(program: Program, port: int) -> Iterator[int]:
    try:
        program.wait_for(lambda: accepts(port), "a server of the benchmark")
        for thread in Path(f"/proc/{program.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {SERVER_CORE})
        yield port
    finally:
        program.stop()
