"""When KATA is asked for states; how often depends on time, not on scans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

import pytest

from bridge.core.kata.poller import FIRST_LOOK, Intervals, Poller, Scan, next_look
from bridge.core.kata.wire import Answer, CallResult, ScanState

INTERVALS = Intervals(waiting=2, idle=60)


def scan(accepted_at: float, waiters: int = 1) -> Scan:
    return Scan("1", "https://cn", accepted_at, waiters, final=cast("asyncio.Future[Any]", None))


def test_nothing_in_flight_asks_nothing() -> None:
    assert next_look([], 5, INTERVALS) is None


def test_the_first_look_comes_soon_after_the_submission() -> None:
    assert next_look([scan(100)], 50, INTERVALS) == 100 + FIRST_LOOK


def test_then_the_waiting_interval() -> None:
    assert next_look([scan(100)], 100.5, INTERVALS) == 102.5


def test_who_has_waited_long_is_looked_after_more_slowly() -> None:
    assert next_look([scan(100)], 170, INTERVALS) == 180


def test_nobody_waits_once_a_minute() -> None:
    assert next_look([scan(100, waiters=0)], 100.5, INTERVALS) == 160.5


def test_one_who_waits_is_enough() -> None:
    assert next_look([scan(0, waiters=0), scan(100)], 101, INTERVALS) == 103


def test_looks_keep_their_distance_however_many_scans_come() -> None:
    stream = [scan(100 + n / 300) for n in range(300)]
    assert next_look(stream, 100.35, INTERVALS) == pytest.approx(100.35 + FIRST_LOOK)


class Kata:
    """Answers state calls from a list of results."""

    def __init__(self, *results: CallResult) -> None:
        self.results = list(results)
        self.calls = 0

    async def states(self, central_node: str) -> CallResult:
        del central_node
        self.calls += 1
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]


def ok(**states: ScanState) -> CallResult:
    return CallResult(Answer.OK, "", states=states)


T = TypeVar("T")


def run(kata: Kata, check: Callable[[Poller], Coroutine[Any, Any, T]]) -> T:
    async def main() -> T:
        poller = Poller(kata, "https://cn", Intervals(waiting=0.01, idle=0.01))
        try:
            return await asyncio.wait_for(check(poller), 30)
        finally:
            await poller.close()

    return asyncio.run(main())


def test_processing_is_waited_for_and_one_call_covers_all_scans() -> None:
    kata = Kata(
        ok(a=ScanState.PROCESSING, b=ScanState.PROCESSING),
        ok(a=ScanState.DETECT, b=ScanState.NOT_DETECTED, stranger=ScanState.DETECT),
    )

    async def check(poller: Poller) -> list[ScanState | None]:
        now = asyncio.get_running_loop().time()
        scans = [Scan("a", "https://cn", now, 1), Scan("b", "https://cn", now, 1)]
        for each in scans:
            poller.watch(each)
        return [await each.final for each in scans]

    assert run(kata, check) == [ScanState.DETECT, ScanState.NOT_DETECTED]
    assert kata.calls == 2


def test_a_failing_state_call_decides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    kata = Kata(
        CallResult(Answer.FAULT, "state answered 500"),
        CallResult(Answer.UNREACHABLE, "no route"),
        CallResult(Answer.NOT_ACCEPTED, "state answered 401"),
        ok(),
        ok(a=ScanState.NOT_DETECTED),
    )

    async def check(poller: Poller) -> ScanState | None:
        each = Scan("a", "https://cn", asyncio.get_running_loop().time(), 1)
        poller.watch(each)
        return await each.final

    assert run(kata, check) is ScanState.NOT_DETECTED
    assert kata.calls == 5
    assert "KATA gives no states: https://cn: state answered 500" in caplog.text
    assert caplog.text.count("gives no states") == 1
