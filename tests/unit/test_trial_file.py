"""A file of ours shows whether a Central Node takes any, and nothing of it stays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bridge.core import Item
from bridge.core.health import KataHealth
from bridge.core.journal import Journal
from bridge.core.kata.wire import Answer, CallResult
from bridge.core.posting import Poster

URL = "https://a"


class Node:
    """Answers a trial as it is told, once it may; it holds nothing that it did not take."""

    def __init__(self, answer: Answer = Answer.OK) -> None:
        self.answer = answer
        self.began, self.may_end = asyncio.Event(), asyncio.Event()
        self.deleted: list[str] = []
        self.contents: list[bytes] = []

    async def submit(self, central_node: str, scan_id: str, item: Item) -> CallResult:
        raise AssertionError("it is to go beside users' files")

    async def try_file(self, central_node: str, scan_id: str, item: Item) -> CallResult:
        with item.body.open() as file:
            self.contents.append(file.read())
        self.began.set()
        await self.may_end.wait()
        return CallResult(self.answer, "told so")

    async def delete(self, central_node: str, scan_id: str) -> CallResult:
        self.deleted.append(scan_id)
        return CallResult(Answer.OK, "", missing=self.answer is not Answer.OK)


def with_poster(folder: Path, work: Callable[[Journal], Awaitable[None]]) -> None:
    async def main() -> None:
        journal = Journal(folder / "journal")
        try:
            await work(journal)
        finally:
            journal.close()

    asyncio.run(main())


@pytest.mark.parametrize("answer", [Answer.OK, Answer.FAULT, Answer.UNREACHABLE, Answer.BUSY])
def test_nothing_of_a_trial_stays_whatever_it_is_answered(tmp_path: Path, answer: Answer) -> None:
    async def work(journal: Journal) -> None:
        node = Node(answer)
        node.may_end.set()
        poster = Poster(node, KataHealth("id", [URL]), journal)
        for _ in range(2):
            await poster.try_node(URL)
        assert len(node.deleted) == (0 if answer is Answer.BUSY else 2)
        assert journal.load().scans == []
        assert len(set(node.contents)) == 2, "KATA knows the bytes"
        assert min(map(len, node.contents)) > 100_000

    with_poster(tmp_path, work)


def test_a_stop_in_the_middle_leaves_it_to_the_next_start(tmp_path: Path) -> None:
    async def work(journal: Journal) -> None:
        node = Node()
        trial = asyncio.create_task(
            Poster(node, KataHealth("id", [URL]), journal).try_node(URL), name="trial"
        )
        await node.began.wait()
        trial.cancel()
        await asyncio.gather(trial, return_exceptions=True)
        assert [sent[0] for sent in await journal.done_scans()] == [URL]

    with_poster(tmp_path, work)
