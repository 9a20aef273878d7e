"""Waits for verdicts: one state call covers every scan in flight."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from bridge.core.kata.wire import Answer, CallResult, ScanState

_log = logging.getLogger(__name__)

FIRST_LOOK = 0.3
LONG_WAIT = 60.0
LONG_WAIT_INTERVAL = 10.0


@dataclass(eq=False, slots=True)
class Scan:
    """One accepted scan. `waiters`: how many cases wait for it now; times are loop seconds."""

    scan_id: str
    central_node: str
    accepted_at: float
    waiters: int = 0
    final: asyncio.Future[ScanState] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(frozen=True, slots=True)
class Intervals:
    """How often to look, in seconds: while somebody waits, and while nobody does."""

    waiting: float
    idle: float


def next_look(scans: Iterable[Scan], last_look: float, intervals: Intervals) -> float | None:
    """When to ask KATA next (loop seconds); None where nothing is in flight.

    Looks are at least `FIRST_LOOK` apart, so their number depends on time, not on scans.
    """
    looks = [_next_look(scan, last_look, intervals) for scan in scans]
    return max(min(looks), last_look + FIRST_LOOK) if looks else None


def _next_look(scan: Scan, last_look: float, intervals: Intervals) -> float:
    if last_look < scan.accepted_at + FIRST_LOOK:
        return scan.accepted_at + FIRST_LOOK
    if not scan.waiters:
        return last_look + intervals.idle
    if last_look - scan.accepted_at > LONG_WAIT:
        return last_look + max(intervals.waiting, LONG_WAIT_INTERVAL)
    return last_look + intervals.waiting


class StateCall(Protocol):
    """What the poller needs of the client."""

    async def states(self, central_node: str) -> CallResult:
        """The states of all scans of this instance."""


class Pollers:
    """One poller for each Central Node, so that one that hangs does not delay the others.

    Call `close` at the end.
    """

    def __init__(self, client: StateCall, central_nodes: list[str], intervals: Intervals) -> None:
        self._pollers = {node: Poller(client, node, intervals) for node in central_nodes}

    def watch(self, scan: Scan) -> None:
        """Look out for this scan from now on."""
        self._pollers[scan.central_node].watch(scan)

    def waiters_changed(self, scan: Scan) -> None:
        """Somebody began or ceased to wait for a scan."""
        self._pollers[scan.central_node].waiters_changed()

    def forget(self, scan: Scan) -> None:
        """Look out for this scan no longer."""
        self._pollers[scan.central_node].forget(scan)

    async def close(self) -> None:
        """Stop looking."""
        await asyncio.gather(*(poller.close() for poller in self._pollers.values()))


class Poller:
    """Sets `Scan.final` when one Central Node has a final state. Call `close` at the end."""

    def __init__(self, client: StateCall, central_node: str, intervals: Intervals) -> None:
        self._client = client
        self._node = central_node
        self._intervals = intervals
        self._scans: dict[str, Scan] = {}
        self._changed = asyncio.Event()
        self._last_look = float("-inf")
        self._failing = False
        self._task = asyncio.create_task(self._run(), name="kata-poller")

    def watch(self, scan: Scan) -> None:
        """Look out for this scan from now on."""
        self._scans[scan.scan_id] = scan
        self._changed.set()

    def waiters_changed(self) -> None:
        """Somebody began or ceased to wait for a scan."""
        self._changed.set()

    def forget(self, scan: Scan) -> None:
        """Look out for this scan no longer."""
        self._scans.pop(scan.scan_id, None)

    async def close(self) -> None:
        """Stop looking."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            due = next_look(self._scans.values(), self._last_look, self._intervals)
            try:
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
            except TimeoutError:
                self._last_look = loop.time()
                try:
                    await self._look()
                except Exception:
                    _log.exception("a fault of katabridge itself while asking KATA for states")

    async def _look(self) -> None:
        result = await self._client.states(self._node)
        self._note(result)
        for scan_id, state in (result.states or {}).items():
            scan = self._scans.get(scan_id)
            if scan is not None and state.is_final:
                self.forget(scan)
                if not scan.final.done():
                    scan.final.set_result(state)

    def _note(self, result: CallResult) -> None:
        failed = result.answer is not Answer.OK
        if failed and not self._failing:
            _log.warning(
                "KATA gives no states: %s: %s; scans stay pending", self._node, result.detail
            )
        if self._failing and not failed:
            _log.warning("KATA gives states again: %s", self._node)
        self._failing = failed
