"""Who may import whom. Each rule is shown to fail on a planted violation."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NON_IO_STDLIB = {
    *("__future__", "collections", "dataclasses", "enum", "functools", "re", "typing"),
}
HTTP = ("requests", "urllib3", "requests_toolbelt", "httpx")
BY_NAME = {
    "bridge.status": "the status page",
    "bridge.folder": "the folder door",
    "bridge.commands": "a command",
    "bridge.cli": "a command",
    "bridge.testing": "the test harness",
}


Sources = dict[str, str]  # text by path, from the root


@functools.cache
def _sources() -> Sources:
    found = (path for package in ("bridge", "icapd") for path in (ROOT / package).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in sorted(found)}


@functools.cache
def imports(file: str, text: str) -> tuple[str, ...]:
    """What a source file imports, inner imports and TYPE_CHECKING's too.

    `from a import b` counts as `a` and as `a.b`, since b may be a module.
    """
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module_of(file).split(".")[: -node.level]
                base = ".".join([*parent, base]).rstrip(".")
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(found)


def module_of(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def violations(sources: Sources) -> list[str]:
    """Every import that breaks a rule, as `rule: module imports name`."""
    found = []
    for file, text in sources.items():
        module = module_of(file)
        for name in imports(file, text):
            found += [f"{rule}: {module} imports {name}" for rule in broken(module, name)]
    return found


def broken(module: str, name: str) -> Iterator[str]:
    if within(module, "icapd") and within(name, "bridge") and not is_core_name(name):
        yield "the ICAP door takes from bridge only bridge.core, by that name"
    if within(module, "bridge") and within(name, "icapd") and not is_harness_name(module, name):
        yield "nothing in bridge imports the ICAP door"
    outside = ("bridge.folder", "bridge.emulator", "bridge.commands", "bridge.cli", "bridge.status")
    if within(module, "bridge.core") and any(within(name, package) for package in outside):
        yield "the core imports no door, no emulator, no command and no page"
    if within(name, "bridge.core") and not is_core_name(name):
        for package, who in BY_NAME.items():
            if within(module, package):
                yield f"{who} takes from the core only bridge.core, by that name"
    if within(module, "icapd.protocol") and not within(name, "icapd.protocol"):
        top = name.split(".", maxsplit=1)[0]
        if top not in NON_IO_STDLIB:
            yield "icapd.protocol imports nothing but itself and what does no I/O"
    if within(name, "bridge.testing") and not within(module, "bridge.testing"):
        yield "nothing of the product imports the test harness"
    yield from of_http(module, name)
    yield from of_status(module, name)


def of_http(module: str, name: str) -> Iterator[str]:
    if module != "bridge.core.kata.client" and not within(module, "bridge.emulator"):
        yield from ("only the KATA client speaks HTTP" for lib in HTTP if within(name, lib))
    if not within(module, "bridge.status"):
        rule = "only the status page, and who asks it, speaks HTTP otherwise"
        yield from (
            rule for lib in ("http.client", "urllib.request", "aiohttp") if within(name, lib)
        )


def of_status(module: str, name: str) -> Iterator[str]:
    others = ("bridge.folder", "bridge.emulator", "bridge.commands", "bridge.cli")
    if within(module, "bridge.status") and any(within(name, package) for package in others):
        yield "the status page imports no door, no emulator and no command"
    if within(module, "bridge.folder") and within(name, "bridge.status"):
        yield "no door imports the status page"


def is_harness_name(module: str, name: str) -> bool:
    """What the test harness may take of the ICAP door: its client, and nothing that serves."""
    return within(module, "bridge.testing") and within(name, "icapd.client")


def is_core_name(name: str) -> bool:
    """`bridge.core`, or a name that its __init__ gives (`from bridge.core import X`)."""
    import bridge.core

    if name == "bridge.core":
        return True
    head, _, last = name.rpartition(".")
    return head == "bridge.core" and last in bridge.core.__all__


def test_the_rules_hold() -> None:
    assert len(_sources()) > 200, "they are looked at"
    assert violations(_sources()) == []


PLANTED = [
    ("icapd/server.py", "import bridge.folder", "the ICAP door takes"),
    ("icapd/session.py", "from bridge.core.model import Case", "the ICAP door takes"),
    ("icapd/session.py", "from bridge import folder", "the ICAP door takes"),
    ("bridge/folder/watch.py", "from icapd import server", "nothing in bridge imports"),
    ("bridge/folder/watch.py", "import bridge.core.spool", "the folder door takes"),
    ("bridge/commands/watch.py", "from bridge.core.config import find_config", "a command takes"),
    ("bridge/cli.py", "import bridge.core.settings", "a command takes"),
    ("bridge/core/policy.py", "from bridge import commands", "the core imports no door"),
    ("bridge/core/policy.py", "from bridge.folder import watch", "the core imports no door"),
    ("bridge/core/policy.py", "from ..folder import watch", "the core imports no door"),
    ("bridge/core/policy.py", "def f():\n    import icapd", "nothing in bridge imports"),
    ("icapd/protocol/server.py", "import socket", "icapd.protocol imports"),
    ("icapd/protocol/chunks.py", "import time", "icapd.protocol imports"),
    ("icapd/protocol/http.py", "from asyncio import Event", "icapd.protocol imports"),
    ("icapd/protocol/http.py", "import logging, ssl", "icapd.protocol imports"),
    ("icapd/protocol/http.py", "from icapd import channel", "icapd.protocol imports"),
    ("bridge/core/submitter.py", "import requests", "only the KATA client"),
    ("icapd/service.py", "from requests import get", "only the KATA client"),
    ("bridge/core/kata/poller.py", "import http.client", "only the status page, and"),
    ("bridge/core/statuslink.py", "import aiohttp", "only the status page, and"),
    ("bridge/commands/known.py", "import urllib.request", "only the status page, and"),
    ("bridge/core/statuslink.py", "from bridge.status import ask", "the core imports no door"),
    ("bridge/folder/service.py", "from bridge.status import ask", "no door imports the status"),
    ("bridge/status/live.py", "from bridge.core.journal import Journal", "the status page takes"),
    ("bridge/status/live.py", "from bridge.folder import watch", "the status page imports no"),
    ("bridge/testing/doors.py", "from icapd import server", "nothing in bridge imports"),
    ("bridge/commands/emulate.py", "from bridge.testing import Site", "nothing of the product"),
]


@pytest.mark.parametrize(
    ("file", "line", "rule"), PLANTED, ids=[f"{p[0]}: {p[1]}" for p in PLANTED]
)
def test_a_planted_violation_is_found(file: str, line: str, rule: str) -> None:
    planted = f"{_sources()[file]}\n{line}\n"
    found = violations({file: planted})
    assert found
    assert all(rule in each and module_of(file) in each for each in found), found


def test_what_counts_as_non_io_is_of_the_standard_library() -> None:
    assert sys.stdlib_module_names >= NON_IO_STDLIB
