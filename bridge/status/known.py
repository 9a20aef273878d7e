"""What the verdict store knows of a content, as the API gives it."""

from __future__ import annotations

from typing import Any

from bridge.core import Settings, StoreError, Verdict, open_verdicts, show_hash


async def known_of(settings: Settings, sha256: str) -> dict[str, Any] | None:
    """The verdict that is valid now."""
    store = open_verdicts(settings)
    try:
        return as_fields(await show_hash(store, sha256))
    except (ValueError, StoreError):
        return None
    finally:
        await store.close()


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
