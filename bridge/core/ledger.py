"""Sees to it that every case leaves exactly one record, whatever happens in between.

A record that something else depends on (a file that is removed after it, a threat's name that is
still looked up) goes through the journal: what a crash cuts off is written at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from bridge.core.journal import Journal, JournalError, KeptRecord
from bridge.core.model import Case, Decision, Identity, Outcome, OutcomeKind, Source
from bridge.core.records import LATE, Present, Records, format_record

_log = logging.getLogger(__name__)

NameThreat = Callable[[Identity, Outcome], Awaitable[Outcome]]


class Entry(NamedTuple):
    """How a case has ended: what its record says."""

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
        """Whether it belongs to the detections, too: what a person did with one is no new one."""
        by_hand = self.outcome.source is Source.RULE
        return self.outcome.kind is OutcomeKind.DETECT and not by_hand


def _record(entry: Entry, note: str | None) -> KeptRecord:
    return KeptRecord(entry.case.id, entry.line(), entry.detection, note, time.time())


class Ledger:
    """Writes records. `name_threat` gives an outcome with the threat's name, if there is one."""

    def __init__(self, records: Records, journal: Journal, name_threat: NameThreat) -> None:
        self._records = records
        self._journal = journal
        self._name_threat = name_threat
        self._tasks: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        # by journal row what it waits for: "line" (the disk), "note" (the door)
        self._missing: dict[str, set[str]] = {}

    def write(self, entry: Entry) -> None:
        """Append a record at once: nothing depends on it but its case's answer."""
        self._records.write(entry.line(), detection=entry.detection)

    def write_all(self, entries: Sequence[Entry]) -> None:
        """The same for several."""
        self._records.write_all([(entry.line(), entry.detection) for entry in entries])

    async def write_late(self, entry: Entry) -> None:
        """A detection of a case that has its record already."""
        outcome = await self._named(entry)
        line = entry._replace(outcome=outcome, late=True).line()
        key = f"{entry.case.id}{LATE}"
        kept = await self._keep(KeptRecord(key, line, True, None, time.time()))
        await self._commit(key, line, history=False, detection=True, kept=kept)

    async def write_named(self, entry: Entry) -> None:
        """Return when the record is safe; it is in the log once the threat's name is known."""
        record = _record(entry, None)
        if not await self._keep(record):
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
        record = _record(entry._replace(outcome=outcome), note)
        kept = await self._keep(record)
        await self._commit(
            record.case_id, record.line, detection=record.detection, kept=kept, noted=True
        )

    async def _write_when_named(self, entry: Entry) -> None:
        outcome = await self._named(entry)
        line = entry._replace(outcome=outcome).line()
        await self._commit(entry.case.id, line, detection=entry.detection, kept=True)

    async def _commit(  # noqa: PLR0913 - what a line is, and what hangs on it
        self,
        key: str,
        line: bytes,
        *,
        history: bool = True,
        detection: bool,
        kept: bool,
        noted: bool = False,
    ) -> None:
        """Append the line; its row leaves the journal when disk and door are done with it."""
        on_disk = self._records.write(line, history=history, detection=detection)
        if not kept:
            return
        waits = {"line": not on_disk, "note": noted}
        self._missing[key] = {what for what, is_missing in waits.items() if is_missing}
        await self._settle(key)

    async def _settle(self, key: str, what: str = "") -> None:
        missing = self._missing.get(key, set())
        missing.discard(what)
        if not missing:
            self._missing.pop(key, None)
            await self._journal.drop_record(key)

    async def resume(self, records: Sequence[KeptRecord]) -> dict[str, str]:
        """Write what an earlier process was cut off from; its notes that are still to be done."""
        since = min((record.time for record in records), default=time.time())
        keys = {record.case_id.removesuffix(LATE) for record in records}
        present = await asyncio.to_thread(self._records.present, keys, since)
        for record in records:
            await self._resume(record, present)
        return {r.case_id: r.note for r in records if r.note is not None}

    async def _resume(self, record: KeptRecord, present: Present) -> None:
        case_id = record.case_id.removesuffix(LATE)
        is_late = case_id != record.case_id
        detected = present.late if is_late else present.detections
        await self._commit(
            record.case_id,
            record.line,
            history=not is_late and case_id not in present.history,
            detection=record.detection and case_id not in detected,
            kept=True,
            noted=record.note is not None,
        )

    async def told_late(self, kept: Mapping[str, float]) -> set[str]:
        """Which of these cases have a line of a late detection. By case id, since when (epoch)."""
        since = min(kept.values(), default=time.time())
        return (await asyncio.to_thread(self._records.present, kept, since)).late

    async def done(self, case_id: str) -> None:
        """What the note said is done."""
        await self._settle(case_id, "note")

    async def _keep(self, record: KeptRecord) -> bool:
        try:
            await self._journal.keep_record(record)
        except JournalError:  # it has been said; the record is written all the same
            return False
        return True

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

    async def catch_up(self) -> None:
        """Write what waits for the disk."""
        await asyncio.to_thread(self._records.catch_up)
        if not self._records.waiting:
            for key in [key for key, missing in self._missing.items() if "line" in missing]:
                await self._settle(key, "line")

    def hurry(self) -> None:
        """Wait for no name any longer."""
        self._hurry.set()

    async def close(self) -> None:
        """Write what still waits for a name."""
        self.hurry()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.catch_up()
        for key, (line, detection) in self._records.take_waiting().items():
            # a row that is there already keeps its note
            if key not in self._missing:
                await self._keep(KeptRecord(key, line, detection, None, time.time()))
        await asyncio.to_thread(self._records.close)
