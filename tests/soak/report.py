"""The end of a soak: what failed, as sentences, and a table for people and programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from tests.soak.answers import Answer, Finding
from tests.soak.flat import growth
from tests.soak.plan import Door
from tests.soak.run import Outcome


def faults(outcome: Outcome) -> list[str]:
    """A sentence for each reason to fail; empty where there is none."""
    return [
        *outcome.tally.said,
        *_of_books(outcome),
        *growth({door.value: life for door, life in outcome.lives.items()}, outcome.disk),
        *_of_work(outcome),
    ]


def _of_books(outcome: Outcome) -> Iterator[str]:
    books = outcome.books
    if books.missing:
        yield f"{books.missing:,} requests were answered and have no record."
    if books.twice:
        yield f"{books.twice:,} records are there twice."
    if books.other:
        yield f"{books.other:,} records say something else than their user was given."


def _of_work(outcome: Outcome) -> Iterator[str]:
    """A soak that saw nothing proves nothing."""
    kinds = {name for name, answer in outcome.tally.answers if answer.is_verdict}
    silent = {name for name, _ in outcome.tally.answers} - kinds
    yield from (f"{name} never got a verdict." for name in sorted(silent))
    if not outcome.tally.in_peace:
        yield "No request came at a time when nothing was broken on purpose."


def to_plain(outcome: Outcome) -> dict[str, Any]:
    """All figures, for JSON."""
    tally = outcome.tally
    return {
        "seconds": round(outcome.seconds, 1),
        "steps": outcome.steps,
        "requests": tally.requests,
        "in_peace": tally.in_peace,
        "answers": {
            name: {answer.value: tally.answers[name, answer] for answer in Answer}
            for name in sorted({name for name, _ in tally.answers})
        },
        "findings": {finding.value: tally.findings[finding] for finding in Finding},
        "answered": len(tally.answered),
        "records": _fields(outcome.books),
        "daemons": {door.value: _of_door(outcome, door) for door in Door},
        "disk": {name: _fields(getattr(outcome.disk, name)) for name in ("before", "after")},
        "faults": faults(outcome),
    }


def _fields(shape: Any) -> dict[str, Any]:
    return {name: getattr(shape, name) for name in shape.__dataclass_fields__}


def _of_door(outcome: Outcome, door: Door) -> dict[str, Any]:
    life = outcome.lives[door]
    return {
        "at the start": _fields(outcome.starts[door]),
        "at rest, before": _fields(life.rest_before),
        "at rest, after": _fields(life.rest_after),
        "resident KiB by third": [life.resident_kib(number) for number in range(3)],
        "threads by third": [max(h.threads for h in life.third(number)) for number in range(3)],
    }


def tables(outcome: Outcome) -> Iterator[Table]:
    """For a terminal."""
    yield _answers(outcome)
    yield _held(outcome)
    yield _rows(outcome)


def _answers(outcome: Outcome) -> Table:
    table = Table(title="Answers")
    table.add_column("user")
    for answer in Answer:
        table.add_column(answer, justify="right")
    for name in sorted({name for name, _ in outcome.tally.answers}):
        table.add_row(name, *(f"{outcome.tally.answers[name, answer]:,}" for answer in Answer))
    return table


def _held(outcome: Outcome) -> Table:
    table = Table(title="Second half: at rest before and after; memory under load")
    table.add_column("")
    for door in outcome.lives:
        table.add_column(door, justify="right")
    lives = outcome.lives.values()
    for name in ("processes", "descriptors", "connections", "threads"):
        pairs = [(getattr(x.rest_before, name), getattr(x.rest_after, name)) for x in lives]
        table.add_row(name, *(f"{before}, {after}" for before, after in pairs))
    starts = (outcome.starts[door].resident_kib for door in outcome.lives)
    table.add_row("MiB at the start", *map(_mib, starts))
    for number, words in enumerate(("in the first third", "in the middle", "in the last third")):
        table.add_row(f"MiB {words}", *(_mib(life.resident_kib(number)) for life in lives))
    return table


def _mib(kib: float) -> str:
    return f"{kib / 1024:.1f}"


def _rows(outcome: Outcome) -> Table:
    table = Table(title="All in all", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    tally, books, disk = outcome.tally, outcome.books, outcome.disk
    rows = {
        "seconds": f"{outcome.seconds:,.0f}",
        **{kind: f"{count:,}" for kind, count in sorted(outcome.steps.items())},
        "requests": f"{tally.requests:,}",
        "… while nothing was broken on purpose": f"{tally.in_peace:,}",
        "… without an answer, while something was": f"{tally.findings[Finding.EXPLAINED]:,}",
        "failures": f"{tally.findings[Finding.FAILED]:,}",
        "wrong verdicts": f"{tally.findings[Finding.WRONG]:,}",
        "verdicts that users were given": f"{len(tally.answered):,}",
        "… without a record": f"{books.missing:,}",
        "… with two, or with another one": f"{books.twice + books.other:,}",
        "records": f"{books.records:,}",
        "bodies in the spool at the end": f"{disk.after.spool_files:,}",
        "journal entries at the end": f"{disk.after.journal_entries:,}",
        "logs, MiB": f"{disk.after.log_bytes / (1 << 20):,.1f}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
