"""Sees to it that every case leaves exactly one record, whatever happens in between.

A record that something else depends on (a file that is removed after it, a threat's name that is
still looked up) goes through the journal: what a crash cuts off is written at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace

from bridge.core.journal import Journal, JournalError, KeptRecord
from bridge.core.model import Case, Decision, Identity, Outcome, OutcomeKind
from bridge.core.records import Records, format_record

_log = logging.getLogger(__name__)

NameThreat = Callable[[Identity, Outcome], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the record of a case says."""

    case: Case
    content: Identity | None
    outcome: Outcome
    decision: Decision
    late: bool = False  # it was passed before its verdict

    def line(self) -> bytes:
        """The record."""
        return format_record(self.case, self.content, self.outcome, self.decision, late=self.late)

    @property
    def detection(self) -> bool:
        """Whether it belongs to the detections, too."""
        return self.outcome.kind is OutcomeKind.DETECT


class Ledger:
    """Writes records. `name_threat` gives an outcome with the threat's name, if there is one."""

    def __init__(self, records: Records, journal: Journal, name_threat: NameThreat) -> None:
        self._records = records
        self._journal = journal
        self._name_threat = name_threat
        self._tasks: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()

    def write(self, entry: Entry) -> None:
        """Append a record at once: nothing depends on it but its case's answer."""
        self._records.write(entry.line(), detection=entry.detection)

    async def write_late(self, entry: Entry) -> None:
        """A detection of a case that has its record already."""
        outcome = await self._named(entry)
        line = replace(entry, outcome=outcome, late=True).line()
        self._records.write(line, history=False, detection=True)

    async def told_late(self, case_ids: Collection[str]) -> set[str]:
        """Which of these cases have a line of a late detection."""
        return (await asyncio.to_thread(self._records.present, case_ids)).late

    async def write_named(self, entry: Entry) -> None:
        """Return when the record is safe; it is in the log once the threat's name is known."""
        if not await self._keep(entry, None):
            self.write(entry)  # a record without a name rather than an answer that waits for one
            return
        if not entry.detection or entry.outcome.threat:
            await self._write_when_named(entry)
            return
        task = asyncio.create_task(self._write_when_named(entry), name=f"record-{entry.case.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def write_noted(self, entry: Entry, note: str) -> None:
        """Append a record after which a door does what `note` says, and then calls `done`."""
        outcome = await self._named(entry)
        entry = replace(entry, outcome=outcome)
        await self._keep(entry, note)
        self.write(entry)

    async def resume(self, records: Sequence[KeptRecord]) -> dict[str, str]:
        """Write what an earlier process was cut off from; its notes that are still to be done."""
        present = await asyncio.to_thread(self._records.present, {r.case_id for r in records})
        for record in records:
            missing_detection = record.detection and record.case_id not in present.detections
            if missing_detection:
                self._records.write(record.line, history=False, detection=True)
            if record.case_id not in present.history:
                self._records.write(record.line, history=True, detection=False)
            if record.note is None:
                await self._journal.drop_record(record.case_id)
        return {r.case_id: r.note for r in records if r.note is not None}

    async def done(self, case_id: str) -> None:
        """What the note said is done."""
        await self._journal.drop_record(case_id)

    async def _keep(self, entry: Entry, note: str | None) -> bool:
        line = entry.line()
        record = KeptRecord(entry.case.id, line, entry.detection, note, time.time())
        try:
            await self._journal.keep_record(record)
        except JournalError:  # it has been said; the record is written all the same
            return False
        return True

    async def _write_when_named(self, entry: Entry) -> None:
        outcome = await self._named(entry)
        line = replace(entry, outcome=outcome).line()
        if self._records.write(line, detection=entry.detection):
            await self._journal.drop_record(entry.case.id)

    async def _named(self, entry: Entry) -> Outcome:
        """The outcome with its threat's name; as it is when we are to stop, or there is none."""
        if entry.content is None or not entry.detection or entry.outcome.threat:
            return entry.outcome
        naming = asyncio.ensure_future(self._name_threat(entry.content, entry.outcome))
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            await asyncio.wait({naming, hurry}, return_when=asyncio.FIRST_COMPLETED)
            return naming.result() if naming.done() else entry.outcome
        except Exception:
            _log.exception("a fault of katabridge itself; case %s has no threat", entry.case.id)
            return entry.outcome
        finally:
            naming.cancel()
            hurry.cancel()

    def catch_up(self) -> None:
        """Write what waits for the disk. Blocks: disk."""
        self._records.catch_up()

    def hurry(self) -> None:
        """Wait for no name any longer."""
        self._hurry.set()

    async def close(self) -> None:
        """Write what still waits for a name."""
        self.hurry()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._records.close)
