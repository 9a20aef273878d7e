"""The folders that katabridge keeps itself: spool and logs. All of it blocks: disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bridge.commands.checking.line import Line, failed, ok, warning
from bridge.commands.checking.pages import Pages
from bridge.commands.checking.rights import (
    file_fault,
    log_fault,
    mend,
    own_folder_fault,
    user_name,
)
from bridge.commands.checking.room import minding_files, room
from bridge.commands.words import size_words
from bridge.core import (
    DETECTS,
    EVENTS,
    HISTORY,
    VERDICT_LOG,
    WATCH_LOG,
    LogSettings,
    Settings,
    SpoolSettings,
    account_name,
    belongings_of_node,
)

_ROTATED = 3  # so many full log files should still fit
LEAST_LOG_ROOM = 10 << 20  # bytes
_OWN = "run this check as the service's user; if that is who did, have him own it (chown)"
_LOGS = (HISTORY, DETECTS, EVENTS, VERDICT_LOG, WATCH_LOG)


def look_at_user(settings: Settings) -> Iterator[Line]:
    """Whether rights are looked at for the user who needs them."""
    directory = settings.spool.dir
    owner = service_user(directory)
    if owner == os.geteuid():
        yield ok("user", f"runs as {user_name()}, whose rights are looked at")
        return
    name = account_name(owner)
    yield warning(
        "user",
        f"this check runs as {user_name()}, but spool.dir ({directory}) belongs to {name}: "
        f"what {name} may do is not known",
        f"run it as the service's user: sudo -u {name} kata-bridge check",
    )


def service_user(spool: Path) -> int:
    """Whom spool.dir belongs to; who runs this, where it is not there."""
    is_there = os.path.exists(spool)  # noqa: PTH110 - Path's raises where it may not look
    return spool.stat().st_uid if is_there else os.geteuid()


def look_at_spool(settings: Settings) -> Iterator[Line]:
    """Rights and room for the bodies that are judged."""
    spool = settings.spool
    key = f"spool.dir ({spool.dir})"
    fault = own_folder_fault(spool.dir)
    if fault is not None:
        yield failed("spool", f"{key} {fault}", f"{mend(fault, _OWN)}, or correct spool.dir")
        return
    strange = next(_not_ours(spool.dir, settings.kata.node), None)
    if strange is not None:
        path, fault = strange
        yield failed("spool", f"{path} {fault}", mend(fault, _OWN))
        return
    left = room(spool.dir)
    line = judge_room(spool, left.free, used(spool.dir, settings.kata.node))
    yield minding_files(line, key, left.files)


def judge_room(spool: SpoolSettings, free: int | None, in_use: int) -> Line:
    """Whether bodies have a place: `free` bytes on the disk (None: nobody knows), `in_use` by the
    fuller door. Pure."""
    key, grow = f"spool.dir ({spool.dir})", "free space there, or name another disk in spool.dir"
    kept, most = size_words(spool.min_free), size_words(spool.max_bytes)
    if free is not None and free < spool.min_free:
        sentence = f"{key} has {size_words(free)} free, and spool.min_free is {kept}: all bodies "
        return failed("spool", f"{sentence}that do not fit into memory are unavailable", grow)
    if in_use >= spool.max_bytes:
        sentence = f"{key} holds {size_words(in_use)}, and spool.max_bytes is {most}: it is full"
        return failed("spool", sentence, "see whether KATA takes files, or raise spool.max_bytes")
    left = spool.max_bytes - in_use
    if free is not None and free - spool.min_free < left:
        fit = size_words(free - spool.min_free)
        sentence = f"{key} has room for {fit} above spool.min_free, and spool.max_bytes is {most}"
        return warning("spool", sentence, f"{grow}, or lower spool.max_bytes")
    words = "an unknown number of bytes" if free is None else size_words(free)
    return ok("spool", f"{key} can be written, {words} free, {size_words(in_use)} in use")


def used(directory: Path, node: str) -> int:
    """Bytes of the bodies of one door, all workers together: of the fuller one."""
    doors = ("icap", "folder")
    return max(_bytes_below(directory, f"{node}.{door}.") for door in doors)


def look_at_logs(settings: Settings, pages: Pages) -> Iterator[Line]:
    """Rights and room for the records. Blocks: network, too."""
    logs = settings.logs
    key = f"logs.dir ({logs.dir})"
    fault = own_folder_fault(logs.dir)
    if fault is not None:
        yield failed("logs", f"{key} {fault}", f"{mend(fault, _OWN)}, or correct logs.dir")
        return
    for path in (logs.dir / name for name in _LOGS):
        strange = file_fault(path)
        if strange is not None:
            yield failed("logs", f"{path} {strange}", mend(strange, _OWN))
            return
    waiting = sum(page.figure("log_lines_waiting") for page in pages.all() if page.lives)
    left = room(logs.dir)
    yield minding_files(judge_log_room(logs, left.free, waiting), key, left.files)


def look_at_service_log(path: Path) -> Iterator[Line]:
    """Nothing where an installation of KDS can write its own log."""
    fault = log_fault(path)
    if fault is not None:
        advice = f"{mend(fault, _OWN)}, or name another log with --log"
        yield failed("logs", f"the service's log ({path}) {fault}", advice)


def judge_log_room(logs: LogSettings, free: int | None, waiting: int = 0) -> Line:
    """Whether records have a place: `free` bytes (None: nobody knows), and lines that daemons could
    not write. Pure."""
    key = f"logs.dir ({logs.dir})"
    grow = "free space there, or shorten logs.keep"
    if waiting:
        sentence = f"{key} cannot be written by a daemon: {waiting} lines wait in its memory"
        return failed("logs", sentence, f"{grow}, before it is ended: with it they are lost")
    if free is None:
        return ok("logs", f"{key} can be written")
    if free < LEAST_LOG_ROOM:
        sentence = f"{key} has {size_words(free)} free; once there is none, records wait in memory"
        return failed("logs", f"{sentence}, and may be lost", grow)
    if free < _ROTATED * logs.rotate:
        sentence = f"{key} has {size_words(free)} free, less than {_ROTATED} log files take"
        return warning("logs", sentence, grow)
    return ok("logs", f"{key} can be written, {size_words(free)} free")


def _not_ours(directory: Path, node: str) -> Iterator[tuple[Path, str]]:
    """What a daemon of this node keeps there, and this user cannot use: left by another user."""
    if not directory.is_dir():
        return
    for path, is_folder in belongings_of_node(directory, node):
        fault = own_folder_fault(path) if is_folder else file_fault(path)
        if fault is not None:
            yield path, fault


def _bytes_below(directory: Path, prefix: str) -> int:
    if not directory.is_dir():
        return 0
    sizes: dict[int, int] = {}  # by inode: what is kept for later has two names
    for path in directory.iterdir():
        queue = path.suffix in (".syslog", ".notify")  # with limits of their own
        if path.name.startswith(prefix) and path.is_dir() and not queue:
            for each in path.iterdir():
                with contextlib.suppress(FileNotFoundError):  # judged in the meantime
                    state = each.lstat()
                    sizes[state.st_ino] = state.st_size
    return sum(sizes.values())
