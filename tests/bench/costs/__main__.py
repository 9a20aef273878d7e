"""Measures what katabridge costs otherwise, a table for each. Asserts no time."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import cores, page, results, table
from tests.bench.costs import (
    connections,
    folder,
    held,
    idle,
    startup,
    stored,
    through,
    unknown,
    workers,
)
from tests.bench.costs.cost import Cost, NotHereError

COSTS = {
    module.COST.name: module.COST
    for module in (
        unknown,
        through,
        folder,
        idle,
        held,
        startup,
        workers,
        connections,
        stored,
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; 1 where one of them could not be measured."""
    options = _parser().parse_args(arguments)
    if (os.cpu_count() or 1) < 2:
        sys.stderr.write("the costs: two cores are needed, one for the load.\n")
        return 1
    os.sched_setaffinity(0, {cores.LOAD})
    names = options.only or [cost.name for cost in COSTS.values() if cost.by_itself]
    return max([_measure(COSTS[name], write=options.write) for name in names])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.costs", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=COSTS, metavar="NAME", help=", ".join(COSTS))
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md, too")
    return parser


def _measure(cost: Cost, *, write: bool) -> int:
    print(f"\n{cost.title}", flush=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = cost.measure(Path(folder))
    except NotHereError as error:
        sys.stderr.write(f"{cost.name}: {error}\n")
        return 1
    print(table.plain(found), flush=True)
    if write:
        _keep(cost, found)
    return 0


def _keep(cost: Cost, found: table.Table) -> None:
    costs = results.load(page.DATA).get("costs", {})
    costs[cost.name] = {
        "name": cost.name,
        "title": cost.title,
        "what": cost.what,
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "table": found,
    }
    results.save(page.DATA, costs={name: costs[name] for name in COSTS if name in costs})
    page.write()


if __name__ == "__main__":
    sys.exit(main())
