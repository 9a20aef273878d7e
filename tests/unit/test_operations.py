"""docs/operations.md: its alarms are all there are, its sentences are said, its modes are real."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from bridge.cli import _parser
from bridge.core import Core, Door, OutageKind, set_bypass
from tests.support.certificates import put_certificate
from tests.support.judging import judge
from tests.support.katabridge import Site
from tests.support.processes import free_port

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
ALERTS = yaml.safe_load((ROOT / "examples" / "grafana" / "alerts.yaml").read_text())
COMMANDS = ("kata-bridge ", "sqlite3 ", "grep ")
SET_OFF = [line.strip() for line in re.findall(r"^(?: {4}| {6})(\S.*)$", PAGE, re.MULTILINE)]


def rows(heading: str, columns: int) -> Iterator[list[str]]:
    """The cells of the table below a heading, without its head."""
    text = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) > 1
    for line in lines[1:]:
        cells = [
            cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")
        ]
        assert len(cells) == columns, line
        yield cells


ALARMS = list(rows("What each alarm means", 4))


def test_every_alert_is_there() -> None:
    written = {alert.strip("`") for alert, *_ in ALARMS}
    assert written == {rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]}


def test_every_kind_of_outage_is_there() -> None:
    assert {kind.strip("`") for _, kind, *_ in ALARMS} - {""} == set(OutageKind)


def test_an_outage_has_the_alert_that_tells_of_it() -> None:
    """`KatabridgeOutage` names the kinds that others tell of."""
    (text,) = re.findall(r'katabridge_outage\{kind!~"([^"]+)"', str(ALERTS))
    of_others = {*text.split("|")}
    for alert, kind, *_ in ALARMS:
        if kind.strip("`") in of_others:
            assert alert != "`KatabridgeOutage`", kind
    general = {kind.strip("`") for alert, kind, *_ in ALARMS if alert == "`KatabridgeOutage`"}
    assert general == set(OutageKind) - of_others


@pytest.mark.parametrize("row", ALARMS, ids=[f"{row[0]} {row[1]}".strip("` ") for row in ALARMS])
def test_an_alarm_says_what_to_do(row: list[str]) -> None:
    assert len(row[2]) > 15
    assert len(row[3]) > 5


def said() -> set[str]:
    """Every text of the product, with `…` for what is put into it."""
    found: set[str] = set()
    for folder in ("bridge", "icapd"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = [str(getattr(part, "value", "")) for part in node.values]
                    constant = [isinstance(part, ast.Constant) for part in node.values]
                    text = "".join(
                        part if fixed else "…" for part, fixed in zip(parts, constant, strict=True)
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    text = re.sub(r"%(?:\.\d+)?[sdrf]", "…", node.value)
                else:
                    continue
                found.add(text.strip())
    return found


SAID = said()
SENTENCES = [line for line in SET_OFF if line in SAID or not line.startswith(COMMANDS)]


@pytest.mark.parametrize("line", SENTENCES)
def test_a_sentence_of_the_log_is_said(line: str) -> None:
    assert line in SAID


def test_sentences_are_looked_at() -> None:
    assert len(SENTENCES) >= 30
    assert "KATA takes no file: …: …" not in SAID


@pytest.mark.parametrize(
    "command",
    [line for line in SET_OFF if line.startswith(COMMANDS[0]) and line not in SENTENCES]
    + sorted(set(re.findall(r"`(kata-bridge [a-z][^`]*)`", PAGE))),
)
def test_a_command_and_its_options_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        _parser().parse_args(shlex.split(command)[1:])
    except SystemExit:  # some are named without what they need
        assert "the following arguments are required" in capsys.readouterr().err


def test_words_in_the_table_of_files_that_stay_are_said() -> None:
    for words, _ in rows("A file does not move", 2):
        for text in re.findall(r"`((?:is|stays) [^`]+)`", words):
            beginning = text.partition(":")[0]
            assert any(beginning in each for each in SAID), text


# -- who can read what -------------------------------------------------------------------------

BY_UMASK = 0o644


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """What a core of each door leaves, with all receivers away."""
    directory = tmp_path_factory.mktemp("site")
    put_certificate(directory / "kata.pem", directory / "kata.key", "kata")
    site = Site(directory, f"https://127.0.0.1:{free_port()}", directory / "kata.pem")
    site.changes = {
        "notify": {"url": f"http://127.0.0.1:{free_port()}/"},
        "logs": {"syslog": {"url": f"tcp://127.0.0.1:{free_port()}"}},
        "spool": {"memory": "1B"},
    }
    before = os.umask(0o666 - BY_UMASK)
    try:
        for door in Door:
            asyncio.run(_leave(site, door))
        set_bypass(site.settings().spool.dir, {})
    finally:
        os.umask(before)
    return site


async def _leave(site: Site, door: Door) -> None:
    async with Core(site.settings(), door) as core:
        await judge(core, b"to be judged", door=door)
        writer = core.spool.writer()
        await writer.write(bytes(1 << 20))
        body = await writer.finish()
        mode = next(core.spool.dir.iterdir()).stat().st_mode & 0o777
        assert mode == 0o600
        body.release()


def documented() -> dict[str, int]:
    """Mode by pattern of the table, for what a core makes."""
    found = {}
    for path, mode, _ in rows("Who can read what", 3):
        for pattern in re.findall(r"`([^`]+)`", path):
            if re.match(r"spool\.dir|logs\.dir|verdicts\.db", pattern):
                found[pattern] = BY_UMASK if mode == "by umask" else int(mode, 8)
    return found


def made_files(site: Site) -> Iterator[tuple[str, int]]:
    """Each file and the two folders, as the page writes them, with its mode."""
    for name, folder in (("spool.dir", "spool"), ("logs.dir", "log")):
        top = site.directory / folder
        yield name, top.stat().st_mode & 0o777
        for path in top.rglob("*"):
            if path.is_file():
                yield f"{name}/{path.relative_to(top)}", path.stat().st_mode & 0o777
    for path in site.directory.glob("verdicts.db*"):
        yield path.name, path.stat().st_mode & 0o777


def test_files_have_the_modes_that_the_page_says(made: Site) -> None:
    table, used = documented(), set()
    for path, mode in made_files(made):
        fitting = [each for each in table if fnmatchcase(path, each)]
        assert fitting, f"the page does not name {path}"
        closest = max(fitting, key=len)
        used.add(closest)
        assert oct(table[closest]) == oct(mode), path
    gone = {"spool.dir/*/*", "verdicts.db-wal", "verdicts.db-shm"}  # when all is closed
    assert set(table) - used <= {*gone, "spool.dir/*.owner", "spool.dir/*.json"}  # of daemons
