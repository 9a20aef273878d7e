"""Has KATA judge a file in quarantine anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime

from bridge.core import (
    BodyWriter,
    Case,
    Decision,
    Item,
    Outcome,
    OutcomeKind,
    Source,
    SpoolError,
    unavailable,
)
from bridge.folder.opened import NotStillError, check_still, open_still
from bridge.folder.places import folder
from bridge.folder.quarantine.acts import Result, Verb, require_whole
from bridge.folder.quarantine.carrying import NOTE, Carrier, RefusedError, words_of
from bridge.folder.quarantine.entries import Entry
from bridge.folder.sidecar import Sidecar

_BLOCK = 1 << 20
_JUDGED = (*(OutcomeKind.NOT_DETECTED, OutcomeKind.DETECT, OutcomeKind.ERROR, OutcomeKind.TIMEOUT),)


async def rescan(carrier: Carrier, entry: Entry) -> Result:
    """Judge a file; what KATA finds nothing in is delivered, everything else stays. RefusedError.

    `hold`: KATA did not judge it. The core must be one that `judges_anew`.
    """
    note, core = require_whole(entry), carrier.core
    case = carrier.new_case(entry)
    writer = core.spool.writer()
    try:
        try:
            await _copy(entry, writer)
            item = Item(case.name, await writer.finish())
        except SpoolError as error:
            outcome = unavailable(str(error))
            await core.finish(case, None, outcome, Decision.HOLD)
            return Result(Verb.RESCAN, entry, case, outcome, Decision.HOLD)
        if item.sha256 != note.sha256:
            raise RefusedError("it is not what was quarantined: its content is another")
        outcome = await core.named(item, await core.judge(case, item))
        return await _end(carrier, entry, case, item, outcome)
    finally:
        writer.discard()


async def _copy(entry: Entry, writer: BodyWriter) -> None:
    assert entry.look is not None  # noqa: S101 - it is whole
    try:
        with folder(entry.quarantine.place, entry.look.parts) as above:
            file = open_still(above, entry.look)
        with file:
            while block := await asyncio.to_thread(file.read, _BLOCK):
                await writer.write(block)
                if writer.size > entry.look.size:
                    raise NotStillError
            check_still(file, entry.look)
    except NotStillError:
        raise RefusedError("it is gone, or changes just now") from None
    except OSError as error:
        raise RefusedError(words_of(error)) from None


async def _end(carrier: Carrier, entry: Entry, case: Case, item: Item, outcome: Outcome) -> Result:
    decision = _decide(outcome)

    async def record() -> None:
        await carrier.core.finish(case, item, outcome, decision, NOTE)

    if decision is Decision.HOLD:
        await carrier.core.finish(case, item, outcome, decision)
        return Result(Verb.RESCAN, entry, case, outcome, decision)
    passes = decision is Decision.PASS
    plan = carrier.plan(case, entry, item.sha256, outcome, decision, removes=passes)
    try:
        new_note = None if passes else _renewed(require_whole(entry), case, outcome)
        await carrier.carry_out(plan, entry, case, record, new_note)
    except RefusedError:
        if case.decision is None:  # it has no record yet
            await carrier.core.finish(case, item, outcome, Decision.HOLD)
        raise
    return Result(Verb.RESCAN, entry, case, outcome, decision)


def _decide(outcome: Outcome) -> Decision:
    if outcome.source is Source.RULE or outcome.kind not in _JUDGED:
        return Decision.HOLD  # nobody judged it: what the note says is the best that is known
    return Decision.PASS if outcome.kind is OutcomeKind.NOT_DETECTED else Decision.BLOCK


def _renewed(note: Sidecar, case: Case, outcome: Outcome) -> Sidecar:
    return replace(
        note,
        case=case.id,
        time=datetime.now().astimezone().isoformat(timespec="milliseconds"),
        outcome=outcome.kind,
        source=outcome.source,
        md5=outcome.md5 or note.md5,
        rule=outcome.rule,
        threat=outcome.threat,
        technology=outcome.technology,
        importance=outcome.importance,
        scan_id=outcome.scan_id,
    )
