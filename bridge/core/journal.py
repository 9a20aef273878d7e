"""What one instance has under way, on disk: scans at KATA, cases to come back to, records to write.

It survives `kill -9`: the next process of the same instance goes on where this one was cut off.
One SQLite file beside the spool; all work happens in one thread of its own.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from bridge.core.caseform import case_from_text
from bridge.core.private import make_private
from bridge.core.transactions import transaction

_log = logging.getLogger(__name__)

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS scans (
    scan_id TEXT PRIMARY KEY, node TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    md5 TEXT, sent REAL NOT NULL, state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cases (
    case_id TEXT PRIMARY KEY, kind TEXT NOT NULL, data TEXT NOT NULL,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, until REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    case_id TEXT PRIMARY KEY, line BLOB NOT NULL, detection INTEGER NOT NULL, note TEXT,
    time REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (node TEXT PRIMARY KEY, token TEXT NOT NULL) WITHOUT ROWID;
"""

T = TypeVar("T")


class JournalError(Exception):
    """The journal cannot be written; the text is one sentence."""


class ScanPhase(StrEnum):
    """How far a scan is: `SENT` may not have arrived, `DONE` is only to be DELETEd."""

    SENT = "sent"
    ACCEPTED = "accepted"
    DONE = "done"


class CaseKind(StrEnum):
    """`LATER`: to be judged and recorded; `PASSED`: recorded, passed without a verdict."""

    LATER = "later"
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class KeptScan:
    """A scan that KATA holds or may hold. `sent` in seconds since the epoch."""

    scan_id: str
    node: str
    sha256: str
    size: int
    md5: str | None
    sent: float
    phase: ScanPhase


@dataclass(frozen=True, slots=True)
class KeptCase:
    """A case whose body lies in the spool under its id. `until`: seconds since the epoch."""

    case_id: str
    kind: CaseKind
    data: str
    sha256: str
    size: int
    until: float


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record on its way to the log; `note` is what its door does after it."""

    case_id: str
    line: bytes
    detection: bool
    note: str | None
    time: float


@dataclass(frozen=True, slots=True)
class Kept:
    """All that an earlier process of this instance left behind."""

    scans: list[KeptScan]
    cases: list[KeptCase]
    records: list[KeptRecord]


def _scan(row: tuple[Any, ...]) -> KeptScan:
    scan_id, node, sha256, size, md5, sent, phase = row
    return KeptScan(scan_id, node, sha256, size, md5, sent, ScanPhase(phase))


def _case(row: tuple[Any, ...]) -> KeptCase:
    case_id, kind, data, sha256, size, until = row
    case_from_text(data)  # ValueError where it is damaged
    return KeptCase(case_id, CaseKind(kind), data, sha256, size, until)


def _record(row: tuple[Any, ...]) -> KeptRecord:
    case_id, line, detection, note, when = row
    return KeptRecord(case_id, line, bool(detection), note, when)


class Journal:
    """The journal of one instance. Methods that are awaited return when the disk has it."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; one that is damaged is set aside, aloud.

        OSError or sqlite3.Error where it cannot be had. Blocks: disk.
        """
        self._path = path
        self._failing = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        try:
            self._db = self._thread.submit(self._open_or_replace).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            return self._open()
        except sqlite3.OperationalError:
            raise  # locked, no right, no room: not damage
        except sqlite3.DatabaseError as error:
            aside = self._path.with_name(f"{self._path.name}.damaged-{time.time_ns()}")
            _log.error(
                "the journal %s is damaged (%s): it is set aside as %s; what was under way at KATA "
                "is asked anew",
                self._path,
                error,
                aside.name,
            )
            self._path.rename(aside)
            for suffix in ("-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._open()

    def _open(self) -> sqlite3.Connection:
        make_private(self._path)  # it names users and addresses
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(str(found))
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise sqlite3.OperationalError(f"it is of a newer katabridge (schema {version})")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version={_VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def load(self) -> Kept:
        """What an earlier process left. Blocks: disk."""
        return self._thread.submit(self._load).result()

    def _load(self) -> Kept:
        scans = self._db.execute("SELECT * FROM scans ORDER BY sent").fetchall()
        cases = self._db.execute("SELECT * FROM cases").fetchall()
        records = self._db.execute("SELECT * FROM records ORDER BY time").fetchall()
        return Kept(
            list(self._readable(_scan, scans)),
            list(self._readable(_case, cases)),
            list(self._readable(_record, records)),
        )

    def _readable(
        self, make: Callable[[tuple[Any, ...]], T], rows: list[tuple[Any, ...]]
    ) -> Iterator[T]:
        for row in rows:
            try:
                yield make(row)
            except (ValueError, TypeError) as error:
                _log.error("the journal %s: an entry cannot be read: %s", self._path, error)

    # -- scans: a journal that fails must not stop judging, so these are said and done without ---

    async def scan_sent(self, scan: KeptScan) -> None:
        """Before the POST."""
        values = (*astuple(scan)[:6], scan.phase.value)
        await self._try("INSERT OR REPLACE INTO scans VALUES (?, ?, ?, ?, ?, ?, ?)", *values)

    async def scan_accepted(self, scan_id: str, md5: str | None) -> None:
        """KATA took it."""
        await self._phase(scan_id, ScanPhase.ACCEPTED)
        await self._try("UPDATE scans SET md5 = ? WHERE scan_id = ?", md5, scan_id)

    async def scan_done(self, scan_id: str) -> None:
        """Nothing needs it any longer: it is to be DELETEd."""
        await self._phase(scan_id, ScanPhase.DONE)

    async def scan_gone(self, scan_id: str) -> None:
        """KATA does not hold it, or holds it no longer."""
        await self._try("DELETE FROM scans WHERE scan_id = ?", scan_id)

    async def done_scans(self) -> list[tuple[str, str, float]]:
        """(central node, scanId, when sent) of every scan that is only to be DELETEd."""
        statement = "SELECT node, scan_id, sent FROM scans WHERE state = ?"
        try:
            return await self._run(
                lambda: self._db.execute(statement, (ScanPhase.DONE.value,)).fetchall()
            )
        except JournalError:
            return []

    async def _phase(self, scan_id: str, phase: ScanPhase) -> None:
        await self._try("UPDATE scans SET state = ? WHERE scan_id = ?", phase.value, scan_id)

    async def token(self, node: str) -> str | None:
        """Where the reading of a Central Node's alerts goes on."""
        statement = "SELECT token FROM tokens WHERE node = ?"
        try:
            row = await self._run(lambda: self._db.execute(statement, (node,)).fetchone())
        except JournalError:
            return None
        return str(row[0]) if row else None

    async def set_token(self, node: str, token: str) -> None:
        """Keep that place."""
        await self._try("INSERT OR REPLACE INTO tokens VALUES (?, ?)", node, token)

    # -- cases and records: a promise hangs on these, so they raise JournalError ------------------

    async def keep_case(self, case: KeptCase) -> None:
        """Come back to this case after a restart."""
        values = (case.case_id, case.kind.value, *astuple(case)[2:])
        await self._write("INSERT OR REPLACE INTO cases VALUES (?, ?, ?, ?, ?, ?)", *values)

    async def drop_case(self, case_id: str) -> None:
        """The case is over."""
        await self._try("DELETE FROM cases WHERE case_id = ?", case_id)

    async def keep_record(self, record: KeptRecord) -> None:
        """This record is to be in the log; it ends the wait of its case to be judged."""
        await self._run(lambda: self._keep_record(record))

    def _keep_record(self, record: KeptRecord) -> None:
        with transaction(self._db):
            self._db.execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", astuple(record)
            )
            self._db.execute(
                "DELETE FROM cases WHERE case_id = ? AND kind = ?",
                (record.case_id, CaseKind.LATER.value),
            )

    async def drop_record(self, case_id: str) -> None:
        """The record is in the log, and what its note says is done."""
        await self._try("DELETE FROM records WHERE case_id = ?", case_id)

    # --------------------------------------------------------------------------------------------

    async def _try(self, statement: str, *values: object) -> None:
        with suppress(JournalError):
            await self._write(statement, *values)

    async def _write(self, statement: str, *values: object) -> None:
        await self._run(lambda: self._db.execute(statement, values))

    async def _run(self, work: Callable[[], T]) -> T:
        future: Future[T] = self._thread.submit(work)
        try:
            result = await asyncio.wrap_future(future)
        except (sqlite3.Error, OSError) as error:
            if not self._failing:
                _log.error("the journal %s fails: %s; a crash may lose cases", self._path, error)
            self._failing = True
            raise JournalError(f"the journal {self._path} fails: {error}") from None
        if self._failing:
            _log.warning("the journal %s works again", self._path)
        self._failing = False
        return result

    def close(self) -> None:
        """Finish what was given and close. Blocks: disk."""

        def end() -> Any:
            self._db.close()

        self._thread.submit(end).result()
        self._thread.shutdown()
