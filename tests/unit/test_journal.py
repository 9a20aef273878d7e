"""What is under way survives the process: kept, reloaded, and set aside when it is damaged."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.core.caseform import case_from_text, case_to_text
from bridge.core.journal import (
    CaseKind,
    Journal,
    JournalError,
    KeptCase,
    KeptRecord,
    KeptScan,
    ScanPhase,
)
from bridge.core.model import Case, Decision, Door, Mode

SCAN = KeptScan("1", "https://cn", "ab", 3, None, 5.0, ScanPhase.SENT)
CASE = case_to_text(Case(Door.ICAP, Mode.MONITOR, "a.bin", {}))
LATER = KeptCase("case", CaseKind.LATER, CASE, "ab", 3, 9.0)
RECORD = KeptRecord("case", b'{"a": 1}', True, "note", 7.0)


def test_a_scan_goes_through_its_phases(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")

    async def work() -> None:
        await journal.scan_sent(SCAN)
        assert journal.load().scans == [SCAN]
        await journal.scan_accepted("1", "md5")
        (scan,) = journal.load().scans
        assert (scan.phase, scan.md5) == (ScanPhase.ACCEPTED, "md5")
        assert await journal.done_scans() == []
        await journal.scan_done("1")
        assert await journal.done_scans() == [("https://cn", "1", 5.0)]
        await journal.scan_gone("1")
        assert journal.load().scans == []

    asyncio.run(work())
    journal.close()


def test_a_record_ends_the_wait_of_its_case_in_one_step(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")

    async def work() -> None:
        await journal.keep_case(LATER)
        await journal.keep_record(RECORD)
        kept = journal.load()
        assert (kept.cases, kept.records) == ([], [RECORD])
        await journal.keep_case(KeptCase("case", CaseKind.PASSED, CASE, "ab", 3, 9.0))
        await journal.keep_record(RECORD)
        assert len(journal.load().cases) == 1, "a passed case lives on after its record"
        await journal.drop_record("case")
        await journal.drop_case("case")
        assert (journal.load().cases, journal.load().records) == ([], [])

    asyncio.run(work())
    journal.close()


CRASH = """
import asyncio, sys
from pathlib import Path
from tests.unit.test_journal import SCAN, KeptCase, CaseKind
LATER = KeptCase("case", CaseKind.LATER, sys.argv[2], "ab", 3, 9.0)
from bridge.core.journal import Journal
journal = Journal(Path(sys.argv[1]))
async def work():
    await journal.scan_sent(SCAN)
    await journal.keep_case(LATER)
    await journal.set_token("https://cn", "t")
    print("kept", flush=True)
    await asyncio.sleep(60)
asyncio.run(work())
"""


def test_what_was_awaited_survives_kill_9(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CRASH, str(tmp_path / "j"), CASE], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"kept\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    journal = Journal(tmp_path / "j")
    kept = journal.load()
    assert (kept.scans, kept.cases) == ([SCAN], [LATER])
    assert asyncio.run(journal.token("https://cn")) == "t"
    journal.close()


def test_a_damaged_journal_is_set_aside_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"this is no database" * 500)
    journal = Journal(path)
    assert journal.load().scans == []
    journal.close()
    (aside,) = tmp_path.glob("j.damaged-*")
    assert aside.read_bytes().startswith(b"this is no database")
    assert aside.name in caplog.text


def test_a_journal_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "j")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(sqlite3.OperationalError, match="newer katabridge"):
        Journal(tmp_path / "j")
    assert (tmp_path / "j").exists()


def test_promises_raise_and_the_rest_goes_on_when_it_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "j")
    other = sqlite3.connect(tmp_path / "j", isolation_level=None)
    other.execute("DROP TABLE scans")
    other.execute("DROP TABLE cases")

    async def work() -> None:
        await journal.scan_sent(SCAN)
        with pytest.raises(JournalError, match="no such table"):
            await journal.keep_case(LATER)
        await journal.set_token("https://cn", "t")

    asyncio.run(work())
    assert caplog.text.count("fails") == 1
    assert "works again" in caplog.text
    other.close()
    journal.close()


def test_a_case_comes_back_as_it_was() -> None:
    case = Case(Door.ICAP, Mode.STANDARD, "naïve\udcff.bin", {"user": None, "url": "http://h/"})
    case.decision, case.size = Decision.PASS, 7
    case.started -= 100
    back = case_from_text(case_to_text(case))
    assert (back.id, back.door, back.mode, back.name) == (case.id, case.door, case.mode, case.name)
    assert (back.context, back.decision, back.size) == (case.context, case.decision, 7)
    assert abs(back.waited_ms - case.waited_ms) < 1000


def test_damage_in_the_middle_of_the_file_is_found_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "j"
    journal = Journal(path)

    async def fill() -> None:
        for number in range(300):
            await journal.keep_record(KeptRecord(f"{number}", b"x" * 500, False, None, 1.0))

    asyncio.run(fill())
    journal.close()
    data = bytearray(path.read_bytes())
    for page in range(8, len(data) // 4096 - 1):
        data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    path.write_bytes(data)
    Journal(path).close()
    assert "is damaged" in caplog.text
    assert list(tmp_path.glob("j.damaged-*"))


def test_an_entry_that_cannot_be_read_is_said_and_the_others_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "j")

    async def work() -> None:
        await journal.keep_case(LATER)
        await journal.keep_case(KeptCase("odd", CaseKind.LATER, "{}", "ab", 3, 9.0))

    asyncio.run(work())
    assert journal.load().cases == [LATER]
    assert "an entry cannot be read" in caplog.text
    journal.close()
