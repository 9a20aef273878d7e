"""`kata-bridge history` and `detects`, as people and programs read them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import main
from bridge.commands.history_csv import CONTEXT_KEYS, KEYS, CsvLines
from bridge.commands.history_table import cells_of
from bridge.commands.history_times import moment
from bridge.core import DETECTS, HISTORY, Decision, Door, Outcome, OutcomeKind, Source
from tests.support.certificates import put_certificate
from tests.support.history import BAD, crowd, line, older, write
from tests.support.katabridge import Site
from tests.support.processes import module
from tests.support.terminals import Terminal

WEB: dict[str, str | None] = {
    "service": "av/respmod",
    "proxy": "10.0.0.1",
    "client_ip": "10.1.2.3",
    "user": "ivanov",
    "method": "GET",
    "url": "http://a.example/x",
}
FILE: dict[str, str | None] = {"folder": "share", "path": "/in/b", "moved_to": "/out/b"}
HOSTILE = [
    *('<img src=x onerror="alert(1)">', "a\nb\r\nc", "\x1b[2J\x1b]0;owned\x07", "\u202egpj.exe"),
    *("\u2066a\u2069\u200f", "lone \udce9", "\x9b31m", '","x', "'; DROP TABLE", "\x00\x7f"),
]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '"=1', " =1", "＝1", "a;=1", 'b; "+2']


@pytest.fixture
def quiet_site(tmp_path: Path) -> Site:
    """A configuration whose KATA nobody asks."""
    put_certificate(tmp_path / "kata.pem", tmp_path / "kata.key", "kata")
    return Site(tmp_path / "site", "https://127.0.0.1:1", tmp_path / "kata.pem")


def log(site: Site, name: str = HISTORY) -> Path:
    return site.directory / "log" / name


def run(site: Site, *words: str, command: str = "history") -> int:
    return main([command, "--config", str(site.config), *words])


def test_the_table_has_a_row_for_each_newest_first(
    quiet_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    none = Outcome(OutcomeKind.UNAVAILABLE, Source.RULE, "KATA is away")
    lines = [
        line("a.exe", WEB, BAD, Decision.BLOCK, at=now - 9),
        line("b", FILE, door=Door.FOLDER, at=now - 6),
        line("c", WEB | {"client_ip": None, "user": None}, none, Decision.BLOCK, at=now - 3),
    ]
    write(log(quiet_site), lines)
    assert run(quiet_site) == 0
    shown = capsys.readouterr()
    head, *rows = [re.split(r" {2,}", row.strip()) for row in shown.out.splitlines()]
    assert head[:6] == ["time", "case", "door", "outcome", "decision", "name"]
    assert head[6:] == ["client, user", "url or file", "threat or reason"]
    assert [row[2:] for row in rows] == [
        ["ICAP", "unavailable", "block", "c", "10.0.0.1", "http://a.example/x", "KATA is away"],
        ["FOLDER", "not_detected", "pass", "b", "/out/b"],
        *[["ICAP", "detect", "block", "a.exe", "10.1.2.3 ivanov", WEB["url"], BAD.threat]],
    ]
    assert rows[2][0] == datetime.fromtimestamp(now - 9).strftime("%Y-%m-%d %H:%M:%S")
    assert rows[2][1] == json.loads(lines[0])["case"]
    assert shown.err == ""


def test_filters_limit_and_what_is_said_of_it(
    quiet_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    write(older(log(quiet_site), 1), [line("old.exe", WEB, at=now - 7200)])
    write(log(quiet_site), [line(f"{n}.exe", WEB, at=now - 99 + n) for n in range(60)])

    def found(*words: str) -> tuple[list[str], str]:
        assert run(quiet_site, "--json", *words) == 0
        shown = capsys.readouterr()
        return [json.loads(each)["name"] for each in shown.out.splitlines()], shown.err

    assert found()[0] == [f"{n}.exe" for n in range(59, 9, -1)]
    assert found("--limit", "3") == (
        ["59.exe", "58.exe", "57.exe"],
        "kata-bridge history: the newest 3 are shown; --limit 0 shows all.\n",
    )
    names, said = found("--limit", "0")
    assert (len(names), names[-1], said) == (61, "old.exe", "")
    assert found("--name", "7.EXE", "--limit", "6")[1] == ""  # as many as there are
    assert found("--until", "1h") == (["old.exe"], "")
    assert "old.exe" not in found("--since", "1h", "--limit", "0")[0]
    assert len(found("--client", "10.1.0.0/16", "--user", "IVAN", "--door", "icap")[0]) == 50
    nothing, said = found("--url", "nowhere")
    assert (nothing, said) == ([], f"kata-bridge history: nothing is found in {log(quiet_site)}.\n")


def test_json_is_the_record_as_it_is(quiet_site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line(name, WEB | {"url": name, "user": name}) for name in HOSTILE]
    write(log(quiet_site), lines)
    assert run(quiet_site, "--json") == 0
    assert capsys.readouterr().out.encode().splitlines() == lines[::-1]


def test_detects_show_which_came_late(quiet_site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    write(log(quiet_site, DETECTS), [line("a", WEB, BAD), line("b", WEB, BAD, late=True)])
    assert run(quiet_site, command="detects") == 0
    head, *rows = capsys.readouterr().out.splitlines()
    at = head.index("late")
    assert [row[at : at + 4] for row in rows] == ["late", "    "]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "yesterday"], "--since 'yesterday' is no time; write 2h"),
        (["--until", "2026-13-01"], "--until '2026-13-01' is no time"),
        (["--since", "9999999999d"], "--since '9999999999d' is no time"),
        (["--until", "9999-12-32"], "--until '9999-12-32' is no time"),
        (["--since", "1h", "--until", "2h"], "since is not before until"),
        (["--client", "300.1"], "client '300.1' is no address"),
        (["--hash", "xyz\x1b"], "hash 'xyz\\x1b' is none"),
        (["--outcome", "clean"], "outcome 'clean' does not exist; there are not_detected"),
        (["--limit", "-1"], "--limit '-1' is no number"),
    ],
    ids=lambda value: str(value[-1]) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_sentence(
    quiet_site: Site, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run(quiet_site, *words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith(f"kata-bridge history: {said}")


def test_a_log_that_cannot_be_read_is_said(
    quiet_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(quiet_site) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"kata-bridge history: {log(quiet_site)} cannot be read: No such file")
    assert "logs.dir" in said


# -- what names do ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE + FORMULAS)
def test_a_hostile_name_is_harmless_in_table_and_csv(name: str) -> None:
    record: dict[str, Any] = json.loads(line(name, WEB | {"user": name, "url": name}))
    record |= {"outcome": name, "threat": name, "time": name, name: name}
    record["context"][name] = name
    for text in cells_of(record).values():
        assert text.isprintable()
    cells = next(csv.reader(io.StringIO(CsvLines().text([record]).partition("\r\n")[2])))
    assert len(cells) == len(KEYS) + len(CONTEXT_KEYS) + 1
    for cell in cells:
        assert cell.isprintable()
        for part in (cell, *cell.split(";")):
            assert not re.match(r"[\"\s]*[=+\-@＝]", part), cell


def test_csv_has_all_keys(quiet_site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads(line("a,b", WEB | {"new": "1"}))
    record |= {"size": 7, "late": True, "later": [1]}
    write(log(quiet_site), [json.dumps(record).encode()])
    assert run(quiet_site, "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out, newline="")))
    assert len(rows) == 1
    row = rows[0]
    assert [*KEYS, "context"] == [each for each in record if each != "later"]
    assert (row["name"], row["size"], row["late"], row["threat"]) == ("a,b", "7", "true", "")
    assert (row["context.url"], row["context.folder"]) == (WEB["url"], "")
    assert json.loads(row["other"]) == {"context": {"new": "1"}, "later": [1]}
    assert run(quiet_site, "--csv", "--name", "nowhere") == 0
    assert capsys.readouterr().out.startswith("time,case,")


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "history.md").read_text()
    for key in (*KEYS, "context", *CONTEXT_KEYS):
        assert re.search(rf"^\| .*`{key}`.* \|", page, re.MULTILINE), key


def test_times_are_local_and_a_day_ends_with_itself() -> None:
    day = datetime(2026, 11, 24).astimezone()
    assert moment("--since", "2026-11-24", ends=False) == day.timestamp()
    assert moment("--until", "2026-11-24", ends=True) == (day + timedelta(days=1)).timestamp()
    assert moment("--until", "2026-11-24T10:00", ends=True) == day.replace(hour=10).timestamp()
    assert moment("--since", "2026-11-24T10:00Z", ends=False) == 1795514400
    ago = moment("--since", "2h", ends=False)
    assert ago is not None
    assert abs(time.time() - 7200 - ago) < 60
    assert moment("--since", None, ends=False) is None


def test_what_others_have_packed_is_not_searched_and_that_is_said(
    quiet_site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    write(log(quiet_site), [line("a.exe", WEB), line("b.exe", WEB)])
    for number in (1, 2):
        log(quiet_site, f"log-history.log.{number}.gz").write_bytes(b"packed")
    said = (
        f"kata-bridge history: log-history.log.1.gz and 1 more in {log(quiet_site).parent} was not "
        "searched: another program has rotated or packed it; zgrep finds what is in it.\n"
    )
    assert run(quiet_site) == 0
    assert capsys.readouterr().err == said
    assert run(quiet_site, "--json", "--name", "none") == 0
    assert capsys.readouterr().err.endswith(f".\n{said}")
    assert run(quiet_site, "--limit", "1") == 0
    assert "zgrep" not in capsys.readouterr().err  # what is packed is older than what is shown
    for number in (1, 2):
        os.utime(log(quiet_site, f"log-history.log.{number}.gz"), (1, 1))
    assert run(quiet_site, "--since", "1h") == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("zone", ["UTC", "XXX-14", "XXX+12"])
def test_the_first_and_the_last_day_are_days(monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        first, last = (moment("--until", day, ends=True) for day in ("0001-01-01", "9999-12-31"))
        since = moment("--since", "0001-01-01", ends=False)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert first is not None
    assert last is not None
    assert since is not None
    assert since < first < 0 < time.time() < last
    with pytest.raises(ValueError, match="is no time"):
        moment("--until", "9999-12-32", ends=True)


# -- as a program ----------------------------------------------------------------------------------


def test_on_a_terminal_it_is_as_wide_as_that(quiet_site: Site) -> None:
    write(log(quiet_site), [line(f"{'long ' * 60}\x1b[2Jend", WEB, BAD, Decision.BLOCK)])
    command = [*module("bridge.cli"), "history", "--config", quiet_site.config]
    with Terminal(command) as terminal:
        assert terminal.wait() == 0
        shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown)
    rows = shown.splitlines()
    assert len(rows) > 3
    assert max(map(len, rows)) == 200
    assert "\\x1b[2J" in re.sub(r"\s+", "", shown)
    assert "\x1b" not in shown


@pytest.mark.sample(2)
@pytest.mark.parametrize("columns", [40, 55, 71, 72, 80, 150])
def test_on_every_terminal_a_record_is_shown_whole(quiet_site: Site, columns: int) -> None:
    context = WEB | {"url": f"http://h.example/{'§' * 200}", "user": "eve"}
    records = [line("report.exe", context, BAD, Decision.BLOCK, late=True) for _ in range(3)]
    write(log(quiet_site).with_name("log-detects.log"), records)
    command = [*module("bridge.cli"), "detects", "--config", quiet_site.config]
    with Terminal(command, columns=columns) as terminal:
        assert terminal.wait() == 0
        shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown)
    for record in map(json.loads, records):
        assert record["case"] in shown
    for words in ("ICAP", "detect", "block", "late", "report.exe", "eve"):
        assert shown.count(words) >= 3, words
    assert shown.count(str(context["client_ip"])) == 3
    assert shown.count("§") == 600
    if columns < 72:
        assert shown.count(f"  {context['url']}\r\n") == 3  # the terminal breaks it
    else:
        assert max(map(len, shown.splitlines())) <= columns


def test_a_long_search_shows_how_far_it_is(quiet_site: Site) -> None:
    lines = list(crowd(1500, until=time.time()))
    write(log(quiet_site), [line("needle", WEB), *lines])
    arguments = ["history", "--name", "NEEDLE", "--config", str(quiet_site.config)]
    program = (
        "import bridge.cli, bridge.commands.history_pages as pages\n"
        "pages._QUIET_SECONDS = pages._LOOK_SECONDS = 0\n"
        f"raise SystemExit(bridge.cli.main({arguments!r}))"
    )
    with Terminal([sys.executable, "-c", program]) as terminal:
        assert terminal.wait() == 0
        shown = terminal.shown
    assert "searching, back to 20" in shown
    assert shown.rindex("needle") > shown.rindex("searching")


def test_who_reads_no_further_ends_it_quietly(quiet_site: Site) -> None:
    write(log(quiet_site), list(crowd(2000, until=time.time())))
    command = [*module("bridge.cli"), "history", "--json", "--limit", "0"]
    with subprocess.Popen(
        [*command, "--config", str(quiet_site.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""
        assert program.wait(30) == 0
