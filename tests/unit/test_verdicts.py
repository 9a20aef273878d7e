"""Verdict stores keep KATA's words for their life, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bridge.core.model import Outcome, OutcomeKind, Source
from bridge.core.verdicts import SqliteVerdicts, Verdict, VerdictFront
from bridge.core.verdicts.store import StoreError

KEEP = {OutcomeKind.NOT_DETECTED: 3600.0, OutcomeKind.DETECT: 7200.0}
CLEAN = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA, scan_id="s", md5="m")
BAD = Outcome(OutcomeKind.DETECT, Source.KATA, threat="T", technology="sb")


def run(path: Path, check: Callable[[SqliteVerdicts], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        store = SqliteVerdicts(path)
        try:
            await check(store)
        finally:
            await store.close()

    asyncio.run(main())


def verdict(sha256: str, expires_in: float = 60) -> Verdict:
    now = time.time()
    return Verdict(sha256, OutcomeKind.DETECT, now, now + expires_in, "T", "sb", "s", "m")


def test_a_verdict_comes_back_whole_after_a_restart(tmp_path: Path) -> None:
    kept = verdict("a")

    async def put(store: SqliteVerdicts) -> None:
        await store.put(kept)

    async def get(store: SqliteVerdicts) -> None:
        assert await store.get("a") == kept
        assert await store.get("b") is None

    run(tmp_path / "v.db", put)
    run(tmp_path / "v.db", get)


def test_an_expired_verdict_is_none(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        await store.put(verdict("a", expires_in=-1))
        assert await store.get("a") is None

    run(tmp_path / "v.db", check)


def test_two_processes_see_each_others_verdicts(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        other = SqliteVerdicts(tmp_path / "v.db")
        await other.put(verdict("a"))
        assert await store.get("a") is not None
        await other.close()

    run(tmp_path / "v.db", check)


def test_a_file_that_is_no_store_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "v.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match=r"v\.db cannot be used: file is not a database"):
        SqliteVerdicts(tmp_path / "v.db")


def test_a_store_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "v.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="its schema has version 99"):
        SqliteVerdicts(tmp_path / "v.db")


def front(store: SqliteVerdicts, size: int = 10) -> VerdictFront:
    return VerdictFront(store, KEEP, size)


def test_the_front_answers_from_memory_and_says_that_it_knows(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        known = front(store)
        assert known.peek("a") is None
        await known.put("a", CLEAN)
        outcome = known.peek("a")
        assert outcome is not None
        assert outcome == Outcome(OutcomeKind.NOT_DETECTED, Source.KNOWN, scan_id="s", md5="m")
        assert await front(store).get("a") == outcome

    run(tmp_path / "v.db", check)


@pytest.mark.parametrize("kind", [kind for kind in OutcomeKind if kind not in KEEP])
def test_what_is_no_verdict_is_never_kept(tmp_path: Path, kind: OutcomeKind) -> None:
    async def check(store: SqliteVerdicts) -> None:
        with pytest.raises(ValueError, match="no verdict"):
            await front(store).put("a", Outcome(kind, Source.KATA))

    run(tmp_path / "v.db", check)


def test_each_kind_has_its_own_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(store: SqliteVerdicts) -> None:
        known = front(store)
        await known.put("clean", CLEAN)
        await known.put("bad", BAD)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 3601)
        assert known.peek("clean") is None
        assert known.peek("bad") is not None
        assert await known.get("clean") is None
        monkeypatch.setattr(time, "time", lambda: now + 7201)
        assert await known.get("bad") is None

    run(tmp_path / "v.db", check)


def test_memory_is_bounded_and_the_store_behind_still_knows(tmp_path: Path) -> None:
    async def check(store: SqliteVerdicts) -> None:
        known = front(store, size=2)
        for name in ("a", "b", "c"):
            await known.put(name, CLEAN)
        assert known.peek("a") is None
        assert await known.get("a") is not None

    run(tmp_path / "v.db", check)


def test_a_failing_store_is_said_once_and_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def check(store: SqliteVerdicts) -> None:
        known = front(store)
        await store._run(store._db.execute, "DROP TABLE verdicts")
        assert await known.get("a") is None
        await known.put("a", CLEAN)
        assert known.peek("a") is not None
        assert caplog.text.count("verdicts are kept in memory") == 1

    run(tmp_path / "v.db", check)
