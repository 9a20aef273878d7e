"""The search of the logs: its order, its pages and its bounds, over rotations and damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal
from unicodedata import normalize

import pytest

from bridge.core import (
    DETECTS,
    HISTORY,
    Decision,
    Door,
    HistoryFilter,
    KnownBytes,
    Outcome,
    OutcomeKind,
    Source,
    search_log,
)
from bridge.core.history import files
from bridge.core.history import search as module
from bridge.core.history.folding import FOLDED, fold
from bridge.core.history.raw import conditions_of, lines_that_may_fit
from bridge.core.printable import printable
from bridge.core.rotation import rotated_files, set_aside
from tests.support.history import BAD, line, names, older, write

NOW = 1_795_000_000.0
ALL = HistoryFilter()
SHA = "ab" * 32


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where a log is to be."""
    return tmp_path / HISTORY


def numbered(*numbers: int) -> list[bytes]:
    return [line(f"n{each}", at=NOW + each) for each in numbers]


def add(log: Path, *lines: bytes) -> None:
    with log.open("ab") as file:
        file.write(b"".join(each + b"\n" for each in lines))


# -- filters ---------------------------------------------------------------------------------------

USER: dict[str, str | None] = {
    "client_ip": "10.1.2.3",
    "proxy": "10.9.9.9",
    "user": "EX\\Иванов",
    "url": "http://A.ex/x",
    "quarantined_as": "fedcba9876543210",
}
RECORD: dict[str, Any] = json.loads(
    line(
        'Straße "1".pdf',
        USER,
        Outcome(OutcomeKind.DETECT, Source.KATA, md5="cd" * 16),
        Decision.BLOCK,
        at=NOW,
        item=KnownBytes(SHA, 1),
        case_id="0123456789abcdef",
    )
)
FITS: list[dict[str, Any]] = [
    {},
    {"since": NOW, "until": NOW + 0.001},
    {"case": " 0123456789ABCDEF "},
    {"quarantined_as": "fedcba9876543210"},
    {"name": 'STRASSE "'},
    {"hash": "abAB"},
    {"hash": SHA},
    {"hash": "cd" * 16},
    {"user": "иВАН"},
    {"user_is": "ex\\ИВАНОВ"},
    {"client": "10.1.2.3"},
    {"client": "10.1.2.77/24"},
    {"client": "::ffff:10.1.2.3"},
    {"client": "0.0.0.0/0"},
    {"url": "a.EX/"},
    {"outcome": "detect", "decision": "block", "door": "icap", "name": "", "user": "  "},
]
MISSES: list[dict[str, Any]] = [
    {"since": NOW + 0.001},
    {"until": NOW},
    {"case": "0123456789abcde"},
    {"case": "fedcba9876543210"},
    {"quarantined_as": "0123456789abcdef"},
    {"name": "strasse 1"},
    {"hash": "b"},
    {"user": "petrov"},
    {"user_is": "ex\\Иван"},
    {"user_is": "Иванов"},
    {"client": "10.9.9.9"},
    {"client": "10.1.2.30"},
    {"client": "10.1.3.0/24"},
    {"client": "::/0"},
    {"url": "b.ex"},
    {"outcome": "error"},
    {"decision": "pass"},
    {"door": "FOLDER"},
]


@pytest.mark.parametrize("values", FITS, ids=str)
def test_what_fits(log: Path, values: dict[str, Any]) -> None:
    write(log, [json.dumps(RECORD, separators=(",", ":")).encode()])
    assert search_log(log, HistoryFilter(**values)).records == [RECORD]


@pytest.mark.parametrize("values", MISSES, ids=str)
def test_what_does_not_fit(values: dict[str, Any]) -> None:
    assert not HistoryFilter(**values).fits(RECORD)


@pytest.mark.parametrize(
    "raw",
    [
        "\x1b[31mred\x1b[0m",
        "gpj.\u202eexe",
        "a\nb\tc\r\x7f\xa0\ud83d\U000e0001",
        "\\x1b is no \x1b, and \\\x1b is one",
        "\\new\\u202e \u202e",
        "\x1f begins and ends with what is no sign\x1f",
    ],
)
def test_what_is_shown_escaped_is_found_as_it_is_and_as_it_is_shown(log: Path, raw: str) -> None:
    write(log, [line(raw, {"user": raw, "url": raw}), line("else", {"user": "x", "url": "y"})])
    shown = printable(raw)
    assert shown != raw
    for text in (raw, shown):
        for key in ("name", "user", "user_is", "url"):
            found = search_log(log, HistoryFilter(**{key: text})).records  # type: ignore[arg-type]
            assert [each["name"] for each in found] == [raw], (key, text)


def test_an_escape_means_no_sign_that_is_shown_as_it_is(log: Path) -> None:
    write(log, [line("A"), line("\\x41"), line("\U0001f600")])
    for text, expected in (("\\x41", ["\\x41"]), ("\\U0001f600", []), ("\\Uffffffff", [])):
        assert names(search_log(log, HistoryFilter(name=text)).records) == expected


@pytest.mark.parametrize(
    "values",
    [
        *(
            {"client": each}
            for each in ("fc00::/7", "::/0", "128.0.0.0/1", "10.0.0.5", "0.0.0.0/0")
        ),
        *({"name": each} for each in ("ß", "pass", "ICAP", "files.example")),
        {"user": "report"},
        {"url": "иванов"},
    ],
    ids=str,
)
def test_what_other_keys_hold_is_not_parsed(values: dict[str, Any]) -> None:
    """Else a search for what no record has would parse all of a log."""
    context: dict[str, str | None] = {
        "service": "av/respmod",
        "proxy": "10.0.0.5",
        "client_ip": "10.1.2.3",
        "user": "EX\\Иванов",
        "url": "http://files.example/pass/a.exe",
    }
    wanted = HistoryFilter(**values)
    block = line("report.pdf", context) + b"\n"
    fits = wanted.fits(json.loads(block))
    assert fits == (values == {"client": "0.0.0.0/0"})
    assert list(lines_that_may_fit(block, conditions_of(wanted))) == [(0, len(block) - 1)] * fits


def test_where_one_is_missing_the_other_counts() -> None:
    proxied = {"context": {"client_ip": None, "proxy": "2001:db8::7", "user": None}}
    by_hand = {"context": {"by": "root", "path": "/srv/q/A.exe", "folder": "share"}}
    mapped = {"context": {"client_ip": "::ffff:a01:203", "proxy": "2001:db8::7"}}
    assert HistoryFilter(client="2001:db8::/32").fits(proxied)
    assert HistoryFilter(client="10.1.2.0/24").fits(mapped)
    assert HistoryFilter(user="ROOT", url="/Q/").fits(by_hand)
    assert HistoryFilter(user_is="root").fits(by_hand)
    for odd in ({"context": None}, {"context": {"proxy": "unknown", "user": 7}}, {}):
        for values in ({"client": "::/0"}, {"user": "7"}, {"url": "a"}, {"since": 0}):
            assert not HistoryFilter(**values).fits(odd)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"client": "300.1"}, "client '300.1' is no address"),
        ({"client": "a\n"}, "client 'a' is no address"),
        ({"hash": "xyz"}, "hash 'xyz' is none"),
        ({"hash": "a" * 65}, "is none"),
        ({"outcome": "clean"}, "there are not_detected, detect"),
        ({"decision": "b"}, "there are pass, block"),
        ({"door": "web"}, "there are ICAP, FOLDER"),
        ({"since": float("nan")}, "since nan is no time"),
        ({"since": 2.0, "until": 2.0}, "since is not before until"),
    ],
    ids=str,
)
def test_what_can_fit_nothing_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        HistoryFilter(**values)
    assert "\n" not in str(raised.value)


def test_no_sign_beyond_those_that_are_looked_at_has_another_form() -> None:
    text = "".join(map(chr, sorted({*range(0x110000)} - {*FOLDED})))
    assert fold(text) == text


ACCENTED = (
    "Résumé.pdf",
    "Счёт за май.docx",
    "Viện trợ ệ.doc",
    "각서.hwp",
    "Åse \N{ANGSTROM SIGN}.txt",
)
FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


@pytest.mark.parametrize("name", ACCENTED)
@pytest.mark.parametrize("written", FORMS)
@pytest.mark.parametrize("asked", FORMS)
def test_however_accents_are_spelt(
    log: Path, name: str, written: Literal["NFC", "NFD"], asked: Literal["NFC", "NFD"]
) -> None:
    write(log, [line(normalize(written, name)), line("other")])
    asked_for = normalize(asked, name)
    for part in (asked_for, asked_for.upper(), asked_for.rpartition(".")[0]):
        assert len(search_log(log, HistoryFilter(name=part)).records) == 1, part


def test_what_only_looks_alike_is_not_the_same(log: Path) -> None:
    write(
        log,
        [line("re\N{COMBINING ACUTE ACCENT}sume"), line("a\N{NO-BREAK SPACE}b"), line("\ufb01n")],
    )
    for name in ("resume", "a b", "\N{LATIN SMALL LETTER DOTLESS I}n"):
        assert search_log(log, HistoryFilter(name=name)).records == []
    for name in ("a\N{NO-BREAK SPACE}b", "a\\xa0b", "FIN"):
        assert len(search_log(log, HistoryFilter(name=name)).records) == 1


def test_an_accent_behind_an_escape_belongs_to_its_last_sign_or_to_what_it_means(log: Path) -> None:
    for name in ("\\x1a\u0306z", "\x1a\u0306z"):
        write(log, [line(name)])
        for asked in (name, "\\x1a\u0306z"):
            assert len(search_log(log, HistoryFilter(name=asked)).records) == 1


# -- pages -----------------------------------------------------------------------------------------


def test_the_newest_come_first_over_rotated_files(log: Path) -> None:
    write(older(log, 2), numbered(1, 2))
    write(older(log, 1), numbered(3))
    write(log, numbered(4, 5))
    write(log.with_name("log-history-copy.log"), numbered(9))
    found = search_log(log, ALL)
    assert names(found.records) == ["n5", "n4", "n3", "n2", "n1"]
    assert (found.cursor, found.complete) == (None, True)
    assert found.searched_to == found.records[-1]["time"]


def test_pages_do_not_shift_when_lines_come_and_the_log_is_rotated(log: Path) -> None:
    write(log, numbered(1, 2, 3, 4, 5))
    first = search_log(log, ALL, limit=2)
    add(log, *numbered(6, 7))
    second = search_log(log, ALL, limit=2, cursor=first.cursor)
    set_aside(log)
    write(log, numbered(8))
    third = search_log(log, ALL, limit=2, cursor=second.cursor)
    pages = [names(each.records) for each in (first, second, third)]
    assert pages == [["n5", "n4"], ["n3", "n2"], ["n1"]]
    assert third.cursor is None


def test_a_page_that_ends_with_the_log_says_so(log: Path) -> None:
    write(log, numbered(1, 2))
    assert search_log(log, ALL, limit=2).cursor is None
    write(older(log, 1), numbered(0))
    assert search_log(log, ALL, limit=2).cursor is not None


def test_a_log_that_is_gone_ends_the_search(log: Path) -> None:
    write(older(log, 1), numbered(1, 2, 3))
    write(log, numbered(4))
    cursor = search_log(log, ALL, limit=2).cursor
    assert cursor is not None
    older(log, 1).unlink()
    assert search_log(log, ALL, cursor=cursor) == ([], None, None, True)


def test_another_file_with_the_same_inode_is_not_the_one(log: Path) -> None:
    write(log, numbered(1, 2, 3))
    cursor = search_log(log, ALL, limit=1).cursor
    same = log.stat().st_ino
    write(log, numbered(7, 8, 9))
    assert log.stat().st_ino == same
    assert search_log(log, ALL, cursor=cursor).records == []
    write(log, [])
    assert search_log(log, ALL, cursor=cursor).records == []


def test_a_cursor_that_is_damaged_or_of_another_log_is_refused(log: Path) -> None:
    write(log, numbered(1, 2))
    write(log.with_name(DETECTS), numbered(1, 2))
    cursor = search_log(log, ALL, limit=1).cursor
    assert cursor is not None
    for bad in ("", "x", f"{cursor}0", cursor[1:], cursor.replace(".", "", 1), "1.1.00000000.0"):
        with pytest.raises(ValueError, match="begin the search anew"):
            search_log(log, ALL, cursor=bad)
    with pytest.raises(ValueError, match=f"none of {DETECTS}"):
        search_log(log.with_name(DETECTS), ALL, cursor=cursor)


def test_a_search_without_time_still_gets_on(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK", 1000)
    write(log, numbered(*range(20)))
    found, cursor, count = [], None, 0
    wanted = HistoryFilter(name="n3")
    while count < 40:
        count += 1
        page = search_log(log, wanted, cursor=cursor, seconds=0)
        found += page.records
        cursor = page.cursor
        if cursor is None:
            break
        assert not page.complete
        assert page.searched_to is not None
    assert cursor is None
    assert count > 5
    assert names(found) == ["n3"]


def test_no_log_at_all_is_an_error(tmp_path: Path, log: Path) -> None:
    for path in (log, tmp_path / "nowhere" / HISTORY):
        with pytest.raises(FileNotFoundError):
            search_log(path, ALL)
    write(older(log, 1), numbered(1))
    assert names(search_log(log, ALL).records) == ["n1"]
    with pytest.raises(ValueError, match="finds nothing"):
        search_log(log, ALL, limit=0)


# -- damage ----------------------------------------------------------------------------------------


def test_damaged_lines_are_passed_over(log: Path) -> None:
    good = numbered(1, 2)
    bad = [
        good[0][:200],
        b"\x00" * 50,
        b"[1]",
        b"7",
        b"{}",
        b"\xff\xfe",
        b"[" * 5000,
        b"",
        b"{" * 9,
    ]
    strange = [
        b'{"time":7,"case":"x"}',
        b'{"time":"2026","case":7}',
        b'{"case":"0123456789abcdef"}',
    ]
    write(log, [*bad, good[0], *strange, good[1], *bad])

    with log.open("ab") as file:
        file.write(numbered(3)[0] + b" ")  # not yet whole
    assert names(search_log(log, ALL).records) == ["n2", "n1"]
    assert names(search_log(log, HistoryFilter(since=0, name="N")).records) == ["n2", "n1"]


def test_a_line_longer_than_any_record_is_passed_over(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", 100)
    monkeypatch.setattr(files, "_LONGEST", 2000)
    longest = line("x" * 1200, at=NOW)
    write(
        log, [*numbered(1), line("y" * 5000), *numbered(2), longest, b"\x00" * 9000, *numbered(3)]
    )
    assert names(search_log(log, ALL).records) == ["n3", "x" * 1200, "n2", "n1"]


@pytest.mark.parametrize("tail", [b"", b"\n"])
def test_gigabytes_without_a_line_end_do_not_hold_a_search_up(log: Path, tail: bytes) -> None:
    write(log, numbered(1))
    with log.open("ab") as file:
        file.truncate(1 << 36)  # a hole, as a damaged disk leaves it
        file.seek(0, 2)
        file.write(tail)
    first = search_log(log, ALL, seconds=0)
    second = search_log(log, ALL, seconds=0, cursor=first.cursor)
    assert first.records == second.records == []
    assert not second.complete
    assert first.cursor != second.cursor
    assert second.cursor is not None
    if tail:
        add(log, *numbered(2))
        assert names(search_log(log, ALL, seconds=0).records) == ["n2"]


def test_a_search_that_stopped_in_a_line_without_end_goes_on_before_it(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", 100)
    monkeypatch.setattr(files, "_LONGEST", 500)
    write(log, [*numbered(1), b'{"time":' + b"x" * 5000, *numbered(2)])
    with log.open("ab") as file:
        file.write(b"y" * 3000)
    found, cursors, cursor = [], [], None
    while True:
        page = search_log(log, ALL, seconds=0, cursor=cursor)
        found += page.records
        if (cursor := page.cursor) is None:
            break
        assert cursor not in cursors
        cursors.append(cursor)
    assert names(found) == ["n2", "n1"]
    assert len(cursors) > 50


# -- since and until -------------------------------------------------------------------------------


def test_older_files_are_not_read(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK", 500)
    monkeypatch.setattr(module, "_ENOUGH", 500)
    write(older(log, 2), [line("late", at=NOW + 99)])
    write(older(log, 1), numbered(*range(10)))
    write(log, numbered(*range(10, 20)))
    opened = []
    real = files._open

    def counted(path: Path) -> int:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(files, "_open", counted)
    found = search_log(log, HistoryFilter(since=NOW + 15))
    assert names(found.records) == ["n19", "n18", "n17", "n16", "n15"]
    assert (found.cursor, found.complete, opened) == (None, True, [log])
    opened.clear()
    assert names(search_log(log, HistoryFilter(since=NOW + 8)).records)[-1] == "n8"
    assert opened == [log, older(log, 1)]


def test_a_record_that_came_late_hides_none_before_it(log: Path) -> None:
    crashed = line("crashed", at=NOW - 9999)
    write(older(log, 2), numbered(1, 2))
    write(older(log, 1), [crashed])
    write(log, [crashed, *numbered(3), crashed])
    assert names(search_log(log, HistoryFilter(since=NOW)).records) == ["n3", "n2", "n1"]


def test_what_waited_for_the_disk_in_several_processes_is_found(log: Path) -> None:
    waited = numbered(*range(0, 6000, 2))  # of one, which is written as a whole before the other's
    write(log, waited + numbered(*range(1, 6000, 2)) + numbered(6000))
    wanted = HistoryFilter(since=NOW + 5000)
    assert len(search_log(log, wanted, limit=9999, seconds=60).records) == 1001


def test_lines_without_a_time_end_no_search(log: Path) -> None:
    junk = [b"no record, but a line of a hundred bytes and more" * 2] * 6000
    for old in ([], [line("crashed", at=NOW - 9999)]):
        write(log, [*numbered(*range(100)), *junk, *old, *junk, *numbered(*range(100, 200))])
        found = search_log(log, HistoryFilter(since=NOW), limit=1000, seconds=60)
        assert len(found.records) == 200
        assert found.complete


def test_pages_that_end_with_their_time_also_come_to_what_is_too_old(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", 1000)
    monkeypatch.setattr(module, "_ENOUGH", 5000)
    write(log, numbered(*range(200)))
    pages, cursor = 0, None
    while True:
        page = search_log(log, HistoryFilter(since=NOW + 199), cursor=cursor, seconds=0)
        pages += 1
        if (cursor := page.cursor) is None:
            break
    assert 5 <= pages <= 9


def test_old_lines_among_damage_still_end_the_search(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", 1000)
    monkeypatch.setattr(module, "_ENOUGH", 1000)
    write(older(log, 1), numbered(50))
    old = [each for line in numbered(*range(9)) for each in (line, *[b"\x00" * 50] * 100)]
    write(log, [*old, *numbered(99)])
    assert names(search_log(log, HistoryFilter(since=NOW + 20)).records) == ["n99"]


def test_until_lets_younger_ones_out(log: Path) -> None:
    write(log, numbered(1, 2, 3, 4))
    assert names(search_log(log, HistoryFilter(since=NOW + 2, until=NOW + 4)).records) == [
        "n3",
        "n2",
    ]


def test_a_log_that_is_rotated_while_it_is_opened_is_read_once(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, numbered(1, 2))

    def rotated(path: Path) -> list[Path]:
        set_aside(path)
        return rotated_files(path)

    monkeypatch.setattr(files, "rotated_files", rotated)
    assert names(search_log(log, ALL).records) == ["n2", "n1"]


def test_detections_are_searched_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / DETECTS
    write(path, [line("a", outcome=BAD), line("b", outcome=BAD, late=True, door=Door.FOLDER)])
    found = search_log(path, HistoryFilter(door="folder", outcome="DETECT"))
    assert [(each["name"], each["late"]) for each in found.records] == [("b", True)]
