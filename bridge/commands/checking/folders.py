"""The folders of `kata-bridge watch`. All of it blocks: disk, and shares that may hang."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from bridge.commands.checking.disk import service_user
from bridge.commands.checking.line import Line, failed, ok, warning
from bridge.commands.checking.rights import folder_fault, mend, user_name
from bridge.commands.checking.room import room
from bridge.commands.checking.running import TooSlowError, begin, result_within
from bridge.commands.words import size_words
from bridge.core import FolderSettings, Settings
from bridge.folder.listing import ignoring
from bridge.folder.mounts import AwayError, Mount, SamePlace, mount_around, parse_mounts
from bridge.folder.places import OWN_PREFIX
from bridge.folder.sticky import keeps_files_of_others, sticky_words

SECONDS = 10.0
_KEYS = ("input", "output", "quarantine")
_CLAIMS = ".katabridge"
_MOUNTINFO = Path("/proc/self/mountinfo")
_SHARES = ("cifs", "nfs", "nfs4", "smb3", "fuse", "9p", "ceph", "glusterfs")
_LEAST_OBJECTS = 10
_MOST_ENTRIES = 300  # of an input; each is a question to a share
_RIGHTS = "run this check as the service's user; if that is who did, give him these rights"
_HANGS = "see whether its server and the network are up; a hard mount waits for ever"


class _FaultError(Exception):
    """Something is wrong with a folder: a sentence, and what to do."""

    def __init__(self, sentence: str, advice: str) -> None:
        super().__init__(sentence)
        self.sentence, self.advice = sentence, advice


def look_at_folders(settings: Settings) -> Iterator[Line]:
    """The three places of each folder, all at once, so that one that hangs holds up none."""
    if not settings.folders:
        yield ok("folders", "none is configured: there is nothing for `kata-bridge watch`")
        return
    end = time.monotonic() + SECONDS
    begun = [
        (folder, {key: begin(_look_at_place, folder, key, settings) for key in _KEYS})
        for folder in settings.folders
    ]
    for folder, looks in begun:
        yield from _lines(folder, looks, end)


def hanging_shares() -> list[str]:
    """Where network file systems are mounted that do not answer."""
    mounts = [mount for mount in _mounts() if is_share(mount)]
    begun = [(mount, begin(os.statvfs, mount.point)) for mount in mounts]
    return [mount.point for mount, look in begun if _hangs(look)]


def is_share(mount: Mount | None) -> bool:
    """Whether other machines may write there."""
    return mount is not None and mount.kind.partition(".")[0] in _SHARES


def _hangs(look: Future[os.statvfs_result]) -> bool:
    try:
        result_within(3.0, look)
    except TooSlowError:
        return True
    except OSError:
        return False
    return False


def _lines(
    folder: FolderSettings, looks: dict[str, Future[list[Line]]], end: float
) -> Iterator[Line]:
    area = _area(folder)
    for key, look in looks.items():
        path = getattr(folder, key)
        try:
            yield from result_within(end - time.monotonic(), look)
        except TooSlowError:
            sentence = f"{key} ({path}) did not answer within {SECONDS:.0f} s"
            yield failed(area, sentence, _HANGS)
        except _FaultError as fault:
            yield failed(area, fault.sentence, fault.advice)
        except OSError as error:
            yield failed(area, f"{key} ({path}) cannot be used: {error.strerror}", _HANGS)


def _look_at_place(folder: FolderSettings, key: str, settings: Settings) -> list[Line]:
    path: Path = getattr(folder, key)
    found: list[Line] = []
    where = f"{key} ({path})"
    try:
        SamePlace(path).check()
    except AwayError as error:
        if error.strerror and "not mounted" in error.strerror:
            advice = "mount it, or take it out of /etc/fstab; files are waited for meanwhile"
            raise _FaultError(f"{where}: {error.strerror}", advice) from None
    except PermissionError:
        pass  # which the next line words
    fault = folder_fault(path)
    if fault is not None:
        advice = mend(fault, _RIGHTS)
        raise _FaultError(f"{where} {fault}", f"{advice}, or correct folders in the configuration")
    if key == "input":
        found += _check_sticky(folder, settings.spool.dir)
        _check_claims(path)
    mount = mount_around(os.path.realpath(path), _mounts())
    return [*found, _judge_room(_area(folder), key, path, mount, settings.kata.max_object_size)]


def _check_sticky(folder: FolderSettings, spool: Path) -> Iterator[Line]:
    """Files that other users drop do not leave a sticky folder that is not ours."""
    path = folder.input
    state = path.stat()
    # what the service may do another user does not know
    if not keeps_files_of_others(state) or service_user(spool) != os.geteuid():
        return
    sentence = f"input ({path}) {sticky_words(state)}, so that those of other users stay there"
    advice = f"have {user_name()} own it (chown), or chmod -t it"
    name = _of_others(folder)
    if name is not None:
        raise _FaultError(f"{sentence}, such as {name} now", advice)
    yield warning(_area(folder), sentence, f"if others put files there {advice}")


def _of_others(folder: FolderSettings) -> str | None:
    """The name of a file of another user in the input, if one is among the first there."""
    ignored = ignoring(folder.ignore)
    with os.scandir(folder.input) as entries:
        for entry in itertools.islice(entries, _MOST_ENTRIES):
            if entry.name.lower().startswith(OWN_PREFIX) or ignored(entry.name):
                continue
            with contextlib.suppress(FileNotFoundError):  # judged in the meantime
                is_others = entry.stat(follow_symlinks=False).st_uid != os.geteuid()
                if is_others and entry.is_file(follow_symlinks=False):
                    return entry.name
    return None


def _check_claims(path: Path) -> None:
    """Files are claimed by a rename into a folder inside: it must be one, and on the same disk."""
    claims = path / _CLAIMS
    if not claims.exists() and not claims.is_symlink():
        return
    if claims.is_symlink() or not claims.is_dir():
        sentence = f"{claims} is a link or a file, so that nothing can be claimed"
        raise _FaultError(sentence, "remove it; it is katabridge's own folder")
    if claims.stat().st_dev != path.stat().st_dev:
        sentence = f"{claims} is another file system than the input, so that no rename leads there"
        raise _FaultError(sentence, "unmount what is mounted there")
    fault = folder_fault(claims)
    if fault is not None:
        advice = mend(fault, _RIGHTS)
        raise _FaultError(f"{claims} {fault}", advice)


def _judge_room(area: str, key: str, path: Path, mount: Mount | None, largest: int) -> Line:
    free = room(path).free
    kind = f"{mount.kind} {mount.source} on {mount.point}" if mount is not None else "unknown disk"
    where = f"{key} ({path}, {kind})"
    if free is None:
        return ok(area, f"{where} can be used")
    if key != "input" and free < largest:
        sentence = f"{where} has {size_words(free)} free, less than one object may have "
        advice = "free space there: what cannot be delivered stays in input"
        return failed(area, f"{sentence}(kata.max_object_size, {size_words(largest)})", advice)
    if key != "input" and free < _LEAST_OBJECTS * largest:
        sentence = f"{where} has {size_words(free)} free, little for objects of up to "
        return warning(area, f"{sentence}{size_words(largest)}", "free space there")
    others = " (other machines may write there)" if is_share(mount) and key == "input" else ""
    return ok(area, f"{where} can be used, {size_words(free)} free{others}")


def _mounts() -> list[Mount]:
    try:
        return parse_mounts(_MOUNTINFO.read_bytes().decode("utf-8", "surrogateescape"))
    except OSError:
        return []


def _area(folder: FolderSettings) -> str:
    return f"folder {folder.name}"
