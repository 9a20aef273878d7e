"""One content on its way through KATA, with all the cases that want to know."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bridge.core.gate import Place
from bridge.core.model import Case, Identity, Item, Outcome, OutcomeKind, Source
from bridge.core.posting import Posting


@dataclass(eq=False, slots=True)
class Flight:
    """The way of one content to its outcome. Times are loop seconds.

    `item` is None for a scan that was taken up again: its bytes are not here. It goes on until
    `keep_until`, which every case that is interested moves on.
    """

    content: Identity
    item: Item | None
    client: str
    started: float
    keep_until: float
    outcome: asyncio.Future[Outcome]
    posting: Posting = field(default_factory=Posting)
    place: Place | None = None
    waiters: int = 0
    open_cases: set[str] = field(default_factory=set)
    unjudged: dict[str, Case] = field(default_factory=dict)  # recorded without a verdict
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.Timeout | None = None
    task: asyncio.Task[None] | None = None

    def extend(self, until: float) -> None:
        """Somebody is interested until then."""
        if until > self.keep_until:
            self.keep_until = until
            if self.timer is not None and not self.timer.expired():
                self.timer.reschedule(until)

    def expire(self, now: float) -> None:
        """Nobody is interested any longer."""
        self.keep_until = now
        if self.timer is not None and not self.timer.expired():
            self.timer.reschedule(now)

    def opened(self, case: Case) -> None:
        """A case wants to know."""
        self.open_cases.add(case.id)
        self.recorded.clear()

    def closed(self, case: Case) -> None:
        """A case has its record."""
        self.open_cases.discard(case.id)
        if not self.open_cases:
            self.recorded.set()

    def count_waiter(self, change: int) -> None:
        """One case more or less waits now."""
        self.waiters += change
        if self.posting.scan is not None:
            self.posting.scan.waiters = self.waiters
        if self.place is not None:
            self.place.wanted(waited_for=self.waiters > 0)

    def end(self, outcome: Outcome) -> None:
        """Tell everybody."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def out_of_time(self) -> Outcome:
        """What a case gets that waits no longer."""
        if self.posting.scan is None:
            return unavailable("KATA took no file within kata.verdict_timeout")
        return Outcome(
            OutcomeKind.TIMEOUT,
            Source.KATA,
            "KATA gave no verdict within kata.verdict_timeout",
            scan_id=self.posting.scan.scan_id,
            md5=self.posting.md5,
        )


def oversize(limit: int | None) -> Outcome:
    """An item that is too large: by our limit in bytes, or (None) by KATA's."""
    if limit is None:
        return Outcome(OutcomeKind.OVERSIZE, Source.KATA, "larger than KATA takes", rule="kata")
    return Outcome(
        OutcomeKind.OVERSIZE,
        Source.RULE,
        f"larger than kata.max_object_size ({limit} bytes)",
        rule="kata.max_object_size",
    )


def unavailable(detail: str) -> Outcome:
    """An item that KATA could not be asked about."""
    return Outcome(OutcomeKind.UNAVAILABLE, Source.RULE, detail)
