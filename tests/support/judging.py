"""The core alone, without a door, as the contract tests use it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from bridge.core import Case, Core, Decision, Door, Item, Mode, Outcome, OutcomeKind, Source
from bridge.core.records import format_record
from bridge.emulator import Emulator
from tests.support.katabridge import Site

T = TypeVar("T")


async def make_item(core: Core, data: bytes, name: str = "a.bin") -> Item:
    """Bytes in the core's spool; the caller releases `item.body`."""
    writer = core.spool.writer()
    await writer.write(data)
    return Item(name, await writer.finish())


async def judge(
    core: Core, data: bytes, *, door: Door = Door.ICAP, wait: float | None = None
) -> tuple[Outcome, Decision]:
    """One case from its bytes to its record."""
    item = await make_item(core, data)
    case = Case(door, Mode.ADVANCED, item.name, {})
    try:
        outcome = await core.judge(case, item, wait=wait)
        decision = core.decide(case, outcome)
        await core.finish(case, item, outcome, decision)
        return outcome, decision
    finally:
        item.body.release()


def with_core(
    site: Site, work: Callable[[Core], Coroutine[Any, Any, T]], door: Door = Door.ICAP
) -> T:
    """Open a core, do the work, close it."""

    async def main() -> T:
        async with Core(site.settings(), door) as core:
            return await asyncio.wait_for(work(core), 100)

    return asyncio.run(main())


def end_scans(kata: Emulator) -> None:
    """Have KATA be done with everything, however long it was to take."""
    with kata.memory.lock:
        for key, scan in kata.memory.scans.items():
            kata.memory.scans[key] = replace(scan, done_at=0.0)


def record(
    name: str = "a.bin",
    kind: OutcomeKind = OutcomeKind.DETECT,
    source: Source = Source.KATA,
    decision: Decision = Decision.BLOCK,
    *,
    rule: str | None = None,
    late: bool = False,
) -> bytes:
    """The line that the log has of a case."""
    each = Case(Door.ICAP, Mode.ADVANCED, name, {"url": "http://x/"})
    return format_record(each, None, Outcome(kind, source, rule=rule), decision, late=late)
