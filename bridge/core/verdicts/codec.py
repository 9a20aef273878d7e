"""Verdicts as stores keep them, read with mistrust: what cannot be read is no verdict."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

from bridge.core.model import OutcomeKind
from bridge.core.verdicts.store import Verdict

_KINDS = {str(kind): kind for kind in (OutcomeKind.NOT_DETECTED, OutcomeKind.DETECT)}
_TEXTS = ("threat", "technology", "importance", "scan_id", "md5", "rule")


def from_fields(sha256: str, fields: dict[str, object]) -> Verdict | None:
    """The verdict whose other fields these are, or None where one of them is not of its type."""
    kind = _KINDS.get(str(fields.get("kind")))
    time, expires = _seconds(fields.get("time")), _seconds(fields.get("expires"))
    given = {name: fields[name] for name in _TEXTS if fields.get(name) is not None}
    texts = {name: value for name, value in given.items() if isinstance(value, str)}
    if kind is None or time is None or expires is None or texts != given:
        return None
    return Verdict(sha256, kind, time, expires, **texts)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def to_json(verdict: Verdict) -> str:
    """A JSON object of all fields that are set, without the hash."""
    fields = {name: value for name, value in asdict(verdict).items() if value is not None}
    del fields["sha256"]
    return json.dumps(fields, separators=(",", ":"))


def from_json(sha256: str, text: str | bytes) -> Verdict | None:
    """The verdict of `to_json`, or None where the text is anything else."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return from_fields(sha256, fields) if isinstance(fields, dict) else None
