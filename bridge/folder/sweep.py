"""Deals with claimed files that nobody is at: after a crash, a failure, or another bridge's end."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bridge.folder.abandoned import Abandoned
from bridge.folder.claim import Claims
from bridge.folder.handling import Handler
from bridge.folder.leftover import LeftOver
from bridge.folder.notes import Note, Why
from bridge.folder.transfer import Transfer

_SECONDS = 30.0
_MOST = 500  # claimed files that one sweep deals with
WAIT_SECONDS = 600.0


class Sweeper:
    """Puts back what is claimed for nothing, and goes on where a record was written before.

    `troubles`: by case why it cannot be put back, and the same without the name of its file.
    """

    def __init__(
        self,
        claims: Claims,
        abandoned: Abandoned,
        transfer: Transfer,
        handler: Handler,
        notes: Mapping[str, Note],
    ) -> None:
        """`notes`: by case id, files whose record an earlier process wrote."""
        self._claims = claims
        self._abandoned = abandoned
        self._transfer = transfer
        self._handler = handler
        self._notes = dict(notes)
        self._next = 0.0
        self._last = ""  # the case where a sweep that did not reach all ended
        self._waiting: dict[str, float] = {}  # case id -> since when its name is taken
        self._stay: set[tuple[str, str]] = set()  # case id and path of what cannot be put back yet
        self._paths: frozenset[str] = frozenset()  # of those
        self._unread: set[str] = set()  # cases whose folder cannot be read
        self.troubles: dict[str, tuple[str, str]] = {}

    @property
    def notes(self) -> Mapping[str, Note]:
        """Those that nothing has been done about yet."""
        return self._notes

    @property
    def waiting(self) -> int:
        """How many claimed files wait until their name is free."""
        return len(self._waiting)

    def hurry(self) -> None:
        """Sweep at the next opportunity."""
        self._next = 0.0

    async def sweep(self) -> None:
        """Do it, if it is time. OSError where the input cannot be read."""
        if time.monotonic() < self._next:
            return
        at_work = self._at_work
        found = await self._transfer.in_thread(self._claims.left_over, _MOST, at_work, self._last)
        self._forget(found)
        for case_id, path in found.files:
            if not self._handler.is_at(case_id):
                await self._deal_with(case_id, path)
        self._remember(found)
        claimed = {case_id for case_id, _ in found.files}
        await self._transfer.in_thread(self._claims.tidy, {*claimed, *self._at_work})
        self._handler.claimed = set(self._waiting) | set(self.troubles)
        await self._end_notes(is_all=not found.rest and not found.unread)
        await self._others()
        self._last = found.files[-1][0] if found.rest else ""
        self._next = 0.0 if found.rest else time.monotonic() + _SECONDS

    def _forget(self, found: LeftOver) -> None:
        """What was known, but of cases that were not looked at yet, or cannot be."""
        known = found.rest.union(found.unread)
        seen = known.union(case_id for case_id, _ in found.files)
        self._waiting = {k: since for k, since in self._waiting.items() if k in seen}
        self.troubles = {k: said for k, said in self.troubles.items() if k in found.rest}
        self._stay = {(k, path) for k, path in self._stay if k in known}
        self._unread = {k for k in self._unread if k in found.rest}

    def _remember(self, found: LeftOver) -> None:
        for case_id, error in found.unread.items():
            self._unread.add(case_id)
            self.troubles[case_id] = (
                f"{error.filename} cannot be read, and what lies there stays: {error.strerror}",
                f"claimed files cannot be read: {error.strerror}",
            )
        stays = self._waiting.keys() | self.troubles.keys()
        self._stay.update((case_id, path) for case_id, path in found.files if case_id in stays)
        self._paths = frozenset(path for _, path in self._stay)

    def may_have(self, path: str) -> bool:
        """Whether a file of that path may still be claimed: then it has not gone."""
        return bool(self._unread) or path in self._paths

    @property
    def _at_work(self) -> set[str]:
        return {*self._handler.under_way.values(), *self._handler.not_removed}

    async def _deal_with(self, case_id: str, path: str) -> None:
        note = self._notes.get(case_id)
        if note is not None and note.why is Why.DELIVERED:
            self._handler.not_removed[case_id] = note
            return
        # while another file has its name it waits: delivered under its own name after a crash,
        # it is known again; but not for good
        since = self._waiting.get(case_id)
        number = since is not None and time.monotonic() - since > WAIT_SECONDS
        try:
            await self._transfer.in_thread(
                lambda: self._claims.put_back(case_id, path, number=number)
            )
            self._waiting.pop(case_id, None)
        except FileNotFoundError:  # it went its way meanwhile
            pass
        except FileExistsError:
            self._waiting.setdefault(case_id, time.monotonic())
        except OSError as error:
            where = self._claims.where(case_id, path)
            self.troubles[case_id] = (
                f"{path} cannot be put back and lies in {where}: {error.strerror}",
                f"claimed files cannot be put back: {error.strerror}",
            )

    async def _end_notes(self, *, is_all: bool) -> None:
        """`is_all`: all that is claimed was seen. Else a delivered file may be among the rest, and
        on a share that is not mounted yet, where not even our folder may be there."""
        is_sure = is_all and self._notes and await self._transfer.in_thread(self._claims.are_here)
        here = self._claims.mounted_on
        for case_id, note in list(self._notes.items()):
            if note.why is Why.LEFT or (is_sure and here.startswith(note.mounted_on)):
                await self._end(case_id, note)
                del self._notes[case_id]

    async def _end(self, case_id: str, note: Note) -> None:
        if note.why is Why.LEFT:
            self._transfer.leave(case_id, note.look, note.rules)
        elif case_id not in self._handler.not_removed:  # it was removed before the crash
            await self._transfer.removed(case_id)

    async def _others(self) -> None:
        """Others can wait: what fails here keeps nobody from looking."""
        try:
            await self._transfer.in_thread(self._abandoned.look, time.monotonic())
        except OSError as error:
            sentence = f"claims of others cannot be looked at: {error.strerror}"
            self.troubles["others"] = sentence, sentence
