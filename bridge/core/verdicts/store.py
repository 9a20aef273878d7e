"""The contract of every verdict store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bridge.core.model import Outcome, OutcomeKind, Source


@dataclass(frozen=True, slots=True)
class Verdict:
    """KATA's word on some bytes. `time` and `expires` are seconds since the epoch."""

    sha256: str
    kind: OutcomeKind
    time: float
    expires: float
    threat: str | None = None
    technology: str | None = None
    scan_id: str | None = None
    md5: str | None = None

    def as_outcome(self) -> Outcome:
        """The outcome of an item with these bytes."""
        return Outcome(
            self.kind,
            Source.KNOWN,
            threat=self.threat,
            technology=self.technology,
            scan_id=self.scan_id,
            md5=self.md5,
        )


class StoreError(Exception):
    """The store cannot be used; the text is one sentence. Judging goes on without it."""


class VerdictStore(Protocol):
    """Keeps verdicts by sha256; takes several processes at once. Methods raise StoreError."""

    async def get(self, sha256: str) -> Verdict | None:
        """The verdict that has not expired, or None."""

    async def put(self, verdict: Verdict) -> None:
        """Keep a verdict; a later one for the same bytes replaces it."""

    async def close(self) -> None:
        """Let go of files and connections."""
