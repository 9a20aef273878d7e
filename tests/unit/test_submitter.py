"""Waiting for one scan: who is told what, in whichever order things happen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

from bridge.core.kata.poller import Pollers, Scan
from bridge.core.kata.wire import Answer, CallResult, ScanState
from bridge.core.model import Case, Decision, Door, Identity, Item, Mode, Outcome, OutcomeKind
from bridge.core.posting import Poster, Posting
from bridge.core.scanner import Scanner
from bridge.core.settings import KataSettings
from bridge.core.submitter import Submitter
from bridge.core.verdicts import Claim, VerdictFront

K = OutcomeKind


class Body:
    """Stands for a body in the spool."""

    def __init__(self, sha256: str) -> None:
        self.sha256, self.size, self.held = sha256, 1, 0

    def retain(self) -> Body:
        self.held += 1
        return self

    def release(self) -> None:
        self.held -= 1


class Kata:
    """A poster that accepts everything; the test says when the verdict comes."""

    def __init__(self) -> None:
        self.scans: list[Scan] = []
        self.forgotten = 0

    @property
    def scan(self) -> Scan:
        return self.scans[-1]

    async def post(self, item: Item, posting: Posting) -> CallResult:
        del item
        number = str(len(self.scans) + 1)
        posting.scan = Scan(number, "https://cn", asyncio.get_running_loop().time())
        self.scans.append(posting.scan)
        return CallResult(Answer.OK, "")

    async def forget(self, posting: Posting) -> None:
        del posting
        self.forgotten += 1

    async def posted(self, count: int = 1) -> None:
        while len(self.scans) < count:
            await asyncio.sleep(0)


class Nothing:
    """A poller that looks nowhere, and a front that knows nothing and gives every claim."""

    def __init__(self) -> None:
        self.kept: list[Outcome] = []
        self.claims: list[Claim] = []
        self.owned_by_others = 0

    def watch_scan(self, scan: Scan) -> None: ...
    def forget(self, scan: Scan) -> None: ...
    def waiters_changed(self, scan: Scan) -> None: ...
    def peek(self, sha256: str) -> None: ...
    async def get(self, sha256: str) -> None: ...
    async def ask(self, sha256: str) -> None: ...

    async def put(self, sha256: str, outcome: Outcome, claim: Claim | None = None) -> None:
        del sha256, claim
        self.kept.append(outcome)

    async def claim(self, sha256: str, owner: str, seconds: float) -> Claim | None:
        del seconds
        if self.owned_by_others:
            self.owned_by_others -= 1
            return None
        self.claims.append(Claim(sha256, owner, len(self.claims) + 1))
        return self.claims[-1]

    async def release(self, claim: Claim) -> None:
        self.claims.remove(claim)

    @asynccontextmanager
    async def watch(self, sha256: str) -> Any:
        del sha256
        yield SimpleNamespace(wait=lambda _: asyncio.sleep(0))


class Aftermath:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, OutcomeKind]] = []

    def judged_late(self, case: Case, content: Identity, outcome: Outcome) -> asyncio.Task[None]:
        del content
        self.told.append((case.id, outcome.kind))
        return asyncio.create_task(asyncio.sleep(0))


class Bench:
    """A submitter with everything around it played by the test."""

    def __init__(self, **changes: Any) -> None:
        self.kata, self.front, self.aftermath = Kata(), Nothing(), Aftermath()
        limits = {"max_object_size": 10, "max_in_flight": 1, "queue": 1, "verdict_timeout": 60.0}
        limits |= {"late_window": 600.0, **changes}
        settings = cast(KataSettings, SimpleNamespace(**limits))
        front = cast(VerdictFront, self.front)
        poller = SimpleNamespace(
            watch=self.front.watch_scan,
            forget=self.front.forget,
            waiters_changed=self.front.waiters_changed,
        )
        self.scanner = Scanner(
            settings, "me", front, cast(Poster, self.kata), cast(Pollers, poller)
        )
        self.submitter = Submitter(settings, front, self.scanner, self.aftermath)

    def ask(self, case: Case, item: Item | None = None, **how: Any) -> asyncio.Task[Outcome]:
        return asyncio.create_task(self.submitter.submit(case, item or ITEM, **how))

    def record(self, case: Case, outcome: Outcome, decision: Decision) -> None:
        case.decision = decision
        self.submitter.recorded(case, outcome)


def make_case() -> Case:
    return Case(Door.ICAP, Mode.ADVANCED, "a", {})


def run(check: Callable[[Bench], Awaitable[None]], **changes: Any) -> None:
    async def main() -> None:
        bench = Bench(**changes)
        await check(bench)
        await bench.submitter.close(keep=True)
        assert bench.front.claims == [], "a claim is left"

    asyncio.run(asyncio.wait_for(main(), 30))


ITEM = Item("a", cast(Any, Body("s")))
OTHER = Item("b", cast(Any, Body("t")))


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_verdict_in_the_very_turn_in_which_the_wait_ends_is_not_lost() -> None:
    async def check(bench: Bench) -> None:
        mine = make_case()
        task = bench.ask(mine, wait=0.05)
        await bench.kata.posted()
        loop = asyncio.get_running_loop()
        blocked_until = loop.time() + 0.1
        while loop.time() < blocked_until:
            pass  # the loop is busy: the timer and the verdict fall into one turn
        bench.kata.scan.final.set_result(ScanState.DETECT)
        outcome = await task
        bench.record(mine, outcome, Decision.PASS)
        assert outcome.kind is K.DETECT or bench.aftermath.told == [(mine.id, K.DETECT)]

    run(check)


def test_a_verdict_that_comes_while_the_record_is_written_is_told() -> None:
    async def check(bench: Bench) -> None:
        mine = make_case()
        outcome = await bench.ask(mine, wait=0.01)
        assert outcome.kind is K.PENDING
        bench.kata.scan.final.set_result(ScanState.DETECT)
        await turns()
        bench.record(mine, outcome, Decision.PASS)
        assert bench.aftermath.told == [(mine.id, K.DETECT)]

    run(check)


def test_the_scan_is_forgotten_only_after_the_record() -> None:
    async def check(bench: Bench) -> None:
        mine, other = make_case(), make_case()
        tasks = [bench.ask(each) for each in (mine, other)]
        await bench.kata.posted()
        bench.kata.scan.final.set_result(ScanState.NOT_DETECTED)
        outcome, _ = await asyncio.gather(*tasks)
        await turns()
        bench.record(mine, outcome, Decision.PASS)
        await turns()
        assert bench.kata.forgotten == 0, "one case has no record yet"
        bench.record(other, outcome, Decision.PASS)
        await turns()
        assert bench.kata.forgotten == 1
        assert bench.aftermath.told == []

    run(check)


def test_who_was_passed_without_a_verdict_is_looked_after_beyond_the_timeout() -> None:
    async def check(bench: Bench) -> None:
        mine = make_case()
        outcome = await bench.ask(mine)
        assert outcome.kind is K.TIMEOUT
        bench.record(mine, outcome, Decision.PASS)
        await asyncio.sleep(1.5)  # past the grace in which a case is to have its record
        assert bench.submitter.in_flight == 1
        bench.kata.scan.final.set_result(ScanState.DETECT)
        await turns()
        assert bench.aftermath.told == [(mine.id, K.DETECT)]
        assert bench.kata.forgotten == 1

    run(check, verdict_timeout=0.05)


def test_who_was_blocked_without_a_verdict_is_not_looked_after() -> None:
    async def check(bench: Bench) -> None:
        mine = make_case()
        outcome = await bench.ask(mine)
        bench.record(mine, outcome, Decision.BLOCK)
        while bench.submitter.in_flight:
            await asyncio.sleep(0.01)
        assert bench.aftermath.told == [(mine.id, K.TIMEOUT)]
        await turns()
        assert bench.kata.forgotten == 1

    run(check, verdict_timeout=0.05)


def test_who_comes_while_a_passed_one_is_looked_after_joins_its_scan() -> None:
    async def check(bench: Bench) -> None:
        first, second = make_case(), make_case()
        bench.record(first, await bench.ask(first), Decision.PASS)
        task = bench.ask(second)
        await turns()
        bench.kata.scan.final.set_result(ScanState.NOT_DETECTED)
        assert (await task).kind is K.NOT_DETECTED
        assert len(bench.kata.scans) == 1

    run(check, verdict_timeout=0.1)


def test_a_scan_that_kata_looks_at_for_long_gives_its_place_to_others() -> None:
    async def check(bench: Bench) -> None:
        first = make_case()
        bench.record(first, await bench.ask(first), Decision.PASS)
        task = bench.ask(make_case(), OTHER)
        await bench.kata.posted(2)
        bench.kata.scan.final.set_result(ScanState.NOT_DETECTED)
        assert (await task).kind is K.NOT_DETECTED

    run(check, verdict_timeout=0.1)


def test_a_scan_that_kata_lost_is_submitted_once_more() -> None:
    async def check(bench: Bench) -> None:
        task = bench.ask(make_case())
        await bench.kata.posted()
        bench.kata.scan.final.set_result(None)
        await bench.kata.posted(2)
        bench.kata.scan.final.set_result(None)
        outcome = await task
        assert outcome.kind is K.UNAVAILABLE
        assert "lost" in outcome.detail

    run(check)


def test_what_another_process_has_scanned_is_waited_for_and_taken_over_when_it_fails() -> None:
    async def check(bench: Bench) -> None:
        bench.front.owned_by_others = 3
        task = bench.ask(make_case())
        await bench.kata.posted()
        assert bench.front.owned_by_others == 0
        bench.kata.scan.final.set_result(ScanState.NOT_DETECTED)
        assert (await task).kind is K.NOT_DETECTED

    run(check)


def test_a_stop_while_another_process_has_it_leaves_nothing() -> None:
    async def check(bench: Bench) -> None:
        bench.front.owned_by_others = 1 << 40
        task = bench.ask(make_case())
        await turns(50)
        await bench.submitter.close(keep=True)
        assert (await task).kind is K.UNAVAILABLE
        assert bench.scanner.gate.inside == 0
        assert bench.kata.scans == []

    run(check)


def test_bodies_are_let_go_of_in_the_end() -> None:
    async def check(bench: Bench) -> None:
        body = Body("x")
        item = Item("x", cast(Any, body))
        task = bench.ask(make_case(), item)
        await bench.kata.posted()
        assert body.held == 1
        bench.kata.scan.final.set_result(ScanState.ERROR)
        assert (await task).kind is K.ERROR
        assert body.held == 0
        assert bench.front.kept == [], "an error is no verdict"

    run(check)


def test_who_is_waited_for_takes_the_place_of_one_whose_user_has_left() -> None:
    async def check(bench: Bench) -> None:
        bench.ask(make_case())
        await bench.kata.posted()
        left = make_case()
        outcome = await bench.ask(left, OTHER, wait=0.01)
        assert outcome.kind is K.PENDING
        bench.record(left, outcome, Decision.HOLD)
        third = bench.ask(make_case(), Item("c", cast(Any, Body("u"))))
        await turns()
        assert bench.aftermath.told == [(left.id, K.UNAVAILABLE)]
        bench.kata.scan.final.set_result(ScanState.NOT_DETECTED)
        await bench.kata.posted(2)
        bench.kata.scan.final.set_result(ScanState.NOT_DETECTED)
        assert (await third).kind is K.NOT_DETECTED

    run(check)
