"""Files that another bridge claimed and will not come back for. Blocks: disk.

Each bridge moves a sign of life in its folder of claims. Only whether it moves counts, by our own
clock: the clocks of two machines and a file server need not agree.
"""

from __future__ import annotations

import contextlib
import logging
import os

from bridge.folder.claim import ALIVE, ClaimError, Claims
from bridge.folder.mounts import AwayError, SamePlace
from bridge.folder.places import OWN_PREFIX, folder

_log = logging.getLogger(__name__)

_MOST = 500  # files at a time
ABANDONED_SECONDS = 600.0  # longer than a restart, and than a short loss of a network


class Abandoned:
    """The claims of others in one input."""

    def __init__(self, place: SamePlace, owner: str) -> None:
        """`owner`: who we are, whose claims are nobody else's."""
        self._place = place
        self._owner = owner
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self, now: float) -> int:
        """Put back what was abandoned for long, at `now` (seconds): how many files. OSError."""
        signs = self._signs()
        for owner, sign in signs.items():
            before = self._seen.get(owner)
            if before is None or before[0] != sign:
                self._seen[owner] = sign, now
        self._seen = {owner: seen for owner, seen in self._seen.items() if owner in signs}
        dead = [o for o, (_, since) in self._seen.items() if now - since >= ABANDONED_SECONDS]
        return self._take_over_all(dead)

    def _signs(self) -> dict[str, int]:
        """By owner the time of its last sign of life, 0 where there is none."""
        signs = {}
        try:
            with folder(self._place, [OWN_PREFIX]) as claims, os.scandir(claims) as entries:
                owners = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
                for owner in owners:
                    if owner != self._owner:
                        signs[owner] = _time(claims, f"{owner}/{ALIVE}")
        except AwayError:
            raise
        except OSError:  # nobody has claimed anything, or somebody made something else of it
            return {}
        return signs

    def _take_over_all(self, dead: list[str]) -> int:
        """One whose folder cannot be read is told of in the end: the others come first."""
        count = 0
        failed: OSError | None = None
        for owner in dead:
            try:
                count += self._take_over(owner)
            except ClaimError as error:
                failed = error
        if failed is not None:
            raise failed
        return count

    def _take_over(self, owner: str) -> int:
        claims = Claims(self._place, owner)
        count = 0
        for case_id, path in claims.left_over(_MOST).files:
            with contextlib.suppress(
                OSError
            ):  # somebody else was quicker, or it is not ours to move
                claims.put_back(case_id, path, number=True)
                count += 1
        with contextlib.suppress(OSError):
            claims.clear()
        if count:
            _log.warning(
                "%s: %d files that %s had claimed are put back: it has not been seen for %.0f min",
                self._place.root,
                count,
                owner,
                ABANDONED_SECONDS / 60,
            )
        return count


def _time(claims: int, path: str) -> int:
    try:
        return os.lstat(path, dir_fd=claims).st_mtime_ns
    except OSError:
        return 0
