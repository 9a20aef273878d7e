"""Fixtures of all tests, and the rule that a skip in CI is a failure."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.emulator import Emulator, Memory
from icapd.client import IcapClient
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.origin import Origin
from tests.support.processes import Program
from tests.support.sampling import mark_rest_as_long
from tests.support.shared_doors import SharedDoors

_skipped: list[str] = []


@pytest.hookimpl(tryfirst=True)  # before those are left out that are `long`
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to `make test-long` what `sample` does not pick."""
    mark_rest_as_long(items)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what was skipped."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run in which something was skipped: a peer is missing there."""
    if _skipped and os.environ.get("CI") == "true" and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was skipped."""
    if _skipped:
        terminalreporter.section("SKIPPED, SO NOT TESTED", red=True, bold=True)
        for node in _skipped:
            terminalreporter.line(node)
        if os.environ.get("CI") == "true":
            terminalreporter.line("A skip is a failure where CI=true.")


def need(program: str) -> str:
    """The path of a peer; skips the test where it is not installed."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")
    if path is None:
        pytest.skip(f"{program} is not installed (make peers, as root)")
    return path


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A daemon that a test runs in this process leaves them ignored: programs would inherit it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGIO)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def kata(tmp_path: Path) -> Iterator[Emulator]:
    """An emulated KATA that serves; `kata.memory` is what it knows."""
    put_certificate(tmp_path / "kata" / "server.pem", tmp_path / "kata" / "server.key", "kata")
    with Emulator(Memory(tmp_path / "kata")) as emulator:
        yield emulator


@pytest.fixture
def site(tmp_path: Path, kata: Emulator) -> Site:
    """A configuration that uses the emulated KATA; set `site.changes` before starting."""
    return Site(tmp_path / "site", kata.url, kata.certificate)


@pytest.fixture
def started() -> Iterator[Callable[[Program], Program]]:
    """`started(program)`: ends the program after the test, which fails if it ended badly."""
    programs: list[Program] = []

    def keep(program: Program) -> Program:
        programs.append(program)
        return program

    yield keep
    for program in reversed(programs):
        code = program.stop()
        output = program.output()
        assert code == 0, f"it ended with {code}:\n{output}"
        assert "Traceback" not in output, output


@pytest.fixture
def icapd(site: Site, started: Callable[[Program], Program]) -> Program:
    """The ICAP door of `site`, running."""
    return started(site.start_icapd())


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDoors]:
    """Running icapds for the tests of a file that neither end nor fill one."""
    with SharedDoors(tmp_path_factory.mktemp("doors")) as shared:
        yield shared


@pytest.fixture
def icap_client(site: Site, icapd: Program) -> Iterator[IcapClient]:
    """A client connected to `icapd`."""
    del icapd
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        yield client


@pytest.fixture
def origin() -> Iterator[Origin]:
    """An HTTP origin."""
    with Origin() as running:
        yield running
