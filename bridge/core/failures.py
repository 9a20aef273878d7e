"""What became of scans that gave no verdict, for those who were put off for one of them.

A failure is nobody else's: another one who asks for the same bytes has them scanned anew. Pure:
times are given, in seconds of one clock.
"""

from __future__ import annotations

from collections import OrderedDict

from bridge.core.model import Outcome, OutcomeKind

_MOST = 10_000
_LASTING = (OutcomeKind.ERROR, OutcomeKind.TIMEOUT)  # KATA's own word on these bytes


class Failures:
    """The last failure of each content, the newest of them."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, tuple[Outcome, float]] = OrderedDict()

    def note(self, sha256: str, outcome: Outcome, now: float) -> None:
        """A scan has ended."""
        self._found.pop(sha256, None)
        if outcome.kind in _LASTING:
            self._found[sha256] = (outcome, now)
            if len(self._found) > _MOST:
                self._found.popitem(last=False)

    def of(self, sha256: str, since: float | None) -> Outcome | None:
        """How a scan failed that somebody waits for `since` then; None: he waits for none."""
        outcome, at = self._found.get(sha256, (None, 0.0))
        return outcome if since is not None and at >= since else None
