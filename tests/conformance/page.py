"""CONFORMANCE.md: every case, and how each of the compared servers takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.cases import CASES, SUBJECTS
from tests.conformance.model import Case, Level
from tests.conformance.runner import Result

PAGE = Path(__file__).parents[2] / "CONFORMANCE.md"

_INTRODUCTION = """\
# ICAP/1.0 conformance

What an ICAP server owes its clients, as {count} cases that any server can be held to, and how
{servers} take them. Every case is a conversation on one connection. It is held in three
deliveries: `whole` (each step in one send), `split` (byte by byte; inside long bodies in larger
pieces) and `pipelined` (the next request, an OPTIONS, directly behind the last byte, in the same
send; it must be answered rightly too, or not at all where the connection ends). An answer passes
if it is a legal one in every byte: status line, fields, ISTag, offsets, chunks, nothing behind
its end, 204 and 206 only where the client allowed them, and the message given back as it was
sent.

Sections are those of RFC 3507 unless another document is named; `draft-206` is
draft-icap-ext-partial-content-07, `errata` are those of the ICAP Forum. `practice` means a client
in use that needs it, or a bound that a server in use needs. RFC 3507 takes its grammar from RFC
2616, so those sections count, too.

Run it on another server, whose service gives back what it is sent (an echo, or a scanner: all
contents are harmless):

```
python -m tests.conformance HOST:PORT SERVICE
python -m tests.conformance HOST:PORT RESPMOD_SERVICE --reqmod REQMOD_SERVICE
python -m tests.conformance HOST:PORT SERVICE --only 'preview*'
```

It ends with 0 if every MUST passed, with 1 if not, with 2 if there was nobody to ask. Cases of a
method that the service does not offer are `n/a`. `--json` gives each failure's reason,
`--timeout` sets the seconds to wait for an answer (3), `--changes` admits a service that rewrites
messages.

This page is written by `python -m tests.conformance --write`, from {versions}. `FAIL (split)`
names the deliveries that failed, `FAIL` alone means all. A hang, a close without an answer and a
reset are failures; a close is tried three times before it counts. c-icap runs its `srv_echo`;
pyicap runs an echo written as its own examples are. Both offer REQMOD and RESPMOD at one URI, so
that a method that is not offered cannot be tried on them.
"""
_HEADS = ("RFC section", "level", "requirement", "case")


def text(columns: Mapping[str, Sequence[Result]], versions: Mapping[str, str]) -> str:
    """The page. `columns` and `versions` are by server; results are in the order of CASES."""
    names = list(columns)
    servers = f"{', '.join(names[:-1])} and {names[-1]}"
    listed = ", ".join(f"{name} {versions[name]}" for name in names)
    parts = [_INTRODUCTION.format(count=len(CASES), servers=servers, versions=listed)]
    parts.append(_summary(columns))
    cells = {
        case.name: [str(results[number]) for results in columns.values()]
        for number, case in enumerate(CASES)
    }
    for subject in SUBJECTS:
        lines = [f"## {subject.title}", "", *_table((*_HEADS, *names))]
        lines += [row([*described(case), *cells[case.name]]) for case in subject.cases]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def described(case: Case) -> list[str]:
    """A case's own cells."""
    return [case.section, str(case.level), case.requirement.replace("|", "\\|"), f"`{case.name}`"]


def row(cells: Sequence[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def rows(page: str) -> list[list[str]]:
    """The cells of every case's line on a page."""
    lines = [line for line in page.splitlines() if line.startswith("| ") and "`" in line]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def _table(heads: Sequence[str]) -> list[str]:
    return [row(heads), row(["---"] * len(heads))]


def _summary(columns: Mapping[str, Sequence[Result]]) -> str:
    lines = ["## Summary", "", *_table(("level", "cases", *columns))]
    for level in Level:
        chosen = [case for case in CASES if case.level is level]
        passed = [_passed(results, level) for results in columns.values()]
        lines.append(row([level, str(len(chosen)), *passed]))
    return "\n".join(lines) + "\n"


def _passed(results: Sequence[Result], level: Level) -> str:
    tried = [result for result in results if result.case.level is level and result.wrong]
    return f"{sum(result.passed for result in tried)} of {len(tried)}"
