"""The pytest plugin: `kata_emulator`, `icapd_server`, `icap_client` and `folder_bridge`.

docs/harness.md is its reference. It is loaded at each start of pytest, so it imports what is heavy
when a fixture is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import pytest

from bridge.testing.processes import HarnessError

if TYPE_CHECKING:
    from bridge.testing.doors import DoorProgram, IcapdServer
    from bridge.testing.folder import FolderBridge
    from bridge.testing.kata import KataEmulator
    from bridge.testing.site import Site
    from icapd.client import IcapClient

Scope = Literal["function", "class", "module", "session"]
# For each scope what it is too wide for: a marker there would set nothing.
_NARROWER: dict[Scope, tuple[type[pytest.Item | pytest.Collector], ...]] = {
    "function": (),
    "class": (pytest.Item,),
    "module": (pytest.Item, pytest.Class),
    "session": (pytest.Item, pytest.Class, pytest.Module),
}
_SHOWN = 64 * 1024  # bytes of a program's log in a report
_SECONDS = 20.0  # that a client waits
# The log of each door that runs, and how long it was when the test began.
_RUNNING = pytest.StashKey[dict[str, Path]]()
_LENGTHS = pytest.StashKey[dict[Path, int]]()
DoorT = TypeVar("DoorT", bound="DoorProgram")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The scope of the fixtures, from the project's configuration of pytest."""
    words = f"how long KATA and doors of the katabridge fixtures live: {', '.join(_NARROWER)}"
    parser.addini("katabridge_scope", words, default="function")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    line = "katabridge(section={…}): settings of katabridge for the fixtures, as in katabridge.yaml"
    config.addinivalue_line("markers", line)
    config.stash[_RUNNING] = {}
    config.stash[_LENGTHS] = {}
    if config.getini("katabridge_scope") not in _NARROWER:
        raise pytest.UsageError(f"katabridge_scope must be one of {', '.join(_NARROWER)}.")


def _scope(fixture_name: str, config: pytest.Config) -> Scope:
    del fixture_name
    return cast("Scope", config.getini("katabridge_scope"))


@pytest.fixture(scope="session")
def katabridge_settings() -> dict[str, Any]:
    """Settings of all katabridges of a project; override it with a fixture of your own."""
    return {}


@pytest.fixture(scope=_scope)
def kata_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KataEmulator]:
    """An emulated KATA that serves."""
    with _plainly():
        try:
            from bridge.testing import KataEmulator  # noqa: PLC0415 - heavy, and an extra
        except ImportError as error:
            raise HarnessError(str(error)) from None
        emulator = KataEmulator(tmp_path_factory.mktemp("kata"))
    yield emulator
    emulator.down()


@pytest.fixture(scope=_scope)
def katabridge_site(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    kata_emulator: KataEmulator,
    katabridge_settings: dict[str, Any],
) -> Site:
    """The folder, configuration and records that both doors of a test share."""
    from bridge.testing.changes import changed  # noqa: PLC0415 - heavy
    from bridge.testing.site import Site  # noqa: PLC0415 - heavy

    with _plainly():
        folder = tmp_path_factory.mktemp("katabridge")
        site = Site(folder, kata_emulator.url, kata_emulator.certificate)
        for changes in (katabridge_settings, *_marked(request.node)):
            site.changes = changed(site, changes)
        return site


@pytest.fixture(scope=_scope)
def icapd_server(request: pytest.FixtureRequest, katabridge_site: Site) -> Iterator[IcapdServer]:
    """The ICAP door, running."""
    from bridge.testing.doors import IcapdServer  # noqa: PLC0415 - heavy

    yield from _running(request.config, IcapdServer, katabridge_site)


@pytest.fixture
def icap_client(icapd_server: IcapdServer) -> Iterator[IcapClient]:
    """A client with a connection to `icapd_server`."""
    from icapd.client import IcapClient  # noqa: PLC0415 - heavy

    with IcapClient(icapd_server.host, icapd_server.port, timeout=_SECONDS) as client:
        yield client


@pytest.fixture(scope=_scope)
def folder_bridge(request: pytest.FixtureRequest, katabridge_site: Site) -> Iterator[FolderBridge]:
    """The folder door, running."""
    from bridge.testing.folder import FolderBridge  # noqa: PLC0415 - heavy

    yield from _running(request.config, FolderBridge, katabridge_site)


def _running(config: pytest.Config, kind: type[DoorT], site: Site) -> Iterator[DoorT]:
    with _plainly():
        door = kind(site)
    config.stash[_RUNNING][kind.name] = door.log_file
    yield door
    del config.stash[_RUNNING][kind.name]
    with _plainly():
        door.stop()


def _marked(node: pytest.Item | pytest.Collector) -> Iterator[dict[str, Any]]:
    """The settings of the markers, those nearest to the test last."""
    for marker in reversed(list(node.iter_markers("katabridge"))):
        if marker.args:
            raise HarnessError("katabridge takes sections by name: katabridge(icap={…}).")
        yield dict(marker.kwargs)


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
    """A fault of the harness fails the test with its sentence, without lines of code."""
    try:
        yield
    except HarnessError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note where the logs of running doors end, and refuse a marker that would set nothing."""
    stash = item.config.stash
    stash[_LENGTHS] = {path: len(_read(path)) for path in stash[_RUNNING].values()}
    scope = _scope("", item.config)
    for node, _ in item.iter_markers_with_node("katabridge"):
        if isinstance(node, _NARROWER[scope]):
            sentence = f"katabridge_scope is {scope}: the marker katabridge of {node.name} sets"
            pytest.fail(f"{sentence} nothing; use katabridge_settings.", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what the doors printed during the test."""
    report = yield
    if report.failed:
        lengths = item.config.stash[_LENGTHS]
        for name, path in item.config.stash[_RUNNING].items():
            printed = _read(path)[lengths.get(path, 0) :][-_SHOWN:]
            if printed:
                report.sections.append((f"katabridge: {name}", _harmless(printed)))
    return report


def _read(log: Path) -> bytes:
    try:
        return log.read_bytes()
    except FileNotFoundError:  # a test may do with its folders what it likes
        return b""


def _harmless(printed: bytes) -> str:
    from bridge.core import printable  # noqa: PLC0415 - heavy

    return "\n".join(map(printable, printed.decode(errors="replace").splitlines()))
