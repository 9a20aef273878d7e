"""What a worker's end of its link says, and when."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any, cast

from bridge.core import Core
from icapd.workers.handed import Handed
from icapd.workers.link import Link, Listener

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
