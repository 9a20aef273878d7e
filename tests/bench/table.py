"""The tables of a comparison, as lists of cells, for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.results import CEILING, Comparison, Result

Table = list[list[str]]
_NONE = "-"
BOUND = "≥"
_DETAIL = (
    "work",
    "server",
    "answers/s",
    "rounds from, to",
    "p50 ms",
    "p99 ms",
    "server µs",
    "load µs",
    "answers",
    "asked for the rest",
)


def ratios(comparison: Comparison) -> Table:
    """The main table: how many answers of icapd's come to one of another server's."""
    head = ["work", "c-icap = 1", "by CPU", "pyicap = 1", "icapd/s", "c-icap/s", "pyicap/s"]
    head += ["load alone/s", "p99 icapd", "p99 c-icap"]
    return [head] + [_ratio_row(comparison, work) for work in comparison.works]


def _ratio_row(comparison: Comparison, work: str) -> list[str]:
    ours, echo, pyicap, ceiling = (
        comparison.get(work, name) for name in ("icapd", "c-icap", "pyicap", CEILING)
    )
    return [
        work,
        _ratio(comparison, ours, echo),
        _cpu_ratio(ours, echo),
        _ratio(comparison, ours, pyicap),
        *(_rate(comparison, each) for each in (ours, echo, pyicap)),
        f"{ceiling.rate:,.0f}" if ceiling else _NONE,
        *(f"{each.p99:.2f} ms" if each else _NONE for each in (ours, echo)),
    ]


def _ratio(comparison: Comparison, one: Result | None, two: Result | None) -> str:
    if one is None or two is None:
        return _NONE
    marks = {(True, False): BOUND, (False, True): "≤", (True, True): "≈", (False, False): ""}
    mark = marks[comparison.is_load_bound(one), comparison.is_load_bound(two)]
    return f"{mark}{one.rate / two.rate:.2f}"


def _cpu_ratio(one: Result | None, two: Result | None) -> str:
    return f"{two.cpu / one.cpu:.2f}" if one and two else _NONE


def _rate(comparison: Comparison, result: Result | None) -> str:
    if result is None:
        return _NONE
    return f"{BOUND if comparison.is_load_bound(result) else ''}{result.rate:,.0f}"


def details(comparison: Comparison) -> Table:
    """Everything, a row for each work and server."""
    rows = [list(_DETAIL)]
    for result in comparison.results:
        rows.append(
            [
                result.work,
                result.server,
                f"{result.rate:,.0f}" if result.server == CEILING else _rate(comparison, result),
                f"{min(result.rates):,.0f}, {max(result.rates):,.0f}",
                f"{result.p50:.3f}",
                f"{result.p99:.3f}",
                f"{result.cpu:.1f}",
                f"{result.load_cpu:.1f}",
                ", ".join(f"{count:,} × {status}" for status, count in result.statuses.items()),
                f"{result.continued:,}",
            ]
        )
    return rows


def plain(table: Table) -> str:
    """For a terminal: the first column to the left, the others to the right."""
    widths = _widths(table)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def markdown(table: Table) -> str:
    """The first column to the left, the others to the right."""
    rule = ["---"] + ["--:"] * (len(table[0]) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in [table[0], rule, *table[1:]])


def _widths(table: Table) -> Sequence[int]:
    return [max(map(len, column)) for column in zip(*table, strict=True)]
