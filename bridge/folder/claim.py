"""Takes a file for ourselves by renaming it inside its share. Blocks: disk.

A claimed file lies in `INPUT/.katabridge/<owner>/<case>/<its path>`: of several bridges on one
share one succeeds, and what a crash leaves there says by itself where it belongs.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import time
from bisect import bisect_right
from collections.abc import Collection, Iterator
from io import FileIO

from bridge.folder.conflict import numbered
from bridge.folder.leftover import LeftOver, entries, list_cases, remove_empty_case
from bridge.folder.listing import look_of
from bridge.folder.mounts import NOTHING_THERE, AwayError, SamePlace
from bridge.folder.opened import (
    NotStillError,
    keep_writers_out,
    open_regular,
    open_still,
)
from bridge.folder.places import LIKE_ABOVE, OWN_PREFIX, PRIVATE, folder, remove_empty
from bridge.folder.rename import rename_new
from bridge.folder.settle import Look
from bridge.folder.sticky import fault_of_move

ALIVE = ".alive"
SILENCE_SECONDS = 300.0  # without a sign of life others may soon take over what we have claimed
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_NAMES = 1000


class ClaimError(OSError):
    """Nothing can be claimed in this input, or what is claimed there cannot be read."""


class Claims:
    """The files of one input that one owner has taken."""

    def __init__(self, place: SamePlace, owner: str) -> None:
        """`owner`: one word for this bridge, different from all others on the share."""
        self._place = place
        self._own = [OWN_PREFIX, owner]
        self._lived = time.monotonic()

    @property
    def mounted_on(self) -> str:
        """Where the share of this input is mounted; empty where on none."""
        return self._place.mounted_on

    def where(self, case_id: str, path: str) -> str:
        """Where a claimed file lies, for people."""
        return str(self._place.root.joinpath(*self._own, case_id, path))

    def check_idle(self, look: Look) -> None:
        """NotStillError where a file in input changed, or is being written."""
        with folder(self._place, look.parts) as source, open_still(source, look) as file:
            keep_writers_out(file, self._place)

    def take(self, look: Look, case_id: str) -> Look:
        """Claim exactly the file that was looked at; how it looks now.

        NotStillError where it is gone, changed, or being written. It is then in its place.
        """
        self.check_idle(look)
        above = self._make(look, case_id)
        try:
            with folder(self._place, look.parts) as source, folder(self._place, above) as claim:
                with open_still(source, look) as file:
                    keep_writers_out(file, self._place)
                    # under the lease: nobody begins to write while it moves
                    with self._saying_why(look, source):
                        os.rename(look.name, look.name, src_dir_fd=source, dst_dir_fd=claim)
                claimed = look_of(look.path, os.lstat(look.name, dir_fd=claim))
        except FileNotFoundError:
            remove_empty(self._place, above, len(self._own))
            raise NotStillError from None
        except BaseException:
            remove_empty(self._place, above, len(self._own))
            raise
        if claimed.lasting != look.lasting:  # another file came under this name in between
            self.put_back(case_id, look.path, number=True)
            raise NotStillError
        return claimed

    @contextlib.contextmanager
    def _saying_why(self, look: Look, source: int) -> Iterator[None]:
        """A move that is refused, as a ClaimError where the input refuses it, not this file."""
        try:
            yield
        except PermissionError as error:
            why = fault_of_move(source)
            if why is None or look.parts:  # what lies elsewhere in the input may be moved
                raise
            raise ClaimError(error.errno, f"it {why}", str(self._place.root)) from None

    def _make(self, look: Look, case_id: str) -> list[str]:
        above = [*self._own, case_id, *look.parts]
        try:
            with folder(self._place, self._own[:1], make=LIKE_ABOVE):
                pass
            with folder(self._place, above, make=PRIVATE):
                return above
        except AwayError:
            raise
        except OSError as error:
            where = self.where(case_id, look.path)
            raise ClaimError(error.errno, error.strerror, error.filename or where) from None

    @contextlib.contextmanager
    def open(self, case_id: str, look: Look) -> Iterator[FileIO]:
        """A claimed file, if it still is what was claimed; NotStillError else."""
        with folder(self._place, [*self._own, case_id, *look.parts]) as above:
            file = open_regular(above, look.name)
        with file:
            yield file

    def require(self, case_id: str, look: Look) -> None:
        """FileNotFoundError where the file is not ours any longer; AwayError where nobody knows."""
        if time.monotonic() - self._lived > SILENCE_SECONDS:
            root = str(self._place.root)
            raise AwayError(errno.ESTALE, "no sign of life could be given for long", root)
        with folder(self._place, [*self._own, case_id, *look.parts]) as above:
            os.lstat(look.name, dir_fd=above)

    def remove(self, case_id: str, look: Look, sha256: str) -> bool:
        """Remove a claimed file if it still is what was judged; False: it is new content.

        True where it is gone already. BeingWrittenError where it may yet become new content.
        """
        above = [*self._own, case_id, *look.parts]
        try:
            with folder(self._place, above) as claim, open_regular(claim, look.name) as file:
                keep_writers_out(file, self._place)
                if not _is_same(file, look, sha256):
                    return False
                os.unlink(look.name, dir_fd=claim)
        except FileNotFoundError:
            return True
        except NotStillError as error:
            if type(error) is not NotStillError:
                raise
            return True  # what lies there is no file
        remove_empty(self._place, above, len(self._own))
        return True

    def put_back(self, case_id: str, path: str, *, number: bool = False) -> Look:
        """Give a claimed file its place in input again; how it looks there.

        FileExistsError where somebody else's file has the name by now, and stays for the moment;
        with `number` ours gets a number: both are to be judged.
        """
        *parts, name = path.split("/")
        above = [*self._own, case_id, *parts]
        with (
            folder(self._place, above) as claim,
            folder(self._place, parts, make=LIKE_ABOVE) as home,
        ):
            there = _rename_back(claim, home, name, _MOST_NAMES if number else 2)
            look = look_of("/".join([*parts, there]), os.lstat(there, dir_fd=home))
        remove_empty(self._place, above, len(self._own))
        return look

    def are_here(self) -> bool:
        """Whether our folder is there: it outlasts our files until we end; OSError."""
        try:
            with folder(self._place, self._own):
                return True
        except OSError as error:
            if isinstance(error, AwayError) or error.errno not in NOTHING_THERE:
                raise
            return False

    def left_over(self, most: int, busy: Collection[str] = (), after: str = "") -> LeftOver:
        """The files that are claimed, but of `busy` cases, at most so many.

        `after`: the last case of a list that was cut short: now those behind it come first.
        ClaimError where our folder cannot be read.
        """
        self._place.check()
        cases = sorted(set(self._cases()).difference(busy))
        behind = bisect_right(cases, after)
        return list_cases(self._place, self._own, [*cases[behind:], *cases[:behind]], most)

    def _cases(self) -> list[str]:
        try:
            return entries(self._place, self._own, os.DirEntry.is_dir)
        except AwayError:
            raise
        except OSError as error:
            raise ClaimError(error.errno, error.strerror, error.filename) from None

    def live(self) -> None:
        """Give a sign of life, if we have claimed anything."""
        with contextlib.suppress(FileNotFoundError), folder(self._place, self._own) as own:
            try:
                # never opened: a pipe that somebody puts there would be waited for
                os.utime(ALIVE, dir_fd=own, follow_symlinks=False)
            except FileNotFoundError:
                os.close(os.open(ALIVE, _NEW, 0o600, dir_fd=own))
        self._lived = time.monotonic()

    def tidy(self, busy: Collection[str]) -> None:
        """Remove the empty folders of cases, but of those that are `busy`."""
        for case_id in self._cases():
            if case_id not in busy:
                remove_empty_case(self._place, [*self._own, case_id])

    def clear(self) -> None:
        """Remove our own folders, as far as they hold no claimed file."""
        self.tidy(())
        if self._cases():
            return
        with contextlib.suppress(FileNotFoundError), folder(self._place, self._own) as own:
            os.unlink(ALIVE, dir_fd=own)
        remove_empty(self._place, self._own, 0)


def _is_same(file: FileIO, look: Look, sha256: str) -> bool:
    """Whether it is what was judged. Where only times or numbers moved, the content decides."""
    state = os.fstat(file.fileno())
    if look_of(look.path, state) == look:
        return True
    return state.st_size == look.size and hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _rename_back(claim: int, home: int, name: str, end: int) -> str:
    for number in range(1, end):
        there = numbered(name, number)
        try:
            rename_new(name, there, above=claim, below=home)
        except FileExistsError:
            if _same(claim, name, home, there):  # a crash between two steps of a rename
                os.unlink(name, dir_fd=claim)
                return there
        else:
            return there
    raise FileExistsError(errno.EEXIST, "another file has its name", name)


def _same(claim: int, name: str, home: int, there: str) -> bool:
    one, other = os.lstat(name, dir_fd=claim), os.lstat(there, dir_fd=home)
    return (one.st_ino, one.st_dev) == (other.st_ino, other.st_dev)
