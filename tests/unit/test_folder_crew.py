"""Who watches after a reload, and when: by watchers that do nothing but begin and end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from bridge.core import FolderSettings
from bridge.folder.crew import Crew, Wanted
from bridge.folder.notes import Note, Why
from bridge.folder.settle import Look
from tests.support.waiting import until

LONG = 1000.0


def wanted(name: str, place: str, **more: object) -> Wanted:
    data = {"name": name, "input": f"/{place}", "output": "/o", "quarantine": "/q", **more}
    folder = FolderSettings.model_validate(data)
    return Wanted(folder, str(folder.input))


class Fake:
    """A watcher whose end takes until `may_end` is set, and its threads until `may_rest` is."""

    def __init__(self, yard: FakeYard, what: Wanted) -> None:
        self.yard, self.what = yard, what
        self.may_end, self.may_rest, self.fails = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.undone: dict[str, Note] = {}
        self.places = 5
        self.is_ending = False
        if not yard.ends_are_held:
            self.may_end.set()
            self.may_rest.set()

    async def run(self) -> None:
        self.yard.begins(self)
        try:
            await self.fails.wait()
            raise ZeroDivisionError("planted")
        finally:
            self.is_ending = True
            await self.may_end.wait()
            self.yard.in_order.append(self.what.folder.name)

    async def quiet(self) -> None:
        await self.may_rest.wait()
        self.yard.active.remove(self)

    def let_go(self) -> None:
        self.places = 0

    def look_soon(self) -> None:
        """Nothing to look at."""

    def facts(self) -> dict[str, object]:
        return {"name": self.what.folder.name, "troubles": []}


class FakeYard:
    def __init__(self) -> None:
        self.ends_are_held = False
        self.all: list[Fake] = []
        self.active: list[Fake] = []
        self.in_order: list[str] = []  # those whose end was not cut off
        self.forgotten: list[str] = []
        self.kept: list[tuple[str, dict[str, Note]]] = []

    def begins(self, fake: Fake) -> None:
        taken = [each.what.input for each in self.active]
        assert fake.what.input not in taken, "two have the same input"
        self.active.append(fake)

    def make(self, what: Wanted) -> Fake:
        self.all.append(Fake(self, what))
        return self.all[-1]

    def keep(self, what: Wanted, undone: dict[str, Note]) -> None:
        self.kept.append((what.input, undone))

    def forget(self, names: Sequence[str], name: str) -> None:
        assert name not in names
        self.forgotten.append(name)

    @property
    def on(self) -> list[tuple[str, str]]:
        return sorted((fake.what.folder.name, fake.what.input) for fake in self.active)


Work = Callable[[Crew, FakeYard], Awaitable[None]]


def crewed(work: Work, patience: float = LONG) -> FakeYard:
    yard = FakeYard()

    async def main() -> None:
        crew = Crew(yard, patience)
        running = asyncio.create_task(crew.run())
        try:
            await asyncio.wait_for(work(crew, yard), 30)
        finally:
            running.cancel()
            for fake in yard.all:
                fake.may_end.set()
            await asyncio.gather(running, return_exceptions=True)
            assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    asyncio.run(main())
    return yard


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_what_is_the_same_goes_on_and_the_rest_follows() -> None:
    async def work(crew: Crew, yard: FakeYard) -> None:
        crew.want([wanted("a", "1"), wanted("b", "2"), wanted("c", "3")])
        await turns()
        first = list(yard.active)
        crew.want([wanted("a", "1"), wanted("b", "2", settle="9s"), wanted("d", "4")])
        await turns()
        assert yard.on == [("a", "/1"), ("b", "/2"), ("d", "/4")]
        assert first[0] in yard.active
        assert first[1] not in yard.active
        assert yard.forgotten == ["c"]
        assert [facts["name"] for facts in crew.facts()] == ["a", "b", "d"]

    crewed(work)


def test_an_input_is_the_same_wherever_a_link_in_it_leads() -> None:
    """A share that hung at the first look: its links led nowhere yet."""

    async def work(crew: Crew, yard: FakeYard) -> None:
        yard.ends_are_held = True
        crew.want([wanted("a", "link")])
        await turns()
        crew.want([wanted("b", "link")._replace(input="/real")])
        await turns()
        assert len(yard.all) == 1
        yard.all[0].may_end.set()
        yard.all[0].may_rest.set()
        await until(lambda: yard.on == [("b", "/real")])

    crewed(work)


def test_the_one_before_ends_first_also_where_the_settings_come_back() -> None:
    async def work(crew: Crew, yard: FakeYard) -> None:
        yard.ends_are_held = True
        crew.want([wanted("a", "1")])
        await turns()
        for settle in ("9s", "8s"):
            crew.want([wanted("a", "1", settle=settle)])
            await turns()
        crew.want([wanted("a", "1")])
        await turns()
        (old,) = yard.all  # nobody has come in its place, not even itself
        assert "before has ended" in str(crew.facts())
        old.may_end.set()
        await turns()
        assert len(yard.all) == 1, "its threads still work"
        old.may_rest.set()
        await turns()
        assert [fake.what for fake in yard.all] == [wanted("a", "1"), wanted("a", "1")]
        assert yard.forgotten == []
        assert crew.facts() == [{"name": "a", "troubles": []}]

    crewed(work)


def test_inputs_change_names_one_after_the_other() -> None:
    async def work(crew: Crew, yard: FakeYard) -> None:
        yard.ends_are_held = True
        crew.want([wanted("a", "1"), wanted("b", "2")])
        await turns()
        crew.want([wanted("a", "2"), wanted("b", "1")])
        await turns()
        one, two = yard.all
        for event in (one.may_end, one.may_rest):
            event.set()
        await turns()
        assert len(yard.all) == 2, "one of the two inputs is free, and no name"
        for event in (two.may_end, two.may_rest):
            event.set()
        await turns()
        assert yard.on == [("a", "/2"), ("b", "/1")]

    crewed(work)


def test_what_could_not_be_done_is_kept_for_the_next() -> None:
    note = Note("a", Look("x", 1, 1, 1, 1), Why.DELIVERED, "")

    async def work(crew: Crew, yard: FakeYard) -> None:
        crew.want([wanted("a", "1")])
        await turns()
        yard.all[0].undone = {"case": note}
        crew.want([wanted("b", "1")])
        await turns()
        assert yard.kept == [("/1", {"case": note})]
        assert yard.on == [("b", "/1")]

    crewed(work)


def test_one_that_hangs_at_its_end_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def work(crew: Crew, yard: FakeYard) -> None:
        yard.ends_are_held = True
        crew.want([wanted("a", "1"), wanted("b", "2"), wanted("gone", "3")])
        await turns()
        a, b, gone = yard.all
        yard.ends_are_held = False
        b.may_end.set()
        b.may_rest.set()
        crew.want([wanted("a", "5"), wanted("b", "2", settle="9s"), wanted("c", "3")])
        await turns()
        assert ("b", "/2") in yard.on
        assert yard.all[-1].what == wanted("b", "2", settle="9s"), "its input is free, no other"
        await until(lambda: yard.all[-1].what == wanted("a", "5"))
        assert (a.places, gone.places) == (0, 0)
        assert yard.forgotten == ["gone"]
        assert wanted("c", "3") not in [fake.what for fake in yard.all], "that input still is taken"
        for name, place in (("a", "/1"), ("gone", "/3")):
            assert f"folder {name}: what was under way for {place} has not ended" in caplog.text
        assert caplog.text.count("Until it has, that input is not watched again") == 2
        gone.may_end.set()
        await turns()
        gone.may_rest.set()
        await until(lambda: ("c", "/3") in yard.on)
        assert caplog.text.count("no longer watches /3 as folder gone") == 1

    crewed(work, patience=0.05)


def test_a_stop_cuts_off_nobody_who_ends_already() -> None:
    async def work(crew: Crew, yard: FakeYard) -> None:
        yard.ends_are_held = True
        crew.want([wanted("a", "1"), wanted("b", "2")])
        await turns()
        crew.want([wanted("b", "2")])
        await turns()
        crew.want([wanted("a", "1"), wanted("b", "2")])
        await turns()
        assert len(yard.all) == 2

    yard = crewed(work)
    assert sorted(yard.in_order) == ["a", "b"]


def test_settings_that_come_while_all_ends_change_nothing() -> None:
    async def main() -> list[str]:
        yard = FakeYard()
        yard.ends_are_held = True
        crew = Crew(yard, LONG)
        running = asyncio.create_task(crew.run())
        crew.want([wanted("a", "1")])
        await turns()
        running.cancel()
        await turns()
        crew.want([wanted("b", "2")])
        await turns()
        yard.all[0].may_end.set()
        await asyncio.gather(running, return_exceptions=True)
        assert len(yard.all) == 1
        return yard.in_order

    assert asyncio.run(main()) == ["a"]


@pytest.mark.parametrize("turns_between", range(6))
def test_a_stop_right_after_news_is_a_stop(turns_between: int) -> None:
    async def main() -> None:
        yard = FakeYard()
        yard.ends_are_held = True
        crew = Crew(yard, LONG)
        running = asyncio.create_task(crew.run())
        crew.want([wanted("a", "1")])
        await turns()
        crew.want([wanted("b", "2")])  # it waits by the clock for the end of `a`
        await turns()
        crew.want([wanted("c", "3")])
        for _ in range(turns_between):
            await asyncio.sleep(0)
        running.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        for fake in yard.all:
            fake.may_end.set()
        await asyncio.wait({running}, timeout=5)
        assert running.cancelled()

    asyncio.run(main())


def test_one_that_fails_ends_all_with_its_fault() -> None:
    async def main() -> list[str]:
        yard = FakeYard()
        crew = Crew(yard, LONG)
        running = asyncio.create_task(crew.run())
        crew.want([wanted("a", "1"), wanted("b", "2")])
        await turns()
        yard.all[0].fails.set()
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(running, 30)
        return yard.in_order

    assert asyncio.run(main()) == ["a", "b"]


@pytest.mark.parametrize("news", [False, True])
def test_a_stop_while_one_that_failed_ends_cuts_off_nobody(news: bool) -> None:
    async def main() -> list[str]:
        yard = FakeYard()
        yard.ends_are_held = True
        crew = Crew(yard, LONG)
        running = asyncio.create_task(crew.run())
        crew.want([wanted("a", "1"), wanted("b", "2")])
        await turns()
        yard.all[0].fails.set()
        await turns()  # `a` is at its end, and nobody has told it to
        if news:
            crew.want([wanted("b", "2")])
            yard.all[1].fails.set()
        await turns()
        for _ in range(2):
            running.cancel()
            await turns()
        for fake in yard.all:
            fake.may_end.set()
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(running, 30)
        return sorted(yard.in_order)

    assert asyncio.run(main()) == ["a", "b"]
