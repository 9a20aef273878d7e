"""The step of a chart that is not over yet: what was counted in it, and how much is known. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from bridge.status.samples import COUNTS, LEVELS, Buckets, Sample, quantile

QUANTILES = {"p50": 0.5, "p95": 0.95}

Point: TypeAlias = dict[str, float | None]


class UnderWay:
    """A step, sample by sample. `number`: which one since the epoch.

    `last` is the newest sample and `at` its time (epoch), at first of the step before; None: what
    the counts go from is not known.
    """

    def __init__(self, number: int, last: Sample | None = None, at: float = 0.0) -> None:
        self.number = number
        self.last = last
        self.at = at
        self._seconds = 0.0  # of which it is known what was counted
        self._counts = dict.fromkeys(COUNTS, 0.0)
        self._buckets: Buckets = {}
        self._levels: dict[str, float] = {}

    def add(self, sample: Sample, now: float) -> None:
        """The figures at `now` (epoch)."""
        if self.last is not None:
            # while no daemon ran nobody counted; a start in the future: the clock was set back
            begun = self.at < sample.started <= now
            self._seconds += max(0.0, now - (sample.started if begun else self.at))
            anew = begun and sample.process > self.last.process
            last = Sample(dict.fromkeys(COUNTS, 0.0), {}) if anew else self.last
            for name in COUNTS:
                self._counts[name] += _more(last.counts[name], sample.counts[name])
            for le, count in sample.buckets.items():
                fresh = _more(last.buckets.get(le, 0.0), count)
                self._buckets[le] = self._buckets.get(le, 0.0) + fresh
        self.last, self.at = sample, now
        for name, value in sample.levels.items():
            # the worst, so that no outage and no crowd is too short to be seen
            worse = min if name == "kata" else max
            self._levels[name] = worse(value, self._levels.get(name, value))

    def point(self) -> Point:
        """What the charts show of it. What nobody saw is not there, and no zero."""
        found: Point = {**self._levels}
        if self._seconds:
            found |= {name: count / self._seconds for name, count in self._counts.items()}
            found |= {name: quantile(self._buckets, share) for name, share in QUANTILES.items()}
        return found

    def dump(self) -> dict[str, Any]:
        """To keep over a restart; `load` takes it."""
        last = self.last and {
            "counts": dict(self.last.counts),
            "buckets": _to_text(self.last.buckets),
            "process": self.last.process,
        }
        return {
            "number": self.number,
            "at": self.at,
            "last": last,
            "seconds": self._seconds,
            "counts": self._counts,
            "buckets": _to_text(self._buckets),
            "levels": self._levels,
        }

    @classmethod
    def load(cls, kept: Any) -> UnderWay | None:
        """What an earlier process kept; None where that is none, or damaged."""
        try:
            step = cls(int(kept["number"]), _last(kept["last"]), _number(kept["at"]))
            step._seconds = _number(kept["seconds"])
            step._counts = _counts(kept["counts"])
            step._buckets = _buckets(kept["buckets"])
            levels = dict(kept["levels"])
            step._levels = {name: _number(levels[name]) for name in LEVELS if name in levels}
        except (LookupError, TypeError, ValueError, OverflowError, AttributeError):
            return None
        return step


def _last(kept: Mapping[str, Any]) -> Sample:
    process = _number(kept.get("process", 0.0))  # earlier versions did not keep it
    return Sample(_counts(kept["counts"]), {}, _buckets(kept["buckets"]), process=process)


def _more(before: float, now: float) -> float:
    """How much was counted; a daemon that was started again counts from 0."""
    return now - before if now >= before else now


def _to_text(buckets: Buckets) -> dict[str, float]:
    return {repr(le): count for le, count in buckets.items()}  # JSON has no infinity


def _buckets(kept: Mapping[str, Any]) -> Buckets:
    return {float(le): _number(count) for le, count in kept.items()}


def _counts(kept: Mapping[str, Any]) -> dict[str, float]:
    return {name: _number(kept[name]) for name in COUNTS}


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"{value!r} is no figure")
    return number
