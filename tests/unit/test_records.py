"""What is left of a case, and that no line of it is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import (
    Case,
    Decision,
    Door,
    KnownBytes,
    Mode,
    Outcome,
    OutcomeKind,
    Source,
    printable,
)
from bridge.core.linelog import LineLog
from bridge.core.model import new_case_id
from bridge.core.records import Records, format_record
from bridge.core.rotation import set_aside
from bridge.core.settings import LogSettings

KEYS = [
    *("time", "case", "door", "name", "size", "sha256", "md5", "outcome", "source", "decision"),
    *("late", "mode", "rule", "detail", "threat", "technology", "importance", "scan_id"),
    *("waited_ms", "context"),
]
CLEAN = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA, md5="m", scan_id="s")
BAD = Outcome(OutcomeKind.DETECT, Source.KNOWN, threat="EICAR", technology="am")


def case(name: str = "a.bin") -> Case:
    return Case(Door.ICAP, Mode.ADVANCED, name, {"url": "http://x/"})


def test_the_keys_are_the_public_ones_in_their_order() -> None:
    record = json.loads(format_record(case(), None, BAD, Decision.BLOCK))
    assert list(record) == KEYS
    assert record["outcome"] == "detect"
    assert record["source"] == "known"
    assert record["decision"] == "block"
    assert record["mode"] == "blocking_advanced"
    assert record["late"] is False
    assert record["time"][-6] in "+-"


@given(st.text())
def test_no_name_breaks_a_line_or_a_terminal(name: str) -> None:
    line = format_record(case(name), None, CLEAN, Decision.PASS)
    assert all(0x20 <= byte < 0x7F for byte in line)
    assert json.loads(line)["name"] == name


def test_a_name_that_is_not_utf8_is_recorded(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    assert json.loads(format_record(case(name), None, CLEAN, Decision.PASS))["name"] == name
    assert tmp_path.exists()


def test_every_case_goes_to_history_and_detections_to_both(tmp_path: Path) -> None:
    records = Records(LogSettings(dir=str(tmp_path)), tmp_path / "queue")
    assert records.write(b"clean", detection=False)
    assert records.write(b"bad", detection=True)
    assert records.write(b"late", history=False, detection=True)
    records.close()
    assert (tmp_path / "log-history.log").read_text().splitlines() == ["clean", "bad"]
    assert (tmp_path / "log-detects.log").read_text().splitlines() == ["bad", "late"]


def test_cases_that_have_a_record_are_found_past_a_rotation(tmp_path: Path) -> None:
    cases = [case(), case('"case":"0123456789abcdef"'), case()]
    records = Records(LogSettings(dir=str(tmp_path)), tmp_path / "queue")
    for each in cases[:2]:
        records.write(format_record(each, None, CLEAN, Decision.PASS), detection=False)
    set_aside(tmp_path / "log-history.log")
    ids = {each.id for each in cases}
    assert records.present({*ids, "0123456789abcdef"}, 0).history == {cases[0].id, cases[1].id}
    assert records.present([], 0).history == set()
    records.close()


def test_a_late_line_is_told_from_the_record_of_a_detection(tmp_path: Path) -> None:
    early, late = case(), case('","late":true,"')
    records = Records(LogSettings(dir=str(tmp_path)), tmp_path / "queue")
    records.write(format_record(early, None, BAD, Decision.BLOCK), detection=True)
    records.write(format_record(late, None, CLEAN, Decision.PASS), detection=False)
    line = format_record(late, None, BAD, Decision.PASS, late=True)
    records.write(line, history=False, detection=True)
    found = records.present({early.id, late.id}, 0)
    assert found == ({early.id, late.id}, {early.id}, {late.id})
    records.close()


def test_case_ids_differ_and_sort_by_time() -> None:
    ids = [new_case_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(len(each) == 16 for each in ids)
    assert ids[0][:9] <= ids[-1][:9]


def test_lines_wait_in_memory_while_the_disk_is_full_and_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = LineLog(tmp_path / "x.log")
    full = os.open("/dev/full", os.O_WRONLY)
    write, fail = os.write, True

    def maybe_full(descriptor: int, data: bytes) -> int:
        return write(full if fail else descriptor, data)

    monkeypatch.setattr(os, "write", maybe_full)
    for number in range(3):
        log.write(b"%d" % number)
    fail = False
    log.write(b"3")
    monkeypatch.undo()
    log.close()
    os.close(full)
    assert (tmp_path / "x.log").read_text().splitlines() == ["0", "1", "2", "3"]
    said = capsys.readouterr().err
    assert said.count("cannot be written: No space left on device") == 1
    assert "can be written again; nothing is missing" in said


def test_a_write_that_was_cut_short_does_not_spoil_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LineLog(tmp_path / "x.log")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    log.write(b"first line")
    monkeypatch.undo()
    log.write(b"second line")
    log.close()
    lines = (tmp_path / "x.log").read_text().splitlines()
    assert lines == ["fir", "first line", "second line"]


def test_what_cannot_be_written_at_the_end_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = LineLog(tmp_path / "x.log")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.write(b"1")
    log.write(b"2")
    log.close()
    assert "2 lines are lost" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.txt", "plain name.txt"),
        ("имя.txt", "имя.txt"),
        ("a\nb", "a\\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\udce9", "a\\udce9"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@settings(deadline=None, max_examples=150)
@given(
    st.tuples(*[st.none() | st.text(max_size=12)] * 7),
    st.dictionaries(st.sampled_from(["url", "user", "note"]), st.none() | st.text(), max_size=3),
    st.text(),
    st.sampled_from(OutcomeKind),
    st.booleans(),
    st.none() | st.integers(0, 1 << 50),
)
def test_a_record_is_the_json_of_its_keys(  # noqa: PLR0917 - all of a record
    said: tuple[str | None, ...],
    context: dict[str, str | None],
    name: str,
    kind: OutcomeKind,
    late: bool,
    size: int | None,
) -> None:
    detail, *fields = said
    rule, threat, technology, importance, scan_id, md5 = fields
    outcome = Outcome(kind, Source.KATA, detail or "", *fields)
    each = Case(Door.FOLDER, Mode.STANDARD, name, context)
    content = None if size is None else KnownBytes("ab" * 32, size)
    line = format_record(each, content, outcome, Decision.SKIP, late=late)
    record = json.loads(line)
    whole = {
        "time": record["time"],
        "case": each.id,
        "door": "FOLDER",
        "name": name,
        "size": size,
        "sha256": content and content.sha256,
        "md5": md5,
        "outcome": kind.value,
        "source": "kata",
        "decision": "skip",
        "late": late,
        "mode": "blocking_simple",
        "rule": rule,
        "detail": None if outcome.is_verdict else detail or None,
        "threat": threat,
        "technology": technology,
        "importance": importance,
        "scan_id": scan_id,
        "waited_ms": record["waited_ms"],
        "context": context,
    }
    assert line == json.dumps(whole, separators=(",", ":")).encode("ascii")
