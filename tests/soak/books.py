"""The records, held against what the users were given."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.core import CUT_OFF
from tests.soak.answers import Answer

_NUMBER = re.compile(r"(\d+)(?:\.bin)?$")
_DECISION = {Answer.CLEAN: "pass", Answer.BLOCKED: "block"}


@dataclass(frozen=True, slots=True)
class Books:
    """`records`: how many there are. `missing`: answers without one. `twice`: cases, or answers,
    with more than one. `other`: answers whose record says something else.
    """

    records: int
    missing: int
    twice: int
    other: int


def compare(lines: Iterable[bytes], answered: Mapping[int, Answer]) -> Books:
    """Hold the lines of log-history.log against the verdicts that users got, by number.

    A case that was cut off before its user had an answer has a record, too, and is no answer.
    """
    cases: Counter[str] = Counter()
    decisions: dict[int, list[str]] = {}
    for line in lines:
        record = json.loads(line)
        cases[record["case"]] += 1
        if record["rule"] != CUT_OFF:
            decisions.setdefault(_number(record), []).append(record["decision"])
    missing = sum(number not in decisions for number in answered)
    more = sum(len(decisions.get(number, ())) > 1 for number in answered)
    again = sum(count - 1 for count in cases.values())
    other = sum(
        _DECISION[answer] not in decisions[number]
        for number, answer in answered.items()
        if number in decisions
    )
    return Books(cases.total(), missing, more + again, other)


def _number(record: Mapping[str, object]) -> int:
    context = record["context"]
    assert isinstance(context, dict)
    found = _NUMBER.search(context.get("url") or str(record["name"]))
    return int(found[1]) if found else -1
