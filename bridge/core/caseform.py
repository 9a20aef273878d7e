"""A case as text and back, so that it survives a restart."""

from __future__ import annotations

import json
import time

from bridge.core.model import Case, Decision, Door, Mode


def case_to_text(case: Case) -> str:
    """The whole case; its beginning in seconds since the epoch."""
    began = time.time() - (time.monotonic() - case.started)
    decision = case.decision and case.decision.value
    fields = [case.id, case.door, case.mode, case.name, case.context, decision, case.size, began]
    return json.dumps(fields)


def case_from_text(text: str) -> Case:
    """The case again; ValueError where it is none."""
    case_id, door, mode, name, context, decision, size, began = json.loads(text)
    case = Case(Door(door), Mode(mode), name, context, case_id, size=size)
    case.started = time.monotonic() - max(time.time() - began, 0.0)
    case.decision = Decision(decision) if decision else None
    return case
