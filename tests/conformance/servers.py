"""The servers that CONFORMANCE.md compares, each started on a free port."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bridge.emulator import Emulator, Memory
from tests.conformance.runner import Target, find_target
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.processes import Program, accepts, free_port, module

_TIMEOUT = 5.0
# The defaults of the packaged file, without its paths.
_C_ICAP = """\
PidFile {directory}/c-icap.pid
CommandsSocket {directory}/c-icap.ctl
Port 127.0.0.1:{port}
StartServers 1
MaxServers 4
ThreadsPerChild 16
MaxKeepAliveRequests -1
KeepAliveTimeout 600
Timeout 300
ServerLog {directory}/server.log
AccessLog {directory}/access.log
ModulesDir {libraries}
ServicesDir {libraries}
Service echo srv_echo.so
"""


class Missing(Exception):
    """A program is not installed; its text is its name."""


@contextlib.contextmanager
def icapd(directory: Path) -> Iterator[tuple[Target, Program, Site]]:
    """Our ICAP door with an emulated KATA; it ends well, or the block fails."""
    put_certificate(directory / "kata" / "server.pem", directory / "kata" / "server.key", "kata")
    with Emulator(Memory(directory / "kata")) as kata:
        site = Site(directory / "site", kata.url, kata.certificate)
        program = site.start_icapd()
        try:
            yield _found(site.icap_port, "av/respmod", "av/reqmod"), program, site
        finally:
            code = program.stop()
    assert code == 0, program.output()


@contextlib.contextmanager
def katabridge(directory: Path) -> Iterator[Target]:
    """`icapd`, the target alone."""
    with icapd(directory) as (target, _, _):
        yield target


@contextlib.contextmanager
def c_icap(directory: Path) -> Iterator[Target]:
    """c-icap with its echo service; Missing where it is not installed."""
    port = free_port()
    libraries = next(Path("/usr/lib").glob("*/c_icap"), None)
    if libraries is None:
        raise Missing("c-icap")
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "c-icap.conf"
    config.write_text(_C_ICAP.format(directory=directory, port=port, libraries=libraries))
    command = [_c_icap_program(), "-N", "-f", config]
    with _running(Program(command, directory / "c-icap.out"), port):
        yield _found(port, "echo", None)


@contextlib.contextmanager
def pyicap(directory: Path) -> Iterator[Target]:
    """pyicap with an echo service."""
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    command = [*module("tests.conformance.pyicap_echo"), port]
    with _running(Program(command, directory / "pyicap.out"), port):
        yield _found(port, "echo", None)


@dataclass(frozen=True, slots=True)
class Server:
    """A column of the page: its heading, how its version is asked, how it is started."""

    title: str
    version: Callable[[], str]
    start: Callable[[Path], AbstractContextManager[Target]]


def _c_icap_program() -> str:
    program = shutil.which("c-icap", path="/usr/sbin:/usr/bin")
    if program is None:
        raise Missing("c-icap")
    return program


def _c_icap_version() -> str:
    done = subprocess.run([_c_icap_program(), "-V"], capture_output=True, text=True, check=False)
    match = re.search(r"[0-9]+\.[0-9]+\.[0-9]+", done.stdout + done.stderr)
    return match[0] if match else "of unknown version"


SERVERS = (
    Server("katabridge", lambda: version("katabridge"), katabridge),
    Server("c-icap echo", _c_icap_version, c_icap),
    Server("pyicap", lambda: version("pyicap"), pyicap),
)


def _found(port: int, path: str, reqmod: str | None) -> Target:
    return find_target("127.0.0.1", port, path, reqmod, _TIMEOUT, may_change=False)


@contextlib.contextmanager
def _running(program: Program, port: int) -> Iterator[None]:
    try:
        program.wait_for(lambda: accepts(port), "a server to compare with")
        yield
    finally:
        os.killpg(program.process.pid, signal.SIGKILL)  # c-icap's children outlive their parent
        program.process.wait()
