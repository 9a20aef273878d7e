"""The core as one thing to open and close: what a door needs to judge, decide and record."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from bridge.core.health import KataHealth, KataState
from bridge.core.kata.client import KataClient
from bridge.core.kata.poller import Intervals, Pollers
from bridge.core.model import Case, Decision, Door, Item, Outcome
from bridge.core.policy import Policy, decide, door_policy
from bridge.core.posting import Poster
from bridge.core.records import Records
from bridge.core.settings import Settings
from bridge.core.spool import Spool
from bridge.core.submitter import Submitter
from bridge.core.verdicts import SqliteVerdicts, VerdictFront, VerdictStore
from bridge.core.verdicts.store import StoreError


class StartError(Exception):
    """A daemon cannot start; the text is one sentence for people."""


class Core:
    """One process's share of the submission core, for one door.

    Every case ends in exactly one call of `finish`.
    """

    def __init__(self, settings: Settings, door: Door, worker: int = 0) -> None:
        """Open everything; StartError says what cannot be had. Needs a running loop."""
        own = settings.icap.policy if door is Door.ICAP else settings.folder_policy
        self.policy: Policy = door_policy(door, settings.policy, own)
        self.settings = settings
        self.instance = f"{settings.kata.node}.{door.value.lower()}.{worker}"
        self._lock = _lock(settings.spool.dir, self.instance)
        try:
            self.spool = Spool(settings.spool, self.instance)
            self._records = Records(settings.logs.dir)
        except OSError as error:
            raise StartError(f"{error.filename}: {error.strerror}.") from None
        self._verdicts = VerdictFront(_open_store(settings), settings.verdicts.keep)
        self._client = KataClient(settings.kata, self.instance)
        self.health = KataHealth(str(settings.kata.sensor_id), settings.kata.urls)
        intervals = Intervals(settings.kata.poll_interval_waiting, settings.kata.poll_interval)
        self._poller = Pollers(self._client, settings.kata.urls, intervals)
        poster = Poster(self._client, settings.kata.urls, self.health)
        self._submitter = Submitter(settings.kata, self._verdicts, poster, self._poller, self._late)

    async def greet(self) -> None:
        """Ask KATA once, so that the log says at the start whether it accepts us."""
        for node in self.settings.kata.urls:
            result = await self._client.states(node)
            self.health.note(node, result.answer, result.detail)

    @property
    def kata_works(self) -> bool:
        """Whether KATA took or judged something when it was last asked."""
        return self.health.state in (KataState.OK, KataState.UNKNOWN)

    def known(self, item: Item) -> Outcome | None:
        """What can be said of these bytes without waiting."""
        return self._submitter.known(item)

    async def judge(self, case: Case, item: Item, *, wait: float | None = None) -> Outcome:
        """The outcome of an item; `pending` where `wait` seconds pass without one."""
        return await self._submitter.submit(case, item, wait=wait)

    def decide(self, case: Case, outcome: Outcome) -> Decision:
        """What the door does with it."""
        return decide(outcome.kind, case.mode, self.policy)

    def finish(self, case: Case, item: Item | None, outcome: Outcome, decision: Decision) -> None:
        """Write the case's record; its scan at KATA is no longer needed then."""
        self._records.write(case, item, outcome, decision)
        case.decision = decision
        self._submitter.recorded(case)

    def _late(self, case: Case, item: Item, outcome: Outcome) -> None:
        self._records.write_late(case, item, outcome, case.decision or Decision.HOLD)

    async def stop_judging(self) -> None:
        """Give everybody who waits for a verdict `unavailable`, and let KATA forget our scans."""
        await self._submitter.close()

    async def close(self) -> None:
        """End everything, in the order that loses nothing."""
        await self.stop_judging()
        await self._poller.close()
        await self._client.close()
        await self._verdicts.close()
        self.spool.close()
        self._records.close()
        os.close(self._lock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _lock(directory: Path, instance: str) -> int:
    """Make sure that nobody else runs as this instance; held until the process ends."""
    path = directory / f"{instance}.lock"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"{error.filename}: {error.strerror} (spool.dir).") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StartError(
            f"{path} is locked: this door of node {instance.partition('.')[0]!r} runs already. "
            "Stop it, or give this one another spool.dir and kata.node."
        ) from None
    return descriptor


def _open_store(settings: Settings) -> VerdictStore:
    path = Path(settings.verdicts.store.removeprefix("sqlite://"))
    try:
        return SqliteVerdicts(path)
    except StoreError as error:
        raise StartError(f"{error} (verdicts.store).") from None
