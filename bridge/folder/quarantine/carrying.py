"""How anything is done with a file in quarantine: take, deliver, record, remove or put back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bridge.core import Case, Core, Decision, Door, KnownBytes, Mode, Outcome
from bridge.folder.conflict import Content
from bridge.folder.opened import NotStillError
from bridge.folder.owner import owner_of
from bridge.folder.publish import draft_name
from bridge.folder.quarantine.custody import Custody, NotRemovedError, NotTakenError, Taken
from bridge.folder.quarantine.delivery import deliver, digest_of
from bridge.folder.quarantine.entries import Entry
from bridge.folder.quarantine.plans import Plan, Plans
from bridge.folder.quarantine.roots import Quarantine
from bridge.folder.sidecar import Sidecar

NOTE = "quarantine"  # in the journal, from a record until what follows it is done

Record = Callable[[], Awaitable[None]]


class RefusedError(Exception):
    """It is not done, or not to its end; the text is for people."""


class Carrier:
    """What one person does through one instance of the core."""

    def __init__(self, core: Core, quarantines: Sequence[Quarantine], by: str) -> None:
        """`by`: the name of the person. StartError. Blocks for a moment: disk."""
        self.core = core
        self.by = by
        self.folders = {folder.name: folder for folder in core.settings.folders}
        self.plans = Plans(core.spool.dir.parent, core.instance)
        self._owner = owner_of(core)
        self._one = asyncio.Lock()  # one file moves at a time: who empties a folder removes it
        self._custodies = {str(each.root): Custody(each, self._owner) for each in quarantines}

    def custody(self, plan: Plan) -> Custody | None:
        """Who takes files in the quarantine of a plan; None where that is configured no longer."""
        return self._custodies.get(plan.root)

    def new_case(self, entry: Entry) -> Case:
        """The case of what is done with an entry."""
        note = entry.note
        name = (note.path if note is not None else entry.path).rpartition("/")[2]
        context = {
            "folder": entry.folder,
            "path": str(entry.file),
            "moved_to": None,
            "by": self.by,
            "quarantined_as": note.case if note is not None else None,
        }
        return Case(Door.FOLDER, Mode.ADVANCED, name, context, size=entry.size)

    def plan(  # noqa: PLR0913 - all that a crash must not forget
        self,
        case: Case,
        entry: Entry,
        sha256: str | None,
        outcome: Outcome,
        decision: Decision,
        *,
        removes: bool = True,
    ) -> Plan:
        """What is to become of an entry; what passes is delivered."""
        beside = entry.note_look.name if entry.note_look is not None else None
        passes = decision is Decision.PASS and entry.note is not None
        return Plan(
            root=str(entry.quarantine.root),
            taken=Taken(case.id, entry.path, None, beside, entry.note),
            name=case.name,
            context=case.context,
            sha256=sha256,
            size=entry.size or 0,
            outcome=outcome,
            decision=decision,
            delivers_to=entry.folder if passes else None,
            removes=removes,
        )

    async def digest(self, entry: Entry) -> str:
        """The sha256 of a file; RefusedError."""
        try:
            return await asyncio.to_thread(digest_of, entry)
        except NotStillError:
            raise RefusedError("it is gone, or changes just now") from None
        except OSError as error:
            raise RefusedError(words_of(error)) from None

    async def record(self, plan: Plan, case: Case) -> None:
        """Write the record of what a person does."""
        content = KnownBytes(plan.sha256, plan.size) if plan.sha256 is not None else None
        await self.core.record_act(case, content, plan.outcome, plan.decision, NOTE)

    async def carry_out(
        self,
        plan: Plan,
        entry: Entry,
        case: Case,
        record: Record,
        new_note: Sidecar | None = None,
    ) -> None:
        """Take, deliver where that is planned, record, and remove, or put back with `new_note`.

        RefusedError: nothing was done and nothing recorded, or only the end is missing.
        """
        async with self._one:
            await self._carry_out(plan, entry, case, record, new_note)

    async def _carry_out(
        self, plan: Plan, entry: Entry, case: Case, record: Record, new_note: Sidecar | None
    ) -> None:
        custody = self._custodies[plan.root]
        taken = await self._take(plan, entry, custody)
        if plan.delivers_to is not None:
            path = await self._deliver(replace(plan, taken=taken), custody)
            case.context["moved_to"] = str(path)
        await record()
        try:
            if plan.removes:
                await asyncio.to_thread(custody.remove, taken, plan.sha256)
            else:
                await asyncio.to_thread(custody.put_back, taken, new_note)
        except (NotRemovedError, OSError) as error:
            raise RefusedError(_not_ended(plan, case, custody, error)) from None
        await self.end(plan)

    async def _take(self, plan: Plan, entry: Entry, custody: Custody) -> Taken:
        try:
            await asyncio.to_thread(self.plans.keep, plan)
        except OSError as error:
            raise RefusedError(f"{words_of(error)} (spool.dir)") from None
        try:
            return await asyncio.to_thread(custody.take, entry, plan.case_id)
        except (NotTakenError, OSError) as error:
            self.plans.drop(plan.case_id)
            raise RefusedError(words_of(error)) from None

    async def _deliver(self, plan: Plan, custody: Custody) -> Path:
        try:
            return await asyncio.to_thread(self._publish, plan, custody)
        except OSError as error:
            reason = words_of(error)
        try:
            await asyncio.to_thread(custody.put_back, plan.taken)
        except OSError as error:
            where = custody.where(plan.case_id)
            raise RefusedError(f"{reason}; and it lies in {where}: {words_of(error)}") from None
        self.plans.drop(plan.case_id)
        raise RefusedError(f"it cannot be delivered: {reason}")

    def _publish(self, plan: Plan, custody: Custody) -> Path:
        note, target = plan.taken.note, self.folders[plan.delivers_to or ""]
        assert note is not None and plan.sha256 is not None  # noqa: S101 - see `plan`
        draft = draft_name(self._owner, plan.case_id)
        with custody.open(plan.taken) as file:
            return deliver(file, note, Content(plan.sha256, plan.size), target, draft)

    async def end(self, plan: Plan) -> None:
        """Nothing is left to do."""
        await self.core.confirm(plan.case_id)
        self.plans.drop(plan.case_id)

    def close(self) -> None:
        """Remove the empty folders that were made. Blocks: disk."""
        for custody in self._custodies.values():
            custody.clear()


def _not_ended(plan: Plan, case: Case, custody: Custody, error: Exception) -> str:
    done = "it is judged"
    if case.context["moved_to"] is not None:
        done = f"it is delivered to {case.context['moved_to']}"
    elif plan.removes:
        done = "it is recorded as deleted"
    rest = f"what is left lies in {custody.where(plan.case_id)}"
    return f"{done}, but {rest}: {words_of(error)}; the next command tries again"


def words_of(error: Exception) -> str:
    """What happened, with the path where the system names one."""
    if not isinstance(error, OSError):
        return str(error)
    reason = error.strerror or str(error)
    return f"{error.filename}: {reason}" if isinstance(error.filename, str) else reason
