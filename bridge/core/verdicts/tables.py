"""The statements of the SQLite verdict store. All block, all raise sqlite3.Error."""

from __future__ import annotations

import sqlite3
import time

from bridge.core.transactions import transaction
from bridge.core.verdicts.codec import from_fields
from bridge.core.verdicts.leases import TOKEN_SECONDS, Lease, renewed, take
from bridge.core.verdicts.store import Claim, Verdict

_BATCH = 16  # rows that one call clears away at most


_FIELDS = (
    *("kind", "time", "expires", "threat", "technology", "importance", "scan_id", "md5", "rule"),
)
_WRITE = (
    f"INSERT INTO verdicts (sha256, {', '.join(_FIELDS)})"  # noqa: S608 - our own names
    f" VALUES (?{', ?' * len(_FIELDS)}) ON CONFLICT (sha256) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _FIELDS)
)


def get(db: sqlite3.Connection, sha256: str) -> Verdict | None:
    """The verdict that is valid now."""
    verdict = _verdict(db, sha256)
    return verdict if verdict is not None and verdict.is_valid(time.time()) else None


def put(db: sqlite3.Connection, verdict: Verdict, claim: Claim | None, max_entries: int) -> bool:
    """Keep a verdict where the claim and the verdict that is there allow it."""
    with transaction(db):
        lease = _lease(db, verdict.sha256)
        if claim is not None and lease is not None and not lease.belongs_to(claim):
            return False
        if lease is not None:
            _write_lease(db, verdict.sha256, lease.ended())
        old = _verdict(db, verdict.sha256)
        now = time.time()
        if old is not None and not verdict.replaces(old, now):
            return False
        _write_verdict(db, verdict)
        _clear_verdicts(db, now, max_entries)
        return True


def forget(db: sqlite3.Connection, sha256: str) -> bool:
    """Drop a verdict; False where there was none."""
    return db.execute("DELETE FROM verdicts WHERE sha256 = ?", (sha256,)).rowcount > 0


def claim(db: sqlite3.Connection, sha256: str, owner: str, seconds: float) -> Claim | None:
    """Take the right to scan, or None while another has it."""
    if take(_lease(db, sha256), owner, seconds, time.time()) is None:
        return None  # who waits asks often: that must not need the write lock
    with transaction(db):
        now = time.time()
        lease = take(_lease(db, sha256), owner, seconds, now)
        if lease is None:
            return None
        _clear_claims(db, now)
        _write_lease(db, sha256, lease)
        return Claim(sha256, owner, lease.token)


def renew(db: sqlite3.Connection, of: Claim, seconds: float) -> bool:
    """Lengthen a lease; False where the claim is no longer its owner's."""
    with transaction(db):
        lease = renewed(_lease(db, of.sha256), of, seconds, time.time())
        if lease is not None:
            _write_lease(db, of.sha256, lease)
        return lease is not None


def release(db: sqlite3.Connection, of: Claim) -> None:
    """Give a claim back, where it is still its owner's."""
    db.execute(
        "UPDATE claims SET owner = '' WHERE sha256 = ? AND owner = ? AND token = ?",
        (of.sha256, of.owner, of.token),
    )


def _verdict(db: sqlite3.Connection, sha256: str) -> Verdict | None:
    row = db.execute(
        f"SELECT {', '.join(_FIELDS)} FROM verdicts WHERE sha256 = ?",  # noqa: S608 - our names
        (sha256,),
    ).fetchone()
    return from_fields(sha256, dict(zip(_FIELDS, row, strict=True))) if row else None


def _write_verdict(db: sqlite3.Connection, v: Verdict) -> None:
    # Not INSERT OR REPLACE: that deletes without a trigger, and the count would rise.
    db.execute(_WRITE, (v.sha256, *(getattr(v, name) for name in _FIELDS)))


def _clear_verdicts(db: sqlite3.Connection, now: float, max_entries: int) -> None:
    """Drop a few that have ended, then a few of the oldest where there are too many."""
    db.execute(
        "DELETE FROM verdicts WHERE sha256 IN"
        " (SELECT sha256 FROM verdicts WHERE expires <= ? LIMIT ?)",
        (now, _BATCH),
    )
    surplus = db.execute("SELECT verdicts FROM totals").fetchone()[0] - max_entries
    if surplus > 0:
        db.execute(
            "DELETE FROM verdicts WHERE sha256 IN"
            " (SELECT sha256 FROM verdicts ORDER BY rule IS NOT NULL, time LIMIT ?)",
            (min(surplus, _BATCH),),
        )


def _lease(db: sqlite3.Connection, sha256: str) -> Lease | None:
    row = db.execute(
        "SELECT owner, token, ends, seconds FROM claims WHERE sha256 = ?", (sha256,)
    ).fetchone()
    if row is None:
        return None
    try:
        return Lease(str(row[0]), int(row[1]), float(row[2]), float(row[3]))
    except (TypeError, ValueError):  # SQLite keeps any type in any column
        return None


def _write_lease(db: sqlite3.Connection, sha256: str, lease: Lease) -> None:
    db.execute(
        "INSERT OR REPLACE INTO claims (sha256, owner, token, ends, seconds)"
        " VALUES (?, ?, ?, ?, ?)",
        (sha256, lease.owner, lease.token, lease.ends, lease.seconds),
    )


def _clear_claims(db: sqlite3.Connection, now: float) -> None:
    """Drop a few that nobody can come back to."""
    db.execute(
        "DELETE FROM claims WHERE sha256 IN (SELECT sha256 FROM claims WHERE ends <= ? LIMIT ?)",
        (now - TOKEN_SECONDS, _BATCH),
    )
