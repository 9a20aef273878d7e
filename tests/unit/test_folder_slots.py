"""Places for files under way: no folder keeps another from beginning."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from bridge.folder.slots import FairSlots


async def taken(slots: FairSlots, folder: str, most: int | None = None) -> bool:
    """Whether the folder gets a place at once."""
    task = asyncio.create_task(slots.take(folder, most))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if task.done():
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


async def fill(slots: FairSlots, folder: str, most: int | None = None) -> int:
    count = 0
    while await taken(slots, folder, most):
        count += 1
    return count


def test_a_backlog_leaves_room_for_the_other_folders() -> None:
    async def work() -> None:
        slots = FairSlots(100, 3)
        assert await fill(slots, "a") == 68
        assert await fill(slots, "b") == 32
        assert await fill(slots, "c") == 0

    asyncio.run(work())


def test_one_folder_gets_all_and_never_none() -> None:
    async def work() -> None:
        assert await fill(FairSlots(7, 1), "a") == 7
        assert await fill(FairSlots(1, 5), "a") == 1
        assert await fill(FairSlots(200, 50), "a") >= 100

    asyncio.run(work())


def test_a_free_place_goes_to_whom_has_the_fewest() -> None:
    async def work() -> None:
        slots = FairSlots(10, 2)
        assert await fill(slots, "a") == 8
        assert await taken(slots, "b")
        assert await taken(slots, "b")
        order: Counter[str] = Counter()

        async def want(folder: str) -> None:
            await slots.take(folder)
            order[folder] += 1

        waiting = [asyncio.create_task(want("a")), asyncio.create_task(want("b"))]
        await asyncio.sleep(0)
        slots.give("a")
        await asyncio.sleep(0.01)
        assert order == {"b": 1}
        slots.give("a")
        await asyncio.sleep(0.01)
        assert order == {"a": 1, "b": 1}
        await asyncio.gather(*waiting)

    asyncio.run(work())


def test_who_wants_few_gets_few() -> None:
    async def work() -> None:
        slots = FairSlots(10, 1)
        assert await fill(slots, "a", 4) == 4
        assert await fill(slots, "a") == 6

    asyncio.run(work())


@pytest.mark.parametrize("given_first", [True, False])
def test_a_wait_that_is_cancelled_costs_no_place(given_first: bool) -> None:
    async def work() -> None:
        slots = FairSlots(1, 1)
        await slots.take("a")
        waiting = asyncio.create_task(slots.take("a"))
        await asyncio.sleep(0)
        if given_first:  # the place is his already when he is cancelled
            slots.give("a")
            waiting.cancel()
        else:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            slots.give("a")
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert await taken(slots, "a")

    asyncio.run(work())


def test_places_follow_their_number_and_the_folders() -> None:
    async def work() -> None:
        slots = FairSlots(10, 2)
        assert await fill(slots, "a") == 8
        waiting = asyncio.create_task(slots.take("a"))
        await asyncio.sleep(0)
        slots.resize(20, 2)
        await asyncio.sleep(0)
        assert waiting.done(), "who waits gets one of the new ones"
        assert await fill(slots, "a") == 6  # 15 of 20
        slots.resize(4, 1)
        for _ in range(11):
            slots.give("a")
            assert not await taken(slots, "b"), "more were taken than there are now"
        slots.give("a")
        assert await taken(slots, "b")

    asyncio.run(work())


def test_a_folder_that_is_dropped_gives_all_back_once() -> None:
    async def work() -> None:
        slots = FairSlots(10, 1)
        assert await fill(slots, "a") == 10
        slots.drop("a")
        slots.give("a")  # what it had under way ends after all
        assert await fill(slots, "b") == 10

    asyncio.run(work())
