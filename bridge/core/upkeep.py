"""What a core does by the clock: knock at nodes that failed, ask for limits, tidy up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from bridge.core.cancelling import end_tasks
from bridge.core.health import KataHealth
from bridge.core.kata.wire import Answer, CallResult
from bridge.core.posting import Poster
from bridge.core.submitter import Submitter

_log = logging.getLogger(__name__)

_LEAST_LIMIT = 1 << 20

Work = Callable[[], Awaitable[None]]


class Clockwork:
    """Runs work at intervals, each in a task of its own; a fault in one is said and survived."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def every(self, seconds: float, work: Work) -> None:
        """Run `work` now and again `seconds` after each end."""
        self._tasks.append(asyncio.create_task(_repeat(seconds, work), name="upkeep"))

    def once(self, work: Work) -> None:
        """Run `work` now, beside the rest."""
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(_try(work), name="upkeep"))

    async def close(self) -> None:
        """Stop."""
        await end_tasks(self._tasks)


async def _repeat(seconds: float, work: Work) -> None:
    while True:
        await _try(work)
        await asyncio.sleep(seconds)


async def _try(work: Work) -> None:
    try:
        await work()
    except Exception:
        _log.exception("a fault of katabridge itself in its upkeep")


class KataCalls(Protocol):
    """What is needed of the client."""

    async def states(self, central_node: str) -> CallResult:
        """The states of all scans of this instance."""

    async def max_object_size(self, central_node: str) -> CallResult:
        """KATA's limits."""


async def knock(client: KataCalls, poster: Poster, health: KataHealth, node: str) -> None:
    """Ask a node, if that is due, whether it works: one that failed is tried with no user's file,
    and where files failed, with one of ours."""
    if node in health.to_knock() and not health.note(node, await client.states(node)):
        await poster.try_node(node)


class Limits:
    """Keeps the submitter's size limit at the smaller one of ours and KATA's."""

    def __init__(self, client: KataCalls, health: KataHealth, submitter: Submitter) -> None:
        self._client = client
        self._health = health
        self._submitter = submitter
        self._ours = submitter.max_object_size
        self._known: dict[str, int] = {}
        self._doubted: set[str] = set()

    def use(self, max_object_size: int) -> None:
        """Ours is another from now on; KATA's own counts where it is smaller."""
        self._ours = max_object_size
        self._apply()

    async def ask(self) -> None:
        """Ask every node that works; one that does not say keeps what it said before."""
        for node in self._health.usable():
            result = await self._client.max_object_size(node)
            if result.answer is Answer.OK and result.max_object_size is not None:
                self._learn(node, result.max_object_size)
        self._apply()

    def _apply(self) -> None:
        before = self._submitter.max_object_size
        limit = min([self._ours, *self._known.values()])
        self._submitter.max_object_size = limit
        if limit != before:
            whose = "kata.max_object_size" if limit == self._ours else "KATA's own limit"
            _log.warning("objects over %d bytes are not sent from now on (%s)", limit, whose)

    def _learn(self, node: str, size: int) -> None:
        """The help names no unit; what cannot be bytes must not let objects by unscanned."""
        if size >= _LEAST_LIMIT:
            self._known[node] = size
            return
        self._known.pop(node, None)
        if node not in self._doubted:
            _log.error(
                "KATA's maxObjectSize is %d (%s), too little to be bytes: it is not used, and "
                "what KATA finds too large it refuses itself (413)",
                size,
                node,
            )
            self._doubted.add(node)
