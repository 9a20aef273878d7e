"""Takes a file in quarantine, and its note, away from everybody else. Blocks: disk.

Both are renamed to `QUARANTINE/.katabridge/<owner>/<case>/<their path>`: of several administrators
one succeeds, and what the daemon puts into the same place meanwhile is not taken for ours. The
note goes first: while the file has the name, nobody writes another note for it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from bridge.folder.claim import Claims
from bridge.folder.listing import look_of
from bridge.folder.opened import BeingWrittenError, NotStillError
from bridge.folder.places import OWN_PREFIX, PRIVATE, folder, remove_empty
from bridge.folder.publish import draft_name, write_sidecar
from bridge.folder.quarantine.entries import Entry
from bridge.folder.quarantine.roots import Quarantine
from bridge.folder.rename import rename_new
from bridge.folder.settle import Look
from bridge.folder.sidecar import Sidecar, format_sidecar

_TAKEN = "somebody else has taken it"


class NotTakenError(Exception):
    """Somebody else has it, or works with it; the text is for people."""


class NotRemovedError(Exception):
    """A taken file cannot be removed; the text is for people."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken for a case.

    `path`: where it was, relative to the quarantine. `look`: the file now, `beside`: the name of
    its note, None where there is none. `note`: what that says, where it can be trusted.
    """

    case_id: str
    path: str
    look: Look | None
    beside: str | None
    note: Sidecar | None

    @property
    def parts(self) -> list[str]:
        """The folders that it was in."""
        return self.path.split("/")[:-1]


class Custody:
    """The files of one quarantine that one owner has taken."""

    def __init__(self, quarantine: Quarantine, owner: str) -> None:
        self._root = quarantine.root
        self._place = quarantine.place
        self._claims = Claims(quarantine.place, owner)
        self._owner = owner
        self._own = [OWN_PREFIX, owner]

    def where(self, case_id: str) -> Path:
        """Where what was taken for a case lies, for people."""
        return self._root.joinpath(*self._own, case_id)

    def take(self, entry: Entry, case_id: str) -> Taken:
        """Take exactly what was looked at; NotTakenError or OSError: all is in its place."""
        beside = entry.note_look.name if entry.note_look is not None else None
        taken = Taken(case_id, entry.path, None, beside, entry.note)
        above = self._above(taken)
        try:
            with folder(self._place, self._own, make=PRIVATE):
                pass
            with (
                folder(self._place, taken.parts) as home,
                folder(self._place, above, make=PRIVATE) as claim,
            ):
                if entry.note_look is not None:
                    _take_note(entry.note_look, home, claim)
                return replace(taken, look=self._take_file(entry, case_id, claim, home))
        except FileNotFoundError:
            raise NotTakenError(_TAKEN) from None
        finally:
            remove_empty(self._place, above, len(self._own))

    def _take_file(self, entry: Entry, case_id: str, claim: int, home: int) -> Look | None:
        if entry.look is None:
            return None
        try:
            return self._claims.take(entry.look, case_id)
        except BaseException as error:
            if entry.note_look is not None:
                _give_back(entry.note_look.name, claim, home)
            if isinstance(error, BeingWrittenError):
                raise NotTakenError("a program has it open for writing") from None
            if isinstance(error, NotStillError):
                raise NotTakenError("it is gone, or changed a moment ago") from None
            raise

    @contextlib.contextmanager
    def open(self, taken: Taken) -> Iterator[FileIO]:
        """The taken file, if it still is what was taken; OSError else."""
        assert taken.look is not None  # noqa: S101 - who opens has seen a file
        try:
            with self._claims.open(taken.case_id, taken.look) as file:
                yield file
        except NotStillError:
            raise OSError("it changes just now") from None

    def put_back(self, taken: Taken, new_note: Sidecar | None = None) -> None:
        """Give both their places again, with `new_note` instead of the old one. OSError.

        Where somebody else's file has the name by now, ours gets a number.
        """
        with folder(self._place, taken.parts, make=PRIVATE):
            pass
        path = taken.path
        if taken.look is not None:
            path = self._claims.put_back(taken.case_id, taken.path, number=True).path
        note = new_note or (taken.note if path != taken.path else None)
        if note is not None:
            data = format_sidecar(replace(note, file=path.rpartition("/")[2]))
            write_sidecar(self._place, path, data, draft_name(self._owner, taken.case_id))
        self._put_note_back(taken, keep=note is None)

    def _put_note_back(self, taken: Taken, *, keep: bool) -> None:
        """Where a note is there by now, it is the newer one, and the taken one goes."""
        if taken.beside is None:
            return
        with (
            contextlib.suppress(FileNotFoundError),
            folder(self._place, self._above(taken)) as claim,
            folder(self._place, taken.parts) as home,
        ):
            if keep:
                _give_back(taken.beside, claim, home)
            else:
                os.unlink(taken.beside, dir_fd=claim)
        remove_empty(self._place, self._above(taken), len(self._own))

    def remove(self, taken: Taken, sha256: str | None) -> None:
        """Remove both, and the folders that this empties. `sha256`: of what was recorded.

        NotRemovedError: the file is there yet; if it is new content, in quarantine again.
        """
        try:
            if taken.look is not None:
                self._remove_file(taken, taken.look, sha256 or "")
            self._remove_note(taken)
        except BeingWrittenError:
            raise NotRemovedError("a program has it open for writing") from None
        except OSError as error:
            raise NotRemovedError(error.strerror or str(error)) from None
        remove_empty(self._place, self._above(taken), len(self._own))
        remove_empty(self._place, taken.parts, 0)

    def _remove_file(self, taken: Taken, look: Look, sha256: str) -> None:
        if not self._claims.remove(taken.case_id, look, sha256):
            self.put_back(taken)
            raise NotRemovedError("it changed meanwhile and lies in quarantine again")

    def _remove_note(self, taken: Taken) -> None:
        with (
            contextlib.suppress(FileNotFoundError),
            folder(self._place, self._above(taken)) as claim,
        ):
            if taken.beside is not None:
                os.unlink(taken.beside, dir_fd=claim)

    def still_there(self, taken: Taken) -> Taken:
        """What an earlier process took, as it looks now: `look` is None where the file is not
        there any longer. OSError where nobody can say."""
        name = taken.path.rpartition("/")[2]
        try:
            with folder(self._place, self._above(taken)) as claim:
                look = look_of(taken.path, os.lstat(name, dir_fd=claim))
        except FileNotFoundError:
            return replace(taken, look=None)
        return replace(taken, look=look)

    def clear(self) -> None:
        """Remove our own empty folders."""
        with contextlib.suppress(OSError):
            self._claims.clear()

    def _above(self, taken: Taken) -> list[str]:
        return [*self._own, taken.case_id, *taken.parts]


def _take_note(look: Look, home: int, claim: int) -> None:
    os.rename(look.name, look.name, src_dir_fd=home, dst_dir_fd=claim)
    now = look_of(look.path, os.lstat(look.name, dir_fd=claim))
    if now.lasting != look.lasting:
        _give_back(look.name, claim, home)
        raise NotTakenError("its note changed a moment ago")


def _give_back(name: str, claim: int, home: int) -> None:
    try:
        rename_new(name, name, above=claim, below=home)
    except FileExistsError:
        os.unlink(name, dir_fd=claim)
