"""Who is let in next: bounded, waiters before background, each client in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bridge.core.gate import Gate, Place, QueueFullError


def run(check: Callable[[], None]) -> None:
    async def main() -> None:
        check()

    asyncio.run(main())


def order(gate: Gate, first: Place, places: dict[str, Place]) -> list[str]:
    """The names in the order in which they are let in when each leaves at once."""
    inside, found = first, list[str]()
    while True:
        inside.leave()
        name = next((n for n, p in places.items() if p.ready.done() and n not in found), None)
        if name is None:
            return found
        found.append(name)
        inside = places[name]


def test_as_many_as_there_are_slots_are_inside_and_the_rest_waits() -> None:
    def check() -> None:
        gate = Gate(2, 1)
        places = [gate.ask("a", waited_for=True) for _ in range(3)]
        assert [place.ready.done() for place in places] == [True, True, False]
        assert (gate.inside, gate.waiting) == (2, 1)
        with pytest.raises(QueueFullError):
            gate.ask("a", waited_for=True)
        places[0].leave()
        assert places[2].ready.done()

    run(check)


def test_each_client_has_its_turn() -> None:
    def check() -> None:
        gate = Gate(1, 100)
        first = gate.ask("x", waited_for=True)
        places = {f"a{n}": gate.ask("a", waited_for=True) for n in range(3)}
        places |= {"b": gate.ask("b", waited_for=True), "c": gate.ask("c", waited_for=True)}
        assert order(gate, first, places) == ["a0", "b", "c", "a1", "a2"]

    run(check)


def test_who_is_waited_for_goes_before_the_background() -> None:
    def check() -> None:
        gate = Gate(1, 100)
        first = gate.ask("x", waited_for=True)
        places = {
            "later": gate.ask("a", waited_for=False),
            "promoted": gate.ask("a", waited_for=False),
            "waited": gate.ask("a", waited_for=True),
        }
        places["promoted"].wanted(waited_for=True)
        assert order(gate, first, places) == ["waited", "promoted", "later"]

    run(check)


def test_nobody_waits_any_longer_and_others_go_first() -> None:
    def check() -> None:
        gate = Gate(1, 100)
        first = gate.ask("x", waited_for=True)
        places = {name: gate.ask(name, waited_for=True) for name in ("left", "stays")}
        places["left"].wanted(waited_for=False)
        assert order(gate, first, places) == ["stays", "left"]

    run(check)


def test_who_is_waited_for_takes_the_place_of_one_in_the_background() -> None:
    def check() -> None:
        gate = Gate(1, 2)
        first = gate.ask("x", waited_for=True)
        early, late = (gate.ask("a", waited_for=False) for _ in range(2))
        with pytest.raises(QueueFullError):
            gate.ask("b", waited_for=False)
        waited = gate.ask("b", waited_for=True)
        assert isinstance(late.ready.exception(), QueueFullError)
        late.leave()
        assert (gate.inside, gate.waiting) == (1, 2)
        assert order(gate, first, {"early": early, "waited": waited}) == ["waited", "early"]
        waited = gate.ask("b", waited_for=True)

    run(check)


def test_leaving_twice_gives_back_once() -> None:
    def check() -> None:
        gate = Gate(1, 10)
        first = gate.ask("a", waited_for=True)
        second, third = (gate.ask("a", waited_for=True) for _ in range(2))
        first.leave()
        first.leave()
        assert (second.ready.done(), third.ready.done()) == (True, False)
        third.leave()
        assert gate.waiting == 0
        second.leave()
        assert gate.inside == 0

    run(check)


def test_who_is_cancelled_while_it_waits_takes_no_place() -> None:
    async def main() -> None:
        gate = Gate(1, 10)
        first = gate.ask("a", waited_for=True)
        task = asyncio.create_task(gate.enter("a", waited_for=True))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gate.waiting == 0
        first.leave()
        assert gate.inside == 0

    asyncio.run(main())


def test_who_is_cancelled_in_the_turn_it_is_let_in_gives_its_place_back() -> None:
    async def main() -> None:
        gate = Gate(1, 10)
        first = gate.ask("a", waited_for=True)
        task = asyncio.create_task(gate.enter("a", waited_for=True))
        await asyncio.sleep(0)
        first.leave()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert gate.inside == 0

    asyncio.run(main())


def test_a_place_that_is_being_cancelled_upsets_nobody() -> None:
    def check() -> None:
        gate = Gate(1, 2)
        first = gate.ask("a", waited_for=True)
        cancelled, background = gate.ask("a", waited_for=True), gate.ask("a", waited_for=False)
        cancelled.ready.cancel()  # its task has not run yet
        background.ready.cancel()
        waited = gate.ask("b", waited_for=True)  # takes the place of `background`
        first.leave()
        assert waited.ready.done()
        cancelled.leave()
        background.leave()
        assert (gate.inside, gate.waiting) == (1, 0)

    run(check)


def test_what_is_at_kata_already_has_a_place_and_is_counted() -> None:
    def check() -> None:
        gate = Gate(1, 5)
        forced = [gate.force("a") for _ in range(3)]
        waiting = gate.ask("a", waited_for=True)
        assert gate.inside == 3
        forced[0].leave()
        forced[1].leave()
        assert not waiting.ready.done()
        forced[2].leave()
        assert waiting.ready.done()

    run(check)
