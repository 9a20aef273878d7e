"""Takes a file for ourselves by renaming it inside its share. Blocks: disk.

A claimed file lies in `INPUT/.katabridge/<owner>/<case>/<its path>`: of several bridges on one
share one succeeds, and what a crash leaves there says by itself where it belongs.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

from bridge.folder.conflict import numbered
from bridge.folder.listing import look_of
from bridge.folder.mounts import SamePlace
from bridge.folder.opened import (
    BeingWrittenError,
    NotStillError,
    check_still,
    keep_writers_out,
    open_still,
)
from bridge.folder.places import OWN_PREFIX, folder, remove_empty
from bridge.folder.rename import rename_new
from bridge.folder.settle import Look

ALIVE = ".alive"
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN, _PRIVATE = 0o777, 0o700
_MOST_NAMES = 1000


class ClaimError(OSError):
    """Nothing can be claimed in this input."""


class Claims:
    """The files of one input that one owner has taken."""

    def __init__(self, root: Path, owner: str, place: SamePlace) -> None:
        """`owner`: one word for this bridge, different from all others on the share.

        `place`: the root again: a share that is away must not look like files that are gone.
        """
        self._root = root
        self._own = [OWN_PREFIX, owner]
        self._place = place

    def where(self, case_id: str, path: str) -> str:
        """Where a claimed file lies, for people."""
        return str(self._root.joinpath(*self._own, case_id, path))

    def take(self, look: Look, case_id: str) -> Look:
        """Claim exactly the file that was looked at; how it looks now.

        NotStillError where it is gone, changed, or being written. It is then in its place.
        """
        self._place.check()
        above = self._make(look, case_id)
        try:
            with folder(self._root, look.parts) as source, folder(self._root, above) as claim:
                with open_still(source, look) as file:
                    keep_writers_out(file, leases_tell=self._place.leases_tell)
                    # under the lease: nobody begins to write while it moves
                    os.rename(look.name, look.name, src_dir_fd=source, dst_dir_fd=claim)
                claimed = look_of(look.path, os.lstat(look.name, dir_fd=claim))
        except FileNotFoundError:
            remove_empty(self._root, above, len(self._own))
            raise NotStillError from None
        except BaseException:
            remove_empty(self._root, above, len(self._own))
            raise
        if claimed.lasting != look.lasting:  # another file came under this name in between
            self.put_back(case_id, look.path)
            raise NotStillError
        return claimed

    def _make(self, look: Look, case_id: str) -> list[str]:
        above = [*self._own, case_id, *look.parts]
        try:
            with folder(self._root, self._own, make=_OPEN):
                pass
            with folder(self._root, above, make=_PRIVATE):
                return above
        except OSError as error:
            raise ClaimError(error.errno, error.strerror, str(Path(self._root, *above))) from None

    @contextlib.contextmanager
    def open(self, case_id: str, look: Look) -> Iterator[FileIO]:
        """A claimed file, if it still is what was claimed; NotStillError else."""
        with folder(self._root, [*self._own, case_id, *look.parts]) as above:
            file = open_still(above, look)
        with file:
            yield file

    def has(self, case_id: str, look: Look) -> bool:
        """Whether the claimed file is there, changed or not; OSError where nobody can say."""
        self._place.check()
        try:
            with folder(self._root, [*self._own, case_id, *look.parts]) as above:
                return os.lstat(look.name, dir_fd=above).st_ino == look.inode
        except FileNotFoundError:
            return False

    def remove(self, case_id: str, look: Look) -> bool:
        """Remove a claimed file if it still is what was claimed; False: it is new content.

        True where it is gone already. BeingWrittenError where it may yet become new content.
        """
        above = [*self._own, case_id, *look.parts]
        self._place.check()
        try:
            with folder(self._root, above) as claim, open_still(claim, look) as file:
                keep_writers_out(file, leases_tell=self._place.leases_tell)
                check_still(file, look)
                os.unlink(look.name, dir_fd=claim)
        except FileNotFoundError:
            return True
        except BeingWrittenError:
            raise
        except NotStillError:
            return not self.has(case_id, look)
        remove_empty(self._root, above, len(self._own))
        return True

    def put_back(self, case_id: str, path: str) -> Look:
        """Give a file its place in input again; how it looks there.

        Where somebody else's file has the name by now it gets a number: both are to be judged.
        """
        *parts, name = path.split("/")
        above = [*self._own, case_id, *parts]
        with (
            folder(self._root, above) as claim,
            folder(self._root, parts, make=_OPEN) as home,
        ):
            there = _rename_back(claim, home, name)
            look = look_of("/".join([*parts, there]), os.lstat(there, dir_fd=home))
        remove_empty(self._root, above, len(self._own))
        return look

    def left_over(self) -> list[tuple[str, str]]:
        """Case and path of all files that are claimed."""
        self._place.check()
        found = []
        for case_id in _folders(self._root, self._own):
            pending: list[list[str]] = [[]]
            while pending:
                parts = pending.pop()
                above = [*self._own, case_id, *parts]
                pending += [[*parts, inner] for inner in _folders(self._root, above)]
                files = _files(self._root, above)
                found += [(case_id, "/".join([*parts, name])) for name in files]
        return found

    def live(self) -> None:
        """Give a sign of life, if we have claimed anything."""
        with (
            contextlib.suppress(FileNotFoundError),
            folder(self._root, self._own) as own,
            os.fdopen(os.open(ALIVE, _WRITE, 0o600, dir_fd=own), "wb") as file,
        ):
            os.utime(file.fileno())

    def clear(self) -> None:
        """Remove our own folders, as far as they hold no claimed file."""
        with contextlib.suppress(FileNotFoundError), folder(self._root, self._own) as own:
            os.unlink(ALIVE, dir_fd=own)
        for case_id in _folders(self._root, self._own):
            remove_empty(self._root, [*self._own, case_id], len(self._own))
        remove_empty(self._root, self._own, 0)


def _rename_back(claim: int, home: int, name: str) -> str:
    for number in range(1, _MOST_NAMES):
        there = numbered(name, number)
        try:
            rename_new(name, there, above=claim, below=home)
        except FileExistsError:
            if _same(claim, name, home, there):  # a crash between two steps of a rename
                os.unlink(name, dir_fd=claim)
                return there
        else:
            return there
    raise OSError(errno.EEXIST, "too many files of this name", name)


def _same(claim: int, name: str, home: int, there: str) -> bool:
    one, other = os.lstat(name, dir_fd=claim), os.lstat(there, dir_fd=home)
    return (one.st_ino, one.st_dev) == (other.st_ino, other.st_dev)


def _folders(root: Path, parts: list[str]) -> list[str]:
    return _entries(root, parts, os.DirEntry.is_dir)


def _files(root: Path, parts: list[str]) -> list[str]:
    return _entries(root, parts, os.DirEntry.is_file)


def _entries(root: Path, parts: list[str], kind: Callable[..., bool]) -> list[str]:
    try:
        with folder(root, parts) as descriptor, os.scandir(descriptor) as entries:
            return [entry.name for entry in entries if kind(entry, follow_symlinks=False)]
    except FileNotFoundError:
        return []
