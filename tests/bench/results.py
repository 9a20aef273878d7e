"""What a run found, as it is kept and printed."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.load import Round

_NEAR = 0.9  # from this share of what limits it on, something counts as limited
CEILING = "stub"


@dataclass(frozen=True, slots=True)
class Result:
    """One work on one server: medians of its rounds.

    `rate` and `rates` in answers a second, `p50` and `p99` in milliseconds over all answers,
    `cpu` and `load_cpu` in microseconds of processor time for each answer, of server and load;
    `statuses`: how often each was the last answer; `continued`: how many were asked for the rest.
    """

    work: str
    server: str
    rates: list[float]
    p50: float
    p99: float
    cpu: float
    load_cpu: float
    statuses: dict[str, int]
    continued: int

    @property
    def rate(self) -> float:
        """The median round's."""
        return statistics.median(self.rates)

    @classmethod
    def of(cls, work: str, server: str, rounds: Sequence[Round], cpu: Sequence[float]) -> Result:
        """`cpu`: seconds of processor time of the server in each round."""
        latencies = sorted(latency for each in rounds for latency in each.latencies)
        statuses = sum((each.statuses for each in rounds), start=type(rounds[0].statuses)())
        return cls(
            work,
            server,
            [each.rate for each in rounds],
            percentile(latencies, 50) * 1e3,
            percentile(latencies, 99) * 1e3,
            statistics.median(each / one.served for each, one in zip(cpu, rounds, strict=True))
            * 1e6,
            statistics.median(each.cpu / each.answers for each in rounds) * 1e6,
            {str(status): count for status, count in sorted(statuses.items())},
            sum(each.continued for each in rounds),
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that was measured: `results`, and the machine it was measured on, by name."""

    machine: dict[str, str]
    settings: dict[str, float]
    results: list[Result]

    def get(self, work: str, server: str) -> Result | None:
        """What was found there, if it was measured."""
        found = (each for each in self.results if (each.work, each.server) == (work, server))
        return next(found, None)

    @property
    def works(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys(each.work for each in self.results))

    def is_load_bound(self, result: Result) -> bool:
        """Whether the load may be what limited it, so that the server could do more.

        It is where the load needs about as long for an answer as the server, or where it comes
        near what the load reaches with a server that only answers.
        """
        ceiling = self.get(result.work, CEILING)
        if ceiling is not None and result.rate >= _NEAR * ceiling.rate:
            return True
        return result.load_cpu >= _NEAR * result.cpu


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that `share` per cent are not above; of ascending values, 0 for none."""
    if not ordered:
        return 0.0
    return ordered[max(math.ceil(len(ordered) * share / 100) - 1, 0)]


def save(path: Path, **parts: Any) -> None:
    """Replace these parts of a file of results, and leave the others."""
    kept = load(path)
    kept.update(parts)
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")


def load(path: Path) -> dict[str, Any]:
    """What a file of results holds, nothing where there is none."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text())
    if not isinstance(found, dict):
        raise TypeError(f"{path} holds no results: remove it, and measure anew.")
    return found


def to_plain(comparison: Comparison) -> dict[str, Any]:
    """As JSON has it."""
    return asdict(comparison)


def from_plain(plain: dict[str, Any]) -> Comparison:
    """What `to_plain` made plain."""
    results = [Result(**each) for each in plain["results"]]
    return Comparison(plain["machine"], plain["settings"], results)
