"""What a person does with a file in quarantine without having it judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.core import (
    DELETED_BY_HAND,
    RELEASED_BY_HAND,
    Case,
    Decision,
    Outcome,
    OutcomeKind,
    Source,
)
from bridge.folder.quarantine.carrying import Carrier, RefusedError
from bridge.folder.quarantine.entries import Entry, State
from bridge.folder.sidecar import Sidecar


class Verb(StrEnum):
    """What is done."""

    RELEASE = "release"
    DELETE = "delete"
    RESCAN = "rescan"


@dataclass(frozen=True, slots=True)
class Result:
    """What was done with an entry, as its record says."""

    verb: Verb
    entry: Entry
    case: Case
    outcome: Outcome
    decision: Decision

    @property
    def moved_to(self) -> str | None:
        """Where it lies now, if it left for an output."""
        return self.case.context["moved_to"]


async def release(carrier: Carrier, entry: Entry) -> Result:
    """Bring a file to its folder's output, whatever is known of it. RefusedError."""
    note = require_whole(entry)
    if await carrier.digest(entry) != note.sha256:
        raise RefusedError("it is not what was quarantined: its content is another")
    case, outcome = carrier.new_case(entry), by_hand(note, RELEASED_BY_HAND)
    plan = carrier.plan(case, entry, note.sha256, outcome, Decision.PASS)
    await carrier.carry_out(plan, entry, case, lambda: carrier.record(plan, case))
    return Result(Verb.RELEASE, entry, case, outcome, Decision.PASS)


async def delete(carrier: Carrier, entry: Entry) -> Result:
    """Remove a file with its note, or what there is of the two. RefusedError."""
    sha256 = await carrier.digest(entry) if entry.look is not None else None
    note = entry.note
    if note is not None and sha256 in (None, note.sha256):
        outcome = by_hand(note, DELETED_BY_HAND)
    else:  # what the note says is not about these bytes
        outcome = Outcome(OutcomeKind.ERROR, Source.RULE, rule=DELETED_BY_HAND)
    case = carrier.new_case(entry)
    plan = carrier.plan(case, entry, sha256, outcome, Decision.BLOCK)
    await carrier.carry_out(plan, entry, case, lambda: carrier.record(plan, case))
    return Result(Verb.DELETE, entry, case, outcome, Decision.BLOCK)


def require_whole(entry: Entry) -> Sidecar:
    """The note of an entry that nothing is wrong with; RefusedError else."""
    if entry.state is State.WHOLE and entry.note is not None:
        return entry.note
    if entry.state is State.NO_FILE:
        raise RefusedError("there is only a note, and no file")
    why = f"its note is damaged ({entry.fault})" if entry.fault else "there is no note beside it"
    raise RefusedError(f"{why}: nobody knows what it is and where it came from")


def by_hand(note: Sidecar, rule: str) -> Outcome:
    """What is known of a file, as a person's rule says it."""
    return Outcome(
        OutcomeKind(note.outcome),
        Source.RULE,
        rule=rule,
        threat=note.threat,
        technology=note.technology,
        importance=note.importance,
        scan_id=note.scan_id,
        md5=note.md5,
    )
