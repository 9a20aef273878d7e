"""The verdict store, without a trace: a file is not made, not migrated and not written."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bridge.commands.checking.line import Line, failed, ok, warning
from bridge.commands.checking.rights import file_fault, mend, own_folder_fault
from bridge.commands.checking.room import minding_files, room
from bridge.commands.words import size_words
from bridge.core import SCHEMA_VERSION, Settings, StartError, StoreError, open_verdicts, show_hash

_AREA = "verdicts"
_NOBODY = "0" * 64
_OWN = (
    "run this check as the service's user; if that is who did, have him own file and folder "
    "(chown), or name another in verdicts.store"
)
_GROW = "free space there, or name a file on another disk in verdicts.store"
_LEAST_ROOM = 1 << 20  # bytes: a new file, and its log of changes
_LITTLE_ROOM = 50 << 20  # some 200,000 verdicts
_REDIS = "see whether the redis runs, and whether address, password and TLS in verdicts.store fit"


def look_at_store(settings: Settings) -> Iterator[Line]:
    """Whether verdicts can be read, and written as far as rights go. Blocks: disk, network."""
    url = settings.verdicts.store
    if url.startswith("sqlite://"):
        yield look_at_file(Path(url.removeprefix("sqlite://")))
        return
    try:
        asyncio.run(_ask(settings))
    except (StartError, StoreError) as error:
        yield failed(_AREA, str(error), _REDIS)
    else:
        yield ok(_AREA, "the redis of verdicts.store answers")


def look_at_file(path: Path) -> Line:
    """The same for a SQLite file. Blocks: disk."""
    key = f"verdicts.store ({path})"
    fault = own_folder_fault(path.parent)
    if fault is not None:
        sentence = f"the folder of {key}, {path.parent}, {fault}"
        return failed(_AREA, sentence, mend(fault, _OWN))
    if not path.exists():
        return _with_room(path, key, "is not there yet: the first start makes it")
    for each in (path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", ".lock"))):
        fault = file_fault(each)
        if fault is not None:
            return failed(_AREA, f"{each} {fault}", mend(fault, _OWN))
    try:
        version, verdicts = _read(path)
    except sqlite3.Error as error:
        advice = "a daemon sets a damaged file aside by itself and begins anew; look at the disk"
        return failed(_AREA, f"{key} cannot be read: {error}", advice)
    if not 0 <= version <= SCHEMA_VERSION:
        sentence = f"{key} was written by a later katabridge (version {version} of its tables)"
        return failed(_AREA, sentence, "install that one, or name another file in verdicts.store")
    return _with_room(path, key, f"can be read and written, {verdicts} verdicts are known")


def _with_room(path: Path, key: str, good: str) -> Line:
    """What is good of a file, unless its disk has no room for it."""
    left = room(path.parent)
    return minding_files(judge_store_room(key, left.free, good), key, left.files)


def judge_store_room(key: str, free: int | None, good: str) -> Line:
    """Whether verdicts have a place: `free` bytes (None: nobody knows); `good` is said where they
    have. Pure."""
    if free is None or free >= _LITTLE_ROOM:
        return ok(_AREA, f"{key} {good}")
    sentence = f"{key} has {size_words(free)} free on its disk"
    if free < _LEAST_ROOM:
        sentence += ": once there is none no verdict is kept, and icapd may not start"
        return failed(_AREA, sentence, _GROW)
    return warning(_AREA, sentence, _GROW)


def _read(path: Path) -> tuple[int, int]:
    """Version of the tables, and how many verdicts there are."""
    # beside a daemon as a reader; else unchanged by definition, or files would be made for the log
    how = "mode=ro" if Path(f"{path}-shm").exists() else "immutable=1"
    # an empty authority, or a path that begins with two slashes would be taken to have one
    with contextlib.closing(sqlite3.connect(f"file://{quote(str(path))}?{how}", uri=True)) as db:
        db.execute("PRAGMA busy_timeout=3000")
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version != SCHEMA_VERSION:
            return version, 0
        return version, int(db.execute("SELECT verdicts FROM totals").fetchone()[0])


async def _ask(settings: Settings) -> None:
    store = open_verdicts(settings)
    try:
        await show_hash(store, _NOBODY)
    finally:
        await store.close()
