"""Which records a webhook is told, and what it is told: pure."""

from __future__ import annotations

import json
from typing import Any

from bridge.core.model import (
    CUT_OFF,
    DELETED_BY_HAND,
    RELEASED_BY_HAND,
    Decision,
    OutcomeKind,
    Source,
)

BLOCK = "block"
LATE_DETECTION = "late_detection"

_BY_HAND = (RELEASED_BY_HAND, DELETED_BY_HAND)


def event_of(line: bytes, *, history: bool) -> str | None:
    """What a record is to a webhook; None where it is not told.

    `history`: whether it is the record of its case, and not a line about a case that has one. One
    that is both is a late detection: each record is told once.
    """
    record = json.loads(line)
    if _is_by_hand(record):
        return None
    passed = record["decision"] == Decision.PASS  # what was held or blocked reached nobody
    if record["late"] and record["outcome"] == OutcomeKind.DETECT and passed:
        return LATE_DETECTION
    cut_off = record["source"] == Source.RULE and record["rule"] == CUT_OFF  # every closed tab
    if history and record["decision"] == Decision.BLOCK and not cut_off:
        return BLOCK
    return None


def _is_by_hand(record: dict[str, Any]) -> bool:
    """Whether it says what a person did with bytes that were judged before."""
    if record["source"] != Source.RULE:
        return False
    return record["rule"] in _BY_HAND or record["outcome"] == OutcomeKind.DETECT


def format_event(event: str, line: bytes) -> bytes:
    """A record as the JSON object that is sent: `event` and `product` first, then its own keys."""
    return b'{"event":"%b","product":"katabridge",%b' % (event.encode("ascii"), line[1:])
