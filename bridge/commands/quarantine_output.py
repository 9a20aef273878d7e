"""What `kata-bridge quarantine` says of what it did."""

from __future__ import annotations

import json

from bridge.commands.terminal import complain, say
from bridge.core import Decision
from bridge.folder.quarantine import Entry, Result, Verb


class Report:
    """What became of the entries. `exit_code`: 0 all done, 1 refused, 2 not judged."""

    def __init__(self, *, as_lines: bool) -> None:
        """`as_lines`: JSON."""
        self._as_lines = as_lines
        self._unjudged = False
        self.failed = False  # something was refused, not found, or not come to

    @property
    def exit_code(self) -> int:
        """What was not judged goes before what was refused."""
        return 2 if self._unjudged else int(self.failed)

    def add(self, result: Result) -> None:
        """Something was done."""
        where, outcome = result.entry.file, result.outcome
        if result.decision is Decision.HOLD:
            self._unjudged = True
            words = f"{outcome.kind}: {outcome.detail or outcome.rule or ''}"
            complain("quarantine", f"{where} was not judged and stays: {words}.")
        say(as_json(result) if self._as_lines else _sentence(result))

    def refuse(self, verb: Verb, entry: Entry, why: str) -> None:
        """Something was not done."""
        self.fail(f"no {verb} of {entry.file}: {why}.")

    def fail(self, sentence: str) -> None:
        """Something else is wrong."""
        self.failed = True
        complain("quarantine", sentence)


def _sentence(result: Result) -> str:
    threat = f" {result.outcome.threat}" if result.outcome.threat else ""
    what = f"{result.outcome.kind}{threat}"
    if result.verb is Verb.DELETE:
        end = "deleted"
    else:
        end = f"now {result.moved_to}" if result.moved_to else "stays in quarantine"
    return f"{result.entry.file}: {what}, {end}, case {result.case.id}"


def as_json(result: Result) -> str:
    """One line with the keys of the record where they exist."""
    case, outcome = result.case, result.outcome
    return json.dumps(
        {
            "verb": result.verb,
            "case": case.id,
            "name": case.name,
            "size": result.entry.size,
            "outcome": outcome.kind,
            "source": outcome.source,
            "decision": result.decision,
            "rule": outcome.rule,
            "threat": outcome.threat,
            "detail": outcome.detail,
            "context": case.context,
        },
        separators=(",", ":"),
    )
