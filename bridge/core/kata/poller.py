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
LOST_AFTER = 30.0  # seconds for which KATA may not list a scan that it accepted


@dataclass(eq=False, slots=True)
class Scan:
    """One accepted scan. `waiters`: how many cases wait for it now; times are loop seconds.

    `final` becomes None where KATA does not know the scan (any longer). `in_doubt`: the process
    that sent it was cut off, so it may never have arrived.
    """

    scan_id: str
    central_node: str
    accepted_at: float
    waiters: int = 0
    in_doubt: bool = False
    missing_since: float | None = None
    final: asyncio.Future[ScanState | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def seen(self, state: ScanState) -> None:
        """KATA lists it."""
        self.in_doubt, self.missing_since = False, None
        if state.is_final and not self.final.done():
            self.final.set_result(state)

    def missed(self, now: float) -> None:
        """KATA answered, and does not list it: it is lost when that goes on."""
        if self.missing_since is None:
            self.missing_since = now
        lost = self.in_doubt or now - self.missing_since >= LOST_AFTER
        if lost and not self.final.done():
            self.final.set_result(None)


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

    Scans of a node that is no longer configured are lost. Call `close` at the end.
    """

    def __init__(self, client: StateCall, central_nodes: list[str], intervals: Intervals) -> None:
        self._pollers = {node: Poller(client, node, intervals) for node in central_nodes}

    def use(self, intervals: Intervals) -> None:
        """Look in these intervals from now on."""
        for poller in self._pollers.values():
            poller.use(intervals)

    def watch(self, scan: Scan) -> None:
        """Look out for this scan from now on."""
        poller = self._pollers.get(scan.central_node)
        if poller is not None:
            poller.watch(scan)
        elif not scan.final.done():
            scan.final.set_result(None)

    def waiters_changed(self, scan: Scan) -> None:
        """Somebody began or ceased to wait for a scan."""
        if scan.central_node in self._pollers:
            self._pollers[scan.central_node].waiters_changed()

    def forget(self, scan: Scan) -> None:
        """Look out for this scan no longer."""
        if scan.central_node in self._pollers:
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

    def use(self, intervals: Intervals) -> None:
        """Look in these intervals from now on."""
        self._intervals = intervals
        self._changed.set()

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
        asked_about = list(self._scans.values())
        result = await self._client.states(self._node)
        self._note(result)
        if result.states is None:
            return
        now = asyncio.get_running_loop().time()
        for scan in asked_about:
            state = result.states.get(scan.scan_id)
            if state is None:
                scan.missed(now)
            else:
                scan.seen(state)
            if scan.final.done():
                self.forget(scan)

    def _note(self, result: CallResult) -> None:
        failed = result.answer is not Answer.OK
        if failed and not self._failing:
            _log.warning(
                "KATA gives no states: %s: %s; scans stay pending", self._node, result.detail
            )
        if self._failing and not failed:
            _log.warning("KATA gives states again: %s", self._node)
        self._failing = failed
