"""Makes good what a crash cut off: nothing is lost, and nothing released without a record."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from bridge.core import Case, Door, Mode
from bridge.folder.conflict import Content
from bridge.folder.quarantine.carrying import Carrier, words_of
from bridge.folder.quarantine.custody import Custody, NotRemovedError
from bridge.folder.quarantine.delivery import delivered, digest
from bridge.folder.quarantine.plans import Plan


async def recover(carrier: Carrier) -> list[str]:
    """Bring to its end what an earlier process of this instance left; a sentence for each.

    What has its record is removed. What was delivered gets its record. Everything else lies in
    quarantine again.
    """
    sentences = []
    plans = list(carrier.plans.left())
    for case_id in set(carrier.core.notes()) - {plan.case_id for plan in plans}:
        await carrier.core.confirm(case_id)
    for plan in plans:
        custody = carrier.custody(plan)
        where = plan.context["path"]
        if custody is None:
            sentences.append(f"{where} was left by a crash, in a quarantine that is not configured")
            continue
        try:
            sentences.append(await _make_good(carrier, plan, custody))
        except (NotRemovedError, OSError) as error:
            sentences.append(f"{where} was left by a crash: {words_of(error)}")
    return [sentence for sentence in sentences if sentence]


async def _make_good(carrier: Carrier, plan: Plan, custody: Custody) -> str:
    plan = replace(plan, taken=await asyncio.to_thread(custody.still_there, plan.taken))
    where, sentence = plan.context["path"], ""
    path = await _delivered(carrier, plan)
    if plan.case_id in carrier.core.notes():
        await _remove(plan, custody)
    elif path is not None:
        case = Case(Door.FOLDER, Mode.ADVANCED, plan.name, plan.context, plan.case_id)
        case.context["moved_to"] = str(path)
        await carrier.record(plan, case)
        await _remove(plan, custody)
        sentence = f"{where} was delivered to {path} before a crash, and is recorded now"
    else:
        await asyncio.to_thread(custody.put_back, plan.taken)
        if plan.taken.look is not None:
            sentence = f"{where} was taken before a crash, and lies in quarantine again"
    await carrier.end(plan)
    return sentence


async def _delivered(carrier: Carrier, plan: Plan) -> Path | None:
    note, target = plan.taken.note, carrier.folders.get(plan.delivers_to or "")
    if plan.taken.look is None or note is None or target is None or plan.sha256 is None:
        return None
    content = Content(plan.sha256, plan.size)
    return await asyncio.to_thread(delivered, note, content, target)


async def _remove(plan: Plan, custody: Custody) -> None:
    """Remove what was taken, if it still is what its record is about."""
    same = plan.taken.look is None or await asyncio.to_thread(_is_same, plan, custody)
    if plan.removes and same:
        await asyncio.to_thread(custody.remove, plan.taken, plan.sha256)
    else:
        await asyncio.to_thread(custody.put_back, plan.taken)


def _is_same(plan: Plan, custody: Custody) -> bool:
    with custody.open(plan.taken) as file:
        return digest(file) == plan.sha256
