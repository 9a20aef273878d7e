"""What all users were given, counted as it comes."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.soak.answers import Answer, Finding

_SHOWN = 20  # of them all: one is enough to know, and a broken service fails thousands


@dataclass(slots=True)
class Tally:
    """Counts by user and answer, and by finding.

    `answered`: the number of each request that got a verdict, and which; `said`: the first
    failures, a sentence each; `in_peace`: requests of which nothing was explained beforehand.
    """

    answers: Counter[tuple[str, Answer]] = field(default_factory=Counter)
    findings: Counter[Finding] = field(default_factory=Counter)
    answered: dict[int, Answer] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    in_peace: int = 0
    _number: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def number(self) -> int:
        """A number for a request that was never given."""
        with self._lock:
            self._number += 1
            return self._number

    def note(
        self, user: str, number: int, answer: Answer, finding: Finding, *, peace: bool, why: str
    ) -> None:
        """Count one. `why`: more words for a failure."""
        with self._lock:
            self.answers[user, answer] += 1
            self.findings[finding] += 1
            self.in_peace += peace
            if answer.is_verdict:
                self.answered[number] = answer
            if finding in (Finding.FAILED, Finding.WRONG) and len(self.said) < _SHOWN:
                self.said.append(f"{user}, request {number}: {finding}: {answer} {why}".rstrip())

    @property
    def requests(self) -> int:
        """How many there were."""
        return self.answers.total()
