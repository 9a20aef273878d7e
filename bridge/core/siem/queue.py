"""A queue of lines on disk, bounded, for one process.

SQLite, because it survives a `kill -9` and a power cut at any moment without a format of our own,
and takes bytes, a bound and "oldest first" as plain SQL. Queue libraries pickle, count items
instead of bytes, or lose their files to a power cut.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bridge.core.private import make_private
from bridge.core.transactions import transaction

_log = logging.getLogger(__name__)

BATCH_LINES = 500

_FILE = "queue.db"
_DAMAGED = "queue.db.damaged"  # one at most: the next one replaces it
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY AUTOINCREMENT, line BLOB NOT NULL)"
)
_PAGE = 4096
_SPARE_PAGES = 256  # of an empty queue, before its file is made smaller
_BUSY_SECONDS = 1.0
_BATCH_BYTES = 1 << 20
# SQLITE_ERROR: a table of ours is missing or different
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}

T = TypeVar("T")


class QueueError(Exception):
    """The queue cannot be used now; the text says why."""


class _Damaged(sqlite3.DatabaseError):
    """What SQLite's own check says."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


@dataclass(frozen=True, slots=True)
class Batch:
    """The oldest lines. `last` is the number of the newest of them, in `generation` of numbers."""

    lines: Sequence[bytes]
    last: int
    generation: int


class DiskQueue:
    """Lines in a folder of this process's own. Any thread may call; all of it blocks: disk.

    A damaged file is set aside, which is said, and a new one begun. Other faults are QueueError,
    and the next call tries again.
    """

    def __init__(self, directory: Path, max_bytes: int, name: str = "syslog") -> None:
        """`max_bytes`: of the file, without a journal of up to 4 MiB; `name`: of the queue, for
        messages. Touches no disk."""
        self.directory = directory
        self.name = name
        self._max_pages = max(1, max_bytes // _PAGE)
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._closed = False
        self._count = 0
        self._generation = 0
        self._delivered = 0  # lines up to this number are done, even if they cannot be deleted

    @property
    def count(self) -> int:
        """Lines in the queue, as far as it could be opened."""
        return self._count

    def put(self, lines: Sequence[bytes]) -> int:
        """Append lines; returns how many of the oldest were dropped to stay within the bound."""
        return self._run(lambda db: self._put(db, lines))

    def peek(self, limit: int = BATCH_LINES) -> Batch | None:
        """The oldest lines, `limit` and about 1 MiB at most; None where there are none."""
        return self._run(lambda db: self._peek(db, limit))

    def remove(self, batch: Batch) -> None:
        """Remove the lines of a batch. Even where this fails, `peek` does not give them again."""
        if batch.generation == self._generation:
            self._delivered = batch.last
            self._run(self._remove_delivered)

    def close(self) -> None:
        """Let go of the file; what is called later is a QueueError."""
        with self._lock:
            self._closed = True
            self._drop_connection()

    # -- with the database -------------------------------------------------------------------------

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return work(self._opened())
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if not _is_damage(error):
                    raise QueueError(str(error)) from None
                self._drop_connection()
                self._set_aside(error)
            try:
                return work(self._opened())
            except sqlite3.Error as error:
                raise QueueError(str(error)) from None

    def _opened(self) -> sqlite3.Connection:
        if self._closed:
            raise QueueError("it is closed")
        if self._db is None:
            try:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._db, self._count = _open(self.directory / _FILE)
            except OSError as error:
                raise QueueError(error.strerror or str(error)) from None
        return self._db

    def _drop_connection(self) -> None:
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _set_aside(self, error: Exception) -> None:
        path, damaged = self.directory / _FILE, self.directory / _DAMAGED
        try:
            path.replace(damaged)
            path.with_name(f"{_FILE}-wal").unlink(missing_ok=True)
        except OSError as fault:
            raise QueueError(f"{error}, and it cannot be set aside: {fault.strerror}") from None
        _log.error(
            "the %s queue %s is damaged (%s); it is kept as %s, and a new one begins",
            *(self.name, path, error, damaged),
        )
        self._generation += 1
        self._delivered = self._count = 0

    def _put(self, db: sqlite3.Connection, lines: Sequence[bytes]) -> int:
        with transaction(db):
            db.executemany("INSERT INTO lines (line) VALUES (?)", ((line,) for line in lines))
            done = self._delete_to(db, self._delivered)
            dropped = 0
            while (excess := _used_pages(db) - self._max_pages) > 0:
                # by halves: a page is not all of lines, and what went too far is lost
                oldest = _oldest(db, excess * _PAGE // 2)
                if oldest is None:
                    break
                dropped += self._delete_to(db, oldest)
        self._count += len(lines) - done - dropped
        return dropped

    def _peek(self, db: sqlite3.Connection, limit: int) -> Batch | None:
        rows = db.execute(
            "SELECT id, CAST(line AS BLOB) FROM lines WHERE id > ? ORDER BY id LIMIT ?",
            (self._delivered, limit),
        )
        taken: list[tuple[int, bytes]] = []
        size = 0
        for number, line in rows:
            taken.append((number, line))
            size += len(line)
            if size >= _BATCH_BYTES:
                break
        rows.close()
        if not taken:
            return None
        return Batch([line for _, line in taken], taken[-1][0], self._generation)

    def _remove_delivered(self, db: sqlite3.Connection) -> None:
        with transaction(db):
            deleted = self._delete_to(db, self._delivered)
        self._count -= deleted
        if not self._count and _pragma(db, "freelist_count") > _SPARE_PAGES:
            # each step frees one page, and only a script is stepped to its end
            db.executescript("PRAGMA incremental_vacuum")

    @staticmethod
    def _delete_to(db: sqlite3.Connection, last: int) -> int:
        return db.execute("DELETE FROM lines WHERE id <= ?", (last,)).rowcount


def _is_damage(error: Exception) -> bool:
    # SQLite quotes a damaged schema in its message, which is then no UTF-8
    if isinstance(error, UnicodeDecodeError):
        return True
    # the low byte is the kind, the rest says more about it
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _open(path: Path) -> tuple[sqlite3.Connection, int]:
    """The database and how many lines it holds. Locked: a folder is for one process."""
    make_private(path)  # its lines name users and addresses
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA page_size={_PAGE}")
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA journal_size_limit={1 << 20}")
        with transaction(db):
            db.execute(_SCHEMA)
        if (found := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise _Damaged(found)
        count = db.execute("SELECT COUNT(line) FROM lines").fetchone()[0]
    except BaseException:
        db.close()
        raise
    return db, count


def _pragma(db: sqlite3.Connection, name: str) -> int:
    value: int = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value


def _used_pages(db: sqlite3.Connection) -> int:
    return _pragma(db, "page_count") - _pragma(db, "freelist_count")


def _oldest(db: sqlite3.Connection, size: int) -> int | None:
    """The number up to which lines hold about `size` bytes, 1,000 lines at most; None: no lines."""
    last = None
    for number, length in db.execute("SELECT id, length(line) FROM lines ORDER BY id LIMIT 1000"):
        last = number
        size -= length
        if size <= 0:
            break
    return last
