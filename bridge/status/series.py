"""What the charts show: figures by time, an hour in fine and a day in coarse steps. Pure."""

from __future__ import annotations

from typing import Any

from bridge.status.samples import COUNTS, LEVELS, Sample
from bridge.status.underway import QUANTILES, Point, UnderWay

NAMES = (*COUNTS, *QUANTILES, *LEVELS)
SPANS = {"hour": (10, 360), "day": (300, 288)}  # seconds of a step, steps

_LATE_SECONDS = 3.0  # after its end a step is known: the next sample has come
_UNDER_WAY = "under_way"  # what is kept of the steps that are not over


class Series:
    """Takes a sample now and then, and has the last hour and day in steps."""

    def __init__(self) -> None:
        self._steps = {span: _Steps(*size) for span, size in SPANS.items()}

    def add(self, sample: Sample, now: float) -> None:
        """The figures at `now` (epoch)."""
        for steps in self._steps.values():
            steps.add(sample, now)

    def of(self, span: str, now: float) -> dict[str, Any]:
        """As the API gives it; KeyError where there is no such span."""
        return self._steps[span].as_lists(now)

    def dump(self) -> dict[str, Any]:
        """To keep over a restart; `load` takes it."""
        whole = {span: list(steps.points.items()) for span, steps in self._steps.items()}
        under_way = {
            span: steps.under_way.dump()
            for span, steps in self._steps.items()
            if steps.under_way is not None
        }
        return {**whole, _UNDER_WAY: under_way}

    def load(self, kept: Any) -> None:
        """What an earlier process kept; what is damaged, or was not kept then, is left out."""
        under_way = _of(kept, _UNDER_WAY)
        for span, steps in self._steps.items():
            points = _of(kept, span)
            for each in points if isinstance(points, list) else ():
                if point := _point(each):
                    steps.points[point[0]] = point[1]
            steps.under_way = UnderWay.load(_of(under_way, span))


class _Steps:
    def __init__(self, seconds: int, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self.points: dict[int, Point] = {}  # number of the step since the epoch -> values
        self.under_way: UnderWay | None = None

    def add(self, sample: Sample, now: float) -> None:
        number = int(now // self._seconds)
        step = self.under_way
        if step is None or step.number != number:
            self._end_step()
            # after a gap nobody knows when what was counted came
            follows = step is not None and number == step.number + 1
            step = UnderWay(number, step.last, step.at) if step and follows else UnderWay(number)
            self.under_way = step
        step.add(sample, now)

    def _end_step(self) -> None:
        if self.under_way is not None:
            self.points[self.under_way.number] = self.under_way.point()
            oldest = self.under_way.number - self._most
            self.points = {n: point for n, point in self.points.items() if n > oldest}

    def as_lists(self, now: float) -> dict[str, Any]:
        last = int((now - _LATE_SECONDS) // self._seconds) - 1  # the step under way is not whole
        numbers = range(last - self._most + 1, last + 1)
        points = [self.points.get(number, {}) for number in numbers]
        series = {name: [point.get(name) for point in points] for name in NAMES}
        return {"step": self._seconds, "end": (last + 1) * self._seconds, "series": series}


def _of(kept: Any, key: str) -> Any:
    return kept.get(key) if isinstance(kept, dict) else None


def _point(kept: Any) -> tuple[int, Point] | None:
    match kept:
        case [int(number), dict(values)]:
            return number, {
                name: float(value)
                for name, value in values.items()
                if name in NAMES and isinstance(value, int | float)
            }
    return None
