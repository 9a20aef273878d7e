"""The SQLite verdict store alone: several processes, damage, migration, its bound."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core.model import OutcomeKind
from bridge.core.verdicts import SqliteVerdicts, StoreError, Verdict, damage, schema
from tests.support.processes import wait_until

A = "a" * 64
FILLED = 100
GARBAGE = b"this is no database " * 1000

Check = Callable[[SqliteVerdicts], Coroutine[Any, Any, None]]


def run(path: Path, check: Check, **options: Any) -> None:
    async def main() -> None:
        store = SqliteVerdicts(path, **options)
        try:
            async with asyncio.timeout(30):
                await check(store)
        finally:
            await store.close()

    asyncio.run(main())


def verdict(sha256: str, made: float = 0, **changes: Any) -> Verdict:
    made = made or time.time()
    return Verdict(sha256, OutcomeKind.DETECT, made, time.time() + 60, **changes)


def set_aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.damaged-*"))


# Several processes

RACE = """
import asyncio, os, sys, time
from pathlib import Path
from bridge.core.verdicts import SqliteVerdicts

async def main(path, gate, name):
    store = SqliteVerdicts(Path(path))
    Path(f"{gate}.{name}").touch()
    while not os.path.exists(gate):
        time.sleep(0.001)
    start = os.stat(gate).st_mtime + 0.2
    for number in range(200):
        while time.time() < start + number * 0.005:  # all at the same moment
            time.sleep(0.0001)
        claim = await store.claim(f"{number:064x}", name, 60)
        if claim:
            print(number)
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_two_processes_race_for_200_claims(tmp_path: Path) -> None:
    won = _together(tmp_path, RACE, ["one", "two"])
    numbers = [int(line) for output in won for line in output.split()]
    assert sorted(numbers) == list(range(200))


def _together(folder: Path, script: str, names: list[str], before: Any = None) -> list[str]:
    """What each process printed; all go on at once when all are ready."""
    gate = folder / "gate"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, folder / "v.db", gate, name],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for name in names
    ]
    try:
        wait_until(lambda: all((folder / f"gate.{n}").exists() for n in names), "all are ready", 30)
        if before is not None:
            before()
        gate.touch()
        outputs = [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * len(names), outputs
    return outputs


MEET_DAMAGE = """
import asyncio, logging, os, sys, time
from pathlib import Path
from bridge.core.verdicts import SqliteVerdicts, Verdict
from bridge.core.model import OutcomeKind

async def main(path, gate, name):
    logging.basicConfig()
    store = SqliteVerdicts(Path(path))
    await store.get(name)
    Path(f"{gate}.{name}").touch()
    while not os.path.exists(gate):
        time.sleep(0.001)
    now = time.time()
    assert await store.put(Verdict(name, OutcomeKind.DETECT, now, now + 60))
    assert await store.get("kept") is None
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_of_four_processes_that_meet_damage_one_sets_it_aside(tmp_path: Path) -> None:
    path, names = tmp_path / "v.db", ["one", "two", "three", "four"]

    async def put(store: SqliteVerdicts) -> None:
        await store.put(verdict("kept"))

    run(path, put)
    outputs = _together(tmp_path, MEET_DAMAGE, names, lambda: overwrite(path, GARBAGE))
    assert len([p for p in set_aside(path) if not p.name.endswith(("-wal", "-shm"))]) == 1
    assert "".join(outputs).count("is damaged") == 1

    async def check(store: SqliteVerdicts) -> None:
        for name in names:
            assert await store.get(name) is not None, name

    run(path, check)


# Damage


def overwrite(path: Path, content: bytes) -> None:
    """Damage the file behind the back of those who have it open."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=2")  # a change, so that others read the file again
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        descriptor = os.open(path, os.O_WRONLY)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, content, 0)
        os.close(descriptor)


def halved(path: Path) -> bytes:
    return path.read_bytes()[: path.stat().st_size // 2]


def scribbled(path: Path) -> bytes:
    """A file whose head is whole and whose pages are not."""
    content = path.read_bytes()
    return content[:4096] + b"\xa5" * (len(content) - 4096)


DAMAGES: dict[str, Callable[[Path], bytes]] = {
    "garbage": lambda _: GARBAGE,
    "short garbage": lambda _: b"x" * 50,
    "half": halved,
    "cut in a page": lambda path: path.read_bytes()[:5000],
    "scribbled": scribbled,
}


@pytest.fixture(params=DAMAGES)
def harm(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    make = DAMAGES[request.param]
    return lambda path: overwrite(path, make(path))


async def fill(store: SqliteVerdicts) -> None:
    for number in range(FILLED):
        await store.put(verdict(f"{number:064x}", threat="x" * 400))


def test_a_file_damaged_at_rest_is_set_aside(
    tmp_path: Path, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "v.db"
    run(path, fill)
    harm(path)
    run(path, _works_as_new(path))
    assert caplog.text.count("is damaged") == 1
    assert set_aside(path)[0].name in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


def _works_as_new(path: Path) -> Check:
    async def check(store: SqliteVerdicts) -> None:
        for number in range(FILLED):  # what is not damaged may be told until damage is met
            known = await store.get(f"{number:064x}")
            assert known is None or known.kind is OutcomeKind.DETECT
        assert set_aside(path)
        for number in range(FILLED):
            assert await store.get(f"{number:064x}") is None
        claim = await store.claim("c" * 64, "me", 60)
        assert claim is not None
        assert await store.put(verdict("c" * 64), claim)
        assert await store.get("c" * 64) is not None

    return check


@pytest.mark.parametrize("call", ["get", "put", "claim", "forget"])
def test_who_meets_damage_in_mid_life_finds_nothing_known(
    tmp_path: Path, harm: Callable[[Path], None], call: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "v.db"

    async def check(store: SqliteVerdicts) -> None:
        await fill(store)
        harm(path)
        calls: dict[str, Coroutine[Any, Any, object]] = {
            "get": store.get(f"{FILLED - 1:064x}"),
            "put": store.put(verdict(A)),
            "claim": store.claim(A, "me", 60),
            "forget": store.forget(f"{FILLED - 1:064x}"),
        }
        result = await calls.pop(call)
        for other in calls.values():
            other.close()
        assert bool(result) == (call in ("put", "claim"))
        await _works_as_new(path)(store)
        assert caplog.text.count("is damaged") == 1

    run(path, check)


def test_what_belongs_to_a_damaged_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").write_text(suffix)
    damage.set_aside(path, "as a test")
    path.write_text("again")
    damage.set_aside(path, "in the same second")
    assert sorted(p.read_text() for p in set_aside(path)) == ["", "-shm", "-wal", "again"]
    assert len(list(tmp_path.iterdir())) == 4


def test_tables_that_vanish_are_damage(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        await store.put(verdict(A))
        with contextlib.closing(sqlite3.connect(tmp_path / "v.db")) as db:
            db.execute("DROP TABLE verdicts")
        assert await store.get(A) is None
        assert await store.put(verdict(A))

    run(tmp_path / "v.db", check)
    assert set_aside(tmp_path / "v.db")


def _unlink(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def test_a_file_that_somebody_deletes_is_begun_anew_for_all(tmp_path: Path) -> None:
    path = tmp_path / "v.db"

    async def check(store: SqliteVerdicts) -> None:
        other = SqliteVerdicts(path)
        await store.put(verdict(A))
        await asyncio.to_thread(_unlink, path)
        assert await store.get(A) is None
        await store.put(verdict("b"))
        assert await other.get("b") is not None
        await other.close()
        assert await store.get("b") is not None

    run(path, check)


def test_a_row_that_cannot_be_read_is_no_verdict(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        await store.put(verdict(A))
        await store.claim(A, "you", 60)
        with contextlib.closing(sqlite3.connect(tmp_path / "v.db")) as db:
            db.execute("UPDATE verdicts SET kind = 'error', threat = CAST(x'ff' AS TEXT)")
            db.execute("UPDATE claims SET ends = 'never'")
            db.commit()
        assert await store.get(A) is None
        assert await store.claim(A, "me", 60) is not None
        assert await store.put(verdict(A))
        assert await store.get(A) is not None

    run(tmp_path / "v.db", check)


# What is no damage


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_BUSY_SECONDS", 0.05)


def test_a_locked_file_is_a_sentence_and_left_alone_for_a_moment(
    tmp_path: Path, impatient: None
) -> None:
    path = tmp_path / "v.db"

    async def check(store: SqliteVerdicts) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match=r"v\.db fails: database is locked"):
                await store.put(verdict(A))
        with pytest.raises(StoreError, match="left alone for a moment: database is locked"):
            await store.put(verdict(A))
        store._breaker._until = 0
        assert await store.put(verdict(A))

    run(path, check)
    assert not set_aside(path)


@pytest.mark.parametrize(
    ("pragma", "words"), [("max_page_count=1", "is full"), ("query_only=ON", "readonly")]
)
def test_a_full_or_read_only_file_is_a_sentence(tmp_path: Path, pragma: str, words: str) -> None:
    async def check(store: SqliteVerdicts) -> None:
        await store.put(verdict("old"))
        await store._run(lambda db: db.execute(f"PRAGMA {pragma}"))
        with pytest.raises(StoreError, match=words):
            for number in range(1000):
                await store.put(verdict(f"{number:064x}", threat="x" * 1000))
        assert await store.get("old") is not None

    run(tmp_path / "v.db", check)
    assert not set_aside(tmp_path / "v.db")


def test_a_folder_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "v.db").mkdir()
    with pytest.raises(StoreError, match=r"v\.db cannot be used"):
        SqliteVerdicts(tmp_path / "v.db")


def test_who_holds_the_lock_for_ever_stops_nobody_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "_LOCK_SECONDS", 0.05)
    with (
        damage.locked(tmp_path / "v.db"),
        pytest.raises(StoreError, match=r"lock is held by another process"),
    ):
        SqliteVerdicts(tmp_path / "v.db")


# Versions


def test_a_store_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="its schema has version 99"):
        SqliteVerdicts(path)
    assert path.read_bytes() == before
    assert not set_aside(path)


@pytest.fixture
def first_version(tmp_path: Path) -> Iterator[Path]:
    """A file as version 1 left it."""
    path = tmp_path / "v.db"
    now = time.time()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TABLE verdicts (sha256 TEXT PRIMARY KEY, kind TEXT NOT NULL, time REAL NOT NULL"
            ", expires REAL NOT NULL, threat TEXT, technology TEXT, scan_id TEXT, md5 TEXT)"
            " WITHOUT ROWID"
        )
        db.execute("CREATE INDEX verdicts_expires ON verdicts (expires)")
        for number in range(10):
            row = (f"{number}", "detect", now + number, now + 60, "T", "sb", "s", "m")
            db.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.execute("PRAGMA user_version=1")
        db.commit()
    yield path


def test_the_verdicts_of_version_1_are_kept_and_counted(first_version: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        for number in range(10):
            kept = await store.get(f"{number}")
            assert kept is not None
            assert (kept.threat, kept.md5, kept.rule) == ("T", "m", None)
        assert await store.claim("0", "me", 60) is not None
        assert await store.put(verdict("new", time.time() + 100))
        assert await store.get("0") is None  # the oldest of eleven
        assert await store.get("1") is not None

    run(first_version, check, max_entries=10)


# Clocks


def test_a_lease_that_ends_too_far_ahead_counts_as_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(store: SqliteVerdicts) -> None:
        now = time.time()
        mine = await store.claim(A, "me", 60)
        assert mine is not None
        monkeypatch.setattr(time, "time", lambda: now - 3)
        assert await store.claim(A, "you", 60) is None
        monkeypatch.setattr(time, "time", lambda: now - 3600)
        yours = await store.claim(A, "you", 60)
        assert yours is not None
        assert yours.token > mine.token
        assert not await store.renew(mine, 60)

    run(tmp_path / "v.db", check)


def test_tokens_rise_although_the_old_claim_was_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(store: SqliteVerdicts) -> None:
        first = await store.claim(A, "me", 60)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 2 * 3600)
        await store.claim("b", "me", 60)  # clears away
        rows = await store._run(lambda db: db.execute("SELECT sha256 FROM claims").fetchall())
        assert rows == [("b",)]
        second = await store.claim(A, "you", 60)
        assert first is not None
        assert second is not None
        assert second.token > first.token

    run(tmp_path / "v.db", check)


# The bound


def test_the_oldest_go_first_and_a_persons_word_last(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        now = time.time()
        await store.put(verdict("by hand", now - 100, rule="allowed by hand"))
        for number in (3, 1, 2, 4, 5):
            await store.put(verdict(f"{number}", now + number))
        left = [n for n in ("by hand", "1", "2", "3", "4", "5") if await store.get(n)]
        assert left == ["by hand", "4", "5"]

    run(tmp_path / "v.db", check, max_entries=3)


def test_replacing_a_verdict_pushes_nothing_out(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        await store.put(verdict("a"))
        for _ in range(10):
            await store.put(verdict("b"))
        assert await store.get("a") is not None

    run(tmp_path / "v.db", check, max_entries=2)


def test_a_lower_bound_is_reached_in_small_steps(tmp_path: Path) -> None:
    async def count(store: SqliteVerdicts) -> int:
        return int(
            await store._run(lambda db: db.execute("SELECT count(*) FROM verdicts").fetchone()[0])
        )

    async def check(store: SqliteVerdicts) -> None:
        before = await count(store)
        await store.put(verdict("new"))
        assert before - 20 < await count(store) < before
        for number in range(40):
            await store.put(verdict(f"{number}"))
        assert await count(store) == 10

    run(tmp_path / "v.db", fill)
    run(tmp_path / "v.db", check, max_entries=10)


def test_ended_verdicts_are_cleared_away(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        await store.put(Verdict("old", OutcomeKind.DETECT, 1, time.time() + 0.01))
        await asyncio.sleep(0.02)
        await store.put(verdict("new"))
        rows = await store._run(lambda db: db.execute("SELECT sha256 FROM verdicts").fetchall())
        assert rows == [("new",)]

    run(tmp_path / "v.db", check)


def test_no_call_walks_through_a_table(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        seen: set[str] = set()
        await store._run(lambda db: db.set_trace_callback(seen.add))
        claim = await store.claim(A, "me", 60)
        assert claim is not None
        await store.renew(claim, 60)
        await store.put(verdict(A), claim)
        await store.put(verdict("b"))
        await store.get(A)
        await store.forget(A)
        await store.release(claim)
        await store._run(lambda db: db.set_trace_callback(None))
        for statement in seen:
            if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
                plan = await store._run(_plan, statement)
                assert "TEMP B-TREE" not in plan, statement
                assert "SCAN verdicts" not in plan.replace("SCAN verdicts USING", ""), statement
                assert "SCAN claims" not in plan, statement

    run(tmp_path / "v.db", check, max_entries=1)


def _plan(db: sqlite3.Connection, statement: str) -> str:
    return "\n".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}"))


def test_others_may_not_read_it(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        await store.put(verdict(A))
        for name in ("v.db", "v.db-wal", "v.db.lock"):
            assert (tmp_path / name).stat().st_mode & 0o077 == 0, name

    run(tmp_path / "v.db", check)
