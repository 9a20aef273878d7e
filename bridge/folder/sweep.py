"""Deals with claimed files that nobody is at: after a crash, a failure, or another bridge's end."""

from __future__ import annotations

import time
from collections.abc import Mapping

from bridge.folder.abandoned import Abandoned
from bridge.folder.claim import Claims
from bridge.folder.handling import Handler
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
        self._waiting: dict[str, float] = {}  # case id -> since when its name is taken
        self.troubles: dict[str, tuple[str, str]] = {}

    @property
    def notes(self) -> Mapping[str, Note]:
        """Those that nothing has been done about yet."""
        return self._notes

    def hurry(self) -> None:
        """Sweep at the next opportunity."""
        self._next = 0.0

    async def sweep(self) -> None:
        """Do it, if it is time. OSError where the input cannot be read."""
        if time.monotonic() < self._next:
            return
        self.troubles = {}
        at_work = self._at_work
        left_over = await self._transfer.in_thread(self._claims.left_over, _MOST, at_work)
        claimed = {case_id for case_id, _ in left_over}
        self._waiting = {k: since for k, since in self._waiting.items() if k in claimed}
        for case_id, path in left_over:
            if not self._handler.is_at(case_id):
                await self._deal_with(case_id, path)
        await self._transfer.in_thread(self._claims.tidy, {*claimed, *self._at_work})
        self._handler.claimed = set(self._waiting) | set(self.troubles)
        is_all = len(left_over) < _MOST
        await self._end_notes(is_all=is_all)
        await self._others()
        self._next = time.monotonic() + _SECONDS if is_all else 0.0

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
        where not even our folder is there, on a share that is not mounted yet."""
        is_sure = is_all and self._notes and await self._transfer.in_thread(self._claims.are_here)
        for case_id, note in list(self._notes.items()):
            if is_sure or note.why is Why.LEFT:
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
