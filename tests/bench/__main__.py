"""`make bench`: icapd beside c-icap's echo and pyicap, in one table. Asserts no time."""

from __future__ import annotations

import argparse
import os
import sys

from tests.bench import compare, cores, page, results, table
from tests.bench.results import Comparison
from tests.bench.work import QUICK, WORKS, Work

_FOOT = """\
c-icap = 1: answers of icapd's for one of c-icap's echo. By CPU: the same by processor time of the
servers for each answer, which holds on a busy machine, too. Load alone: what it reaches with a
server that only answers. ≥, ≤, ≈: the load was near its own limit (icapd, the other, both)."""


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark and print its tables."""
    options = _parser().parse_args(arguments)
    if (os.cpu_count() or 1) < 2:
        sys.stderr.write("make bench: needs two cores, one for the load.\n")
        return 1
    os.sched_setaffinity(0, {cores.LOAD})
    found = compare.compare(_plan(options))
    _print(found)
    if options.write:
        results.save(page.DATA, comparison=results.to_plain(found))
        page.write()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="five works, two short rounds, no pyicap"
    )
    parser.add_argument("--only", action="append", metavar="TEXT", help="works with this name")
    parser.add_argument("--servers", nargs="+", choices=compare.NAMES, metavar="NAME")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of a round")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, too")
    return parser


def _plan(options: argparse.Namespace) -> compare.Plan:
    wanted = [each for each in WORKS if _is_wanted(each, options)]
    names = [name for name in compare.NAMES if not options.quick or name != "pyicap"]
    rounds, seconds = (2, 0.7) if options.quick else (5, 1.5)
    return compare.Plan(
        wanted, options.servers or names, options.rounds or rounds, options.seconds or seconds
    )


def _is_wanted(work: Work, options: argparse.Namespace) -> bool:
    if options.only:
        return any(text in work.name for text in options.only)
    return not options.quick or work in QUICK


def _print(found: Comparison) -> None:
    settings = found.settings
    print(
        f"{settings['rounds']:.0f} interleaved rounds of {settings['seconds']:g} s, medians, "
        f"{settings['connections']:.0f} connections"
    )
    print(", ".join(f"{name} {value}" for name, value in found.machine.items()), end="\n\n")
    print(table.plain(table.ratios(found)), end="\n\n")
    print(_FOOT)
    print()
    print(table.plain(table.details(found)))


if __name__ == "__main__":
    sys.exit(main())
