"""What an administrator does to single verdicts by hand."""

from __future__ import annotations

import math
import re
import time

from bridge.core.model import OutcomeKind
from bridge.core.verdicts.store import StoreError, Verdict, VerdictStore

BY_HAND = "allowed by hand"


def checked_hash(text: str) -> str:
    """The sha256 in lower case; ValueError, one sentence, where it is none."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    if re.fullmatch(r"[0-9a-fA-F]{32}", text):
        raise ValueError(
            f"{text} is an md5, which can be forged; verdicts go by sha256 (64 hex digits)"
        )
    raise ValueError(f"{text!r} is no sha256: it has 64 hex digits")


async def show(store: VerdictStore, sha256: str) -> Verdict | None:
    """The verdict that is valid now. ValueError, StoreError."""
    return await store.get(checked_hash(sha256))


async def allow(store: VerdictStore, sha256: str, seconds: float) -> Verdict:
    """Call these bytes clean for `seconds`, whatever KATA says. ValueError, StoreError.

    It ends a scan's claim, and a scan's verdict does not take its place.
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"{seconds} seconds is no time to allow something for")
    now = time.time()
    verdict = Verdict(
        checked_hash(sha256), OutcomeKind.NOT_DETECTED, now, now + seconds, rule=BY_HAND
    )
    if not await store.put(verdict):
        raise StoreError(
            f"{verdict.sha256} was allowed by somebody whose clock is ahead: forget it first"
        )
    return verdict


async def forget(store: VerdictStore, sha256: str) -> bool:
    """Drop what is known of these bytes; False where nothing was. ValueError, StoreError."""
    return await store.forget(checked_hash(sha256))
