"""What is known of each thing in a body, and which of them decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core import Case, Decision, Item, Outcome, OutcomeKind

_SEVERITY = (Decision.PASS, Decision.SKIP, Decision.HOLD, Decision.BLOCK)


@dataclass(slots=True)
class Judged:
    """One case, and what is known of it. Of a form each file is a case of its own.

    `later`: it was accepted to be judged and recorded after its user is served.
    """

    case: Case
    item: Item | None
    outcome: Outcome
    later: bool = False


def worst(judged: Sequence[Judged], decisions: Sequence[Decision]) -> tuple[Judged, Decision]:
    """What decides of several: the most severe decision, of equal ones a detection."""

    def rank(pair: tuple[Judged, Decision]) -> tuple[int, bool]:
        each, decision = pair
        return _SEVERITY.index(decision), each.outcome.kind is OutcomeKind.DETECT

    return max(zip(judged, decisions, strict=True), key=rank)
