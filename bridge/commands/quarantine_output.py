"""What `kata-bridge quarantine` says: on stdout for as long as somebody reads it."""

from __future__ import annotations

import json
import os
import sys

from bridge.commands.terminal import complain, reason
from bridge.core import Decision, printable
from bridge.folder.quarantine import Entry, Result, Verb

_EXIT_UNSAID = 2


class Output:
    """stdout. When nobody reads it any longer, the command goes on without a word.

    What takes nothing for another reason, a full disk, is said on stderr. What was to be told is
    lost then, so the command ends with 2, or, where there is work left, `goes_on` and `failed`.
    """

    def __init__(self, *, goes_on: bool = False) -> None:
        self.is_read = True
        self.failed = False
        self._goes_on = goes_on

    def write(self, text: str) -> bool:
        """Write it; whether somebody still reads."""
        if self.is_read:
            try:
                sys.stdout.write(text)
                sys.stdout.flush()
            except BrokenPipeError:
                self._let_go()
            except OSError as error:
                self._let_go()
                self._fail(reason(error))
        return self.is_read

    def _let_go(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # else Python complains when it ends
        os.close(nowhere)
        self.is_read = False

    def _fail(self, why: str) -> None:
        self.failed = True
        sys.stderr.write(f"kata-bridge: stdout takes no more: {printable(why)}.\n")
        if not self._goes_on:
            sys.exit(_EXIT_UNSAID)


class Report:
    """What became of the entries. `exit_code`: 0 all done, 1 refused, 2 not judged."""

    def __init__(self, *, as_lines: bool) -> None:
        """`as_lines`: JSON."""
        self._as_lines = as_lines
        self._output = Output(goes_on=True)  # what was begun is done
        self._unjudged = False
        self.failed = False  # something was refused, not found, not come to or not told

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
        text = as_json(result) if self._as_lines else printable(_sentence(result))
        self._output.write(f"{text}\n")
        self.failed |= self._output.failed

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
