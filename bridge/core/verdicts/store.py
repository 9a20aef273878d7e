"""The contract of every verdict store."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from bridge.core.model import Outcome, OutcomeKind, Source

CLOCK_SLACK = 300.0  # seconds that the clocks of two nodes may differ


@dataclass(frozen=True, slots=True)
class Verdict:
    """KATA's word on some bytes. `time` and `expires` are seconds since the epoch.

    `rule` names who said it where that was not KATA (an administrator, by hand).
    """

    sha256: str
    kind: OutcomeKind
    time: float
    expires: float
    threat: str | None = None
    technology: str | None = None
    importance: str | None = None
    scan_id: str | None = None
    md5: str | None = None
    rule: str | None = None

    def is_valid(self, now: float) -> bool:
        """Whether it lives at `now`; one from the future was made before the clock was set back."""
        return self.time - CLOCK_SLACK <= now < self.expires

    def replaces(self, old: Verdict, now: float) -> bool:
        """Whether it takes the place of `old`: the later word does, a person's stands longer."""
        if not old.is_valid(now):
            return True
        if (self.rule is None) != (old.rule is None):
            return self.rule is not None
        return self.time >= old.time

    def as_outcome(self) -> Outcome:
        """The outcome of an item with these bytes."""
        return Outcome(
            self.kind,
            Source.KNOWN,
            rule=self.rule,
            threat=self.threat,
            technology=self.technology,
            importance=self.importance,
            scan_id=self.scan_id,
            md5=self.md5,
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of one owner to have these bytes scanned, until its lease ends.

    `token` rises with each claim of the same bytes: it fences an owner whose claim was taken over.
    Token 0 is no store's: no store could be asked, and the owner goes on by itself.
    """

    sha256: str
    owner: str
    token: int

    @property
    def is_local(self) -> bool:
        """Whether no store knows of it."""
        return self.token == 0


class StoreError(Exception):
    """The store cannot be used; the text is one sentence. Judging goes on without it."""


class Watch(Protocol):
    """Looks out for news of some bytes."""

    async def wait(self, seconds: float) -> None:
        """Return when their verdict or claim may have changed, at the latest after `seconds`."""


class VerdictStore(Protocol):
    """Keeps verdicts by sha256; takes several processes at once. Methods raise StoreError."""

    async def get(self, sha256: str) -> Verdict | None:
        """The verdict that is valid now, or None."""

    async def put(self, verdict: Verdict, claim: Claim | None = None) -> bool:
        """Keep a verdict if it `replaces` the one that is there. Ends the claim, whosever it is.

        False, and nothing is kept, where it does not, or where `claim` is no longer its owner's.
        """

    async def forget(self, sha256: str) -> bool:
        """Drop a verdict; False where there was none."""

    async def claim(self, sha256: str, owner: str, seconds: float) -> Claim | None:
        """Take the right to scan these bytes for `seconds`; None while another owner has it.

        An owner that has it already gets it anew, with a new token: it was started again.
        It is given whether or not a verdict is known: look with `get` once more before a scan.
        """

    async def renew(self, claim: Claim, seconds: float) -> bool:
        """Lengthen the lease to `seconds` from now; False where it is no longer the owner's.

        A claim stays its owner's past its lease until another takes it, and where the store has
        lost it: an owner that was paused, or whose store was started empty, goes on.
        """

    async def release(self, claim: Claim) -> None:
        """Give the claim back without a verdict, so that another can take over."""

    def watch(self, sha256: str) -> AbstractAsyncContextManager[Watch]:
        """Look out for news: what changes after the entry is not missed by `Watch.wait`."""

    async def close(self) -> None:
        """Let go of files and connections."""
