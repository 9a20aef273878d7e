"""Waiting for one scan: who is told what, in whichever order things happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from bridge.core.kata.poller import Pollers, Scan
from bridge.core.kata.wire import Answer, CallResult, ScanState
from bridge.core.model import Case, Door, Item, Mode, Outcome, OutcomeKind
from bridge.core.posting import Poster, Posting
from bridge.core.settings import KataSettings
from bridge.core.submitter import Submitter
from bridge.core.verdicts import VerdictFront


class Body:
    """Stands for a body in the spool."""

    sha256, size = "s", 1

    def retain(self) -> Body:
        return self

    def release(self) -> None:
        """Nothing to free."""


class Kata:
    """A poster that accepts everything; the test says when the verdict comes."""

    def __init__(self) -> None:
        self.scan: Scan | None = None
        self.forgotten = 0

    async def post(self, item: Item, posting: Posting) -> CallResult:
        del item
        self.scan = posting.scan = Scan("1", "https://cn", asyncio.get_running_loop().time())
        return CallResult(Answer.OK, "")

    async def forget(self, posting: Posting) -> None:
        del posting
        self.forgotten += 1


class Nothing:
    """A poller that looks nowhere, and a front that knows nothing."""

    def watch(self, scan: Scan) -> None: ...
    def forget(self, scan: Scan) -> None: ...
    def waiters_changed(self, scan: Scan) -> None: ...
    def peek(self, sha256: str) -> None: ...
    async def get(self, sha256: str) -> None: ...
    async def put(self, sha256: str, outcome: Outcome) -> None: ...


def case() -> Case:
    return Case(Door.ICAP, Mode.ADVANCED, "a", {})


def run(check: Callable[[Submitter, Kata, list[Case]], Any]) -> None:
    async def main() -> None:
        kata, late, nothing = Kata(), list[Case](), Nothing()
        limits = {"max_object_size": 10, "max_in_flight": 1, "queue": 1, "verdict_timeout": 60.0}
        settings = cast(KataSettings, SimpleNamespace(**limits))
        submitter = Submitter(
            settings,
            cast(VerdictFront, nothing),
            cast(Poster, kata),
            cast(Pollers, nothing),
            lambda each, _item, _outcome: late.append(each),
        )
        await check(submitter, kata, late)
        await submitter.close()

    asyncio.run(asyncio.wait_for(main(), 20))


ITEM = Item("a", cast(Any, Body()))


def test_a_verdict_in_the_very_turn_in_which_the_wait_ends_is_not_lost() -> None:
    async def check(submitter: Submitter, kata: Kata, late: list[Case]) -> None:
        mine = case()
        task = asyncio.create_task(submitter.submit(mine, ITEM, wait=0.05))
        while kata.scan is None:  # noqa: ASYNC110 - it is posted at once
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        blocked_until = loop.time() + 0.1
        while loop.time() < blocked_until:
            pass  # the loop is busy: the timer and the verdict fall into one turn
        kata.scan.final.set_result(ScanState.DETECT)
        outcome = await task
        told = [each.id for each in late]
        assert outcome.kind is OutcomeKind.DETECT or told == [mine.id]

    run(check)


def test_the_scan_is_forgotten_only_after_the_record() -> None:
    async def check(submitter: Submitter, kata: Kata, late: list[Case]) -> None:
        mine, other = case(), case()
        tasks = [asyncio.create_task(submitter.submit(each, ITEM)) for each in (mine, other)]
        while kata.scan is None:  # noqa: ASYNC110 - it is posted at once
            await asyncio.sleep(0)
        kata.scan.final.set_result(ScanState.NOT_DETECTED)
        await asyncio.gather(*tasks)
        await asyncio.sleep(0.01)
        submitter.recorded(mine)
        await asyncio.sleep(0.01)
        assert kata.forgotten == 0, "one case has no record yet"
        submitter.recorded(other)
        await asyncio.sleep(0.01)
        assert kata.forgotten == 1
        assert late == []

    run(check)
