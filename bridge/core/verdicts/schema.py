"""The tables of the SQLite verdict store, their versions, and how a file is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bridge.core.private import make_private

VERSION = 2
_BUSY_SECONDS = 5.0

_VERDICTS_V1 = """
CREATE TABLE verdicts (
    sha256 TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    time REAL NOT NULL,
    expires REAL NOT NULL,
    threat TEXT,
    technology TEXT,
    scan_id TEXT,
    md5 TEXT
) WITHOUT ROWID;
CREATE INDEX verdicts_expires ON verdicts (expires);
"""
# The count is kept by triggers: counting a million rows at each put would take too long.
_TO_V2 = """
ALTER TABLE verdicts ADD COLUMN rule TEXT;
ALTER TABLE verdicts ADD COLUMN importance TEXT;
CREATE INDEX verdicts_age ON verdicts (rule IS NOT NULL, time);
CREATE TABLE claims (
    sha256 TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    token INTEGER NOT NULL,
    ends REAL NOT NULL,
    seconds REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX claims_ends ON claims (ends);
CREATE TABLE totals (verdicts INTEGER NOT NULL);
INSERT INTO totals SELECT count(*) FROM verdicts;
CREATE TRIGGER verdicts_more AFTER INSERT ON verdicts
    BEGIN UPDATE totals SET verdicts = verdicts + 1; END;
CREATE TRIGGER verdicts_fewer AFTER DELETE ON verdicts
    BEGIN UPDATE totals SET verdicts = verdicts - 1; END;
"""
_MIGRATIONS = (_VERDICTS_V1, _TO_V2)


class NewerSchemaError(Exception):
    """The file was written by a later katabridge; it is not touched."""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the file, made or brought to this version where needed. Blocks: disk.

    NewerSchemaError, sqlite3.Error, OSError. Run by one process at a time (`damage.locked`).
    """
    make_private(path)  # who can write it can forge "clean"
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    db.text_factory = lambda raw: raw.decode(errors="replace")  # damaged text is no error yet
    try:
        _refuse_newer(db)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA cell_size_check=ON")
        _migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _refuse_newer(db: sqlite3.Connection) -> None:
    version = _version(db)
    if not 0 <= version <= VERSION:
        raise NewerSchemaError(
            f"its schema has version {version}, and this katabridge knows {VERSION} at most: "
            "install the one that wrote it, or name another file"
        )


def _migrate(db: sqlite3.Connection) -> None:
    version = _version(db)
    if version == VERSION:
        return
    statements = "".join(_MIGRATIONS[version:])
    db.executescript(f"BEGIN IMMEDIATE; {statements} PRAGMA user_version={VERSION}; COMMIT;")
