"""What a worker's end of its link says, and when."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from bridge.core import Core, Settings, StartError
from icapd.workers.handed import Given, Handed
from icapd.workers.link import Link, Listener
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site

CORE = cast(
    Core, SimpleNamespace(reporter=SimpleNamespace(figures=lambda: [1], facts=lambda: {"a": 2}))
)


def test_it_says_that_it_lives_until_it_has_figures_to_tell() -> None:
    ours, theirs = socket.socketpair()
    supervisor = Listener(ours)

    async def next_message() -> dict[str, Any]:
        while True:
            for message in supervisor.messages():
                return message
            await asyncio.sleep(0.01)

    async def live() -> None:
        async with Link(theirs, asyncio.Event(), Handed()) as link:
            assert await next_message() == {"lives": True}  # before it serves, too
            link.tell_figures_of(CORE)
            assert await next_message() == {"report": {"figures": [1], "facts": {"a": 2}}}

    asyncio.run(asyncio.wait_for(live(), 30))
    ours.close()


class Looked(Handed):
    """Counts how often it was looked into."""

    times = 0

    def get(self) -> Given | None:
        self.times += 1
        return super().get()


async def answer(supervisor: Listener) -> dict[str, Any]:
    """What it says of the next reload."""
    while True:
        for message in supervisor.messages():
            if "reloaded" in message:
                return dict(message["reloaded"])
        await asyncio.sleep(0.01)


def test_it_answers_with_the_number_of_what_it_took(tmp_path: Path) -> None:
    put_certificate(tmp_path / "kata.pem", tmp_path / "kata.key")
    site = Site(tmp_path / "site", "https://127.0.0.1:9443", tmp_path / "kata.pem")
    settings = site.settings()
    ours, theirs = socket.socketpair()
    supervisor, handed, stop = Listener(ours), Looked(), asyncio.Event()
    faults: list[Exception] = []

    async def apply(wanted: Settings) -> None:
        assert wanted == settings
        if faults:
            raise faults.pop()

    async def looked(times: int) -> None:
        while handed.times < times:
            await asyncio.sleep(0.01)

    async def live() -> None:
        async with Link(theirs, stop, handed) as link:
            link.reload_by(apply)
            supervisor.tell_reload()
            await looked(1)  # nothing is there that is whole: it is told once more
            handed.put(settings)
            for number, error, why_not in (
                (2, None, ""),
                (3, StartError("it does not like them."), "it does not like them."),
                (4, ValueError("a bug"), "it failed at it"),
            ):
                faults.extend([error] if error is not None else [])
                handed.put(settings)
                supervisor.tell_reload()
                assert await answer(supervisor) == {"number": number, "why_not": why_not}
            stop.set()
            supervisor.tell_reload()
            await looked(5)
        assert not any("reloaded" in message for message in supervisor.messages())

    asyncio.run(asyncio.wait_for(live(), 30))
    ours.close()
    handed.close()
