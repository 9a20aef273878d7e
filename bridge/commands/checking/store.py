"""The verdict store, without a trace: a file is not made, not migrated and not written."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bridge.commands.checking.line import Line, failed, ok
from bridge.commands.checking.rights import file_fault, mend_folder, own_folder_fault
from bridge.core import SCHEMA_VERSION, Settings, StartError, StoreError, open_verdicts, show_hash

_AREA = "verdicts"
_NOBODY = "0" * 64
_OWN = (
    "run this check as the service's user; if that is who did, have him own file and folder "
    "(chown), or name another in verdicts.store"
)
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
        return failed(_AREA, sentence, mend_folder(fault, _OWN))
    if not path.exists():
        return ok(_AREA, f"{key} is not there yet: the first start makes it")
    for each in (path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", ".lock"))):
        fault = file_fault(each)
        if fault is not None:
            return failed(_AREA, f"{each} {fault}", _OWN)
    try:
        version, verdicts = _read(path)
    except sqlite3.Error as error:
        advice = "a daemon sets a damaged file aside by itself and begins anew; look at the disk"
        return failed(_AREA, f"{key} cannot be read: {error}", advice)
    if not 0 <= version <= SCHEMA_VERSION:
        sentence = f"{key} was written by a later katabridge (version {version} of its tables)"
        return failed(_AREA, sentence, "install that one, or name another file in verdicts.store")
    return ok(_AREA, f"{key} can be read and written, {verdicts} verdicts are known")


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
