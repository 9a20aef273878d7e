"""The embedded verdict store: one SQLite file, used by all processes of a node."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from bridge.core.verdicts import damage, tables
from bridge.core.verdicts.breaker import Breaker
from bridge.core.verdicts.schema import NewerSchemaError, open_database
from bridge.core.verdicts.store import Claim, StoreError, Verdict, Watch
from bridge.core.verdicts.waiters import Waiters

_MAX_ENTRIES = 1_000_000
_LOOK_AGAIN = 0.25  # seconds: nothing tells of what another process changed
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

P = ParamSpec("P")
T = TypeVar("T")


class SqliteVerdicts:
    """A VerdictStore on a SQLite file; all work happens in one thread of its own.

    Leases are told by the wall clock, which all processes of a host share. A damaged file is set
    aside and a new one begun; a file that was set aside or deleted by others is opened anew.
    """

    def __init__(self, path: Path, max_entries: int = _MAX_ENTRIES) -> None:
        """Open or create the file; StoreError where that fails. Blocks: disk.

        `max_entries`: how many verdicts it holds; the oldest go first, those of a person last.
        """
        self._path = path
        self._max_entries = max_entries
        self._db: sqlite3.Connection | None = None
        self._file: damage.FileId | None = None
        self._breaker = Breaker(f"the verdict store {path}")
        self._waiters = Waiters(lambda: _LOOK_AGAIN)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="verdicts")
        try:
            self._thread.submit(self._start).result()
        except (sqlite3.Error, OSError, NewerSchemaError) as error:
            self._thread.shutdown()
            raise StoreError(f"the verdict store {path} cannot be used: {error}") from None

    async def get(self, sha256: str) -> Verdict | None:
        """See VerdictStore."""
        return await self._run(tables.get, sha256)

    async def put(self, verdict: Verdict, claim: Claim | None = None) -> bool:
        """See VerdictStore."""
        kept = await self._run(tables.put, verdict, claim, self._max_entries)
        self._waiters.wake(verdict.sha256)
        return kept

    async def forget(self, sha256: str) -> bool:
        """See VerdictStore."""
        there = await self._run(tables.forget, sha256)
        self._waiters.wake(sha256)
        return there

    async def claim(self, sha256: str, owner: str, seconds: float) -> Claim | None:
        """See VerdictStore."""
        return await self._run(tables.claim, sha256, owner, seconds)

    async def renew(self, claim: Claim, seconds: float) -> bool:
        """See VerdictStore."""
        return await self._run(tables.renew, claim, seconds)

    async def release(self, claim: Claim) -> None:
        """See VerdictStore."""
        await self._run(tables.release, claim)
        self._waiters.wake(claim.sha256)

    @contextlib.asynccontextmanager
    async def watch(self, sha256: str) -> AsyncIterator[Watch]:
        """See VerdictStore. Its `wait` returns after 0.25 s, news or not."""
        with self._waiters.watch(sha256) as watch:
            yield watch

    async def close(self) -> None:
        """See VerdictStore."""
        with contextlib.suppress(RuntimeError):  # closed already
            await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown()

    async def _run(
        self,
        function: Callable[Concatenate[sqlite3.Connection, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T:
        self._breaker.check()
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(
                self._thread, lambda: self._call(lambda db: function(db, *arguments, **named))
            )
        except RuntimeError:
            raise StoreError(f"the verdict store {self._path} is closed") from None
        except (sqlite3.Error, OSError, ValueError, NewerSchemaError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
                self._breaker.failed(str(error))
            raise StoreError(f"the verdict store {self._path} fails: {error}") from error
        self._breaker.worked()
        return result

    # What follows runs in the thread.

    def _start(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._call(lambda _: None)

    def _call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """The function's result; where the file proves damaged, its result on a new file."""
        try:
            return function(self._connection())
        except sqlite3.Error as error:
            if not damage.is_damage(error):
                raise
            self._replace(str(error))
            return function(self._connection())

    def _connection(self) -> sqlite3.Connection:
        if self._db is None or self._file != damage.file_id(self._path):
            self._drop()
            with damage.locked(self._path):
                self._file = damage.file_id(self._path)
                self._db = open_database(self._path)
                self._file = damage.file_id(self._path)
        return self._db

    def _replace(self, reason: str) -> None:
        """Set the damaged file aside, unless another process has done so since we opened it."""
        self._drop()
        with damage.locked(self._path):
            if self._file == damage.file_id(self._path):
                damage.set_aside(self._path, reason)

    def _drop(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):  # of a damaged file nothing better comes
                self._db.close()
            self._db = None
