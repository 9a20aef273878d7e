"""The embedded verdict store: one SQLite file, used by all processes of a node."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from bridge.core.model import OutcomeKind
from bridge.core.verdicts.store import StoreError, Verdict

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS verdicts (
    sha256 TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    time REAL NOT NULL,
    expires REAL NOT NULL,
    threat TEXT,
    technology TEXT,
    scan_id TEXT,
    md5 TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS verdicts_expires ON verdicts (expires);
"""
_BUSY_SECONDS = 5.0
_PURGE_EVERY = 1000

T = TypeVar("T")


class SqliteVerdicts:
    """A VerdictStore on a SQLite file; all work happens in one thread of its own."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; StoreError where that fails. Blocks: disk."""
        self._path = path
        self._puts = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="verdicts")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = self._thread.submit(self._open).result()
        except (sqlite3.Error, OSError) as error:
            self._thread.shutdown()
            raise StoreError(f"the verdict store {path} cannot be used: {error}") from None

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _SCHEMA_VERSION):
                raise sqlite3.DatabaseError(f"its schema has version {version}")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version={_SCHEMA_VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    async def get(self, sha256: str) -> Verdict | None:
        """See VerdictStore."""
        return await self._run(self._get, sha256)

    def _get(self, sha256: str) -> Verdict | None:
        row = self._db.execute(
            "SELECT sha256, kind, time, expires, threat, technology, scan_id, md5 "
            "FROM verdicts WHERE sha256 = ? AND expires > ?",
            (sha256, time.time()),
        ).fetchone()
        return Verdict(row[0], OutcomeKind(row[1]), *row[2:]) if row else None

    async def put(self, verdict: Verdict) -> None:
        """See VerdictStore."""
        await self._run(self._put, verdict)

    def _put(self, v: Verdict) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (v.sha256, v.kind, v.time, v.expires, v.threat, v.technology, v.scan_id, v.md5),
        )
        self._puts += 1
        if self._puts % _PURGE_EVERY == 0:
            self._db.execute("DELETE FROM verdicts WHERE expires <= ?", (time.time(),))

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, function, *arguments)
        except (sqlite3.Error, ValueError) as error:
            raise StoreError(f"the verdict store {self._path} fails: {error}") from error

    async def close(self) -> None:
        """See VerdictStore."""
        await self._run(self._db.close)
        self._thread.shutdown()
