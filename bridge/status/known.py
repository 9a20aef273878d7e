"""What the verdict store knows of a content, as the API gives it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from bridge.core import (
    Settings,
    StartError,
    StoreError,
    Verdict,
    VerdictStore,
    open_verdicts,
    show_hash,
)


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[VerdictStore]:
    """The configured verdict store, for a moment; StoreError where it cannot be opened."""
    try:
        store = open_verdicts(settings)
    except StartError as error:
        raise StoreError(error.sentence) from None
    try:
        yield store
    finally:
        await store.close()


async def known_of(settings: Settings, sha256: str | None) -> dict[str, Any]:
    """`known`: the verdict that is valid now; `known_fault`: a sentence, why nobody can tell."""
    verdict, fault = None, None
    if sha256 is not None:
        try:
            async with opened(settings) as store:
                verdict = await show_hash(store, sha256)
        except (ValueError, StoreError) as error:
            fault = str(error)
    return {"known": as_fields(verdict), "known_fault": fault}


def as_fields(verdict: Verdict | None) -> dict[str, Any] | None:
    """A verdict's fields; times are seconds since the epoch."""
    if verdict is None:
        return None
    return {
        "outcome": verdict.kind.value,
        "rule": verdict.rule,
        "threat": verdict.threat,
        "technology": verdict.technology,
        "since": verdict.time,
        "until": verdict.expires,
        "scan_id": verdict.scan_id,
        "md5": verdict.md5,
    }
