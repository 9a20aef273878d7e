"""docs/benchmarks.md, made of what was measured: `make bench-write`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench import chart, results, table
from tests.bench.results import Comparison

_DOCS = Path(__file__).parents[2] / "docs"
DATA = _DOCS / "benchmarks.json"
PAGE = _DOCS / "benchmarks.md"
PICTURE = _DOCS / "benchmarks.svg"

_INTRO = """\
# What katabridge costs

This page and its picture are written by `make bench-write`, from what it measured
([benchmarks.json](benchmarks.json)). Change the code below `tests/bench`, not this page.

`make bench` measures and prints the comparison (about 5 minutes), `python -m tests.bench --quick`
a part of it in half a minute; `python -m tests.bench.costs --only NAME` one of the [other
costs](#other-costs).
"""

_COMPARISON = """\
## Beside other ICAP servers

* **icapd**: one worker, mode `advanced`, records and metrics on, every body known to be clean.
* **c-icap**: its echo service `srv_echo`, which looks at nothing, access log on.
* **pyicap**: a service that lets everything by, no log, its `TCP_NODELAY` off as it comes.

All run on one core and the load on the other, in {rounds:.0f} rounds of {seconds:g} s that take
turns, with {connections:.0f} connections. Each request has a URL of its own and one of 250
clients, with one of 16 bodies; every answer is read to its end and checked, and of some 200 every
byte is compared.

![Answers of icapd and pyicap for one of c-icap's](benchmarks.svg)

{ratios}

* `c-icap = 1`, `pyicap = 1`: how many answers icapd gives while the other gives one. `by CPU`:
  the same by processor time for each answer, which other programs on the machine disturb less.
* ≥, ≤, ≈: the load was near its own limit (icapd, the other, both), so whoever is marked can do
  more. That is taken to be so where the load spends nine tenths of the processor time that the
  server spends, or reaches nine tenths of `load alone`, its rate with a server that only answers.
* c-icap's echo answers every second preview with 204 at once, without looking at the rest, and
  gives the others back as 200, although 204 is allowed. So it does half of the work where there
  is a preview with bytes in it; with `preview 0` it asks for the rest each time, as icapd does.
* A new connection is mostly the kernel's work, and half of that falls on the load's core.

Each work on each server. `server µs`, `load µs`: processor time for each answer. `stub` only
answers.

{details}
"""

_COSTS = """\
## Other costs

icapd on one core; the load, and an emulated KATA, on the other.
"""


def write() -> None:
    """Write page and picture from the file of results."""
    data = results.load(DATA)
    PAGE.write_text(render(data))
    if "comparison" in data:
        PICTURE.write_text(draw(results.from_plain(data["comparison"])))


def render(data: dict[str, Any]) -> str:
    """The page of these results. Parts that were not measured are left out."""
    parts = [_INTRO]
    if "comparison" in data:
        comparison = results.from_plain(data["comparison"])
        parts += [_machine(comparison.machine), _comparison(comparison)]
    costs = data.get("costs", {})
    if costs:
        parts.append(_COSTS)
    parts += [_cost(cost) for cost in costs.values()]
    return "\n".join(parts)


def _machine(machine: dict[str, str]) -> str:
    told = ", ".join(
        value if name == "processor" else f"{name} {value}"
        for name, value in machine.items()
        if name not in ("measured", "cores")
    )
    return f"Measured on {machine['measured']}: {machine['cores']} cores of {told}.\n"


def _comparison(comparison: Comparison) -> str:
    return _COMPARISON.format(
        **comparison.settings,
        ratios=table.markdown(table.ratios(comparison)),
        details=table.markdown(table.details(comparison)),
    )


def _cost(cost: dict[str, Any]) -> str:
    return (
        f"### {cost['title']}\n\n{cost['what']}\n\n{table.markdown(cost['table'])}\n\n"
        f"({cost['measured']}, `python -m tests.bench.costs --only {cost['name']}`)\n"
    )


def draw(comparison: Comparison) -> str:
    """The picture: ratios to c-icap by work."""
    groups = []
    for work in comparison.works:
        echo = comparison.get(work, "c-icap")
        if echo is not None:
            found = (comparison.get(work, name) for name in ("icapd", "pyicap"))
            ratios = [one.rate / echo.rate if one else None for one in found]
            groups.append(chart.Group(work, ratios))
    title = "Answers of icapd and pyicap for one of c-icap's"
    return chart.draw(title, ("icapd", "pyicap"), groups, "c-icap's echo = 1")
