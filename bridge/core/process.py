"""What a process is to the system, also while it has no descriptor left to look with."""

from __future__ import annotations

import errno
import os
import pwd
import resource
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_DESCRIPTORS = "/proc/self/fd"
_OURS = {"process_open_fds", "process_max_fds"}


class Descriptors(NamedTuple):
    """How many are open, and how many may be (-1: any number)."""

    open: int
    limit: int

    @property
    def used(self) -> float:
        """The part that is open, 1 where none is left."""
        return min(1.0, self.open / self.limit) if self.limit > 0 else 0.0

    @property
    def none_left(self) -> bool:
        """Whether the next that is opened cannot be."""
        return self.used == 1


def account_name(uid: int) -> str:
    """A user's name, or his number where the system knows no name. Blocks: what nsswitch asks."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def descriptors() -> Descriptors | None:
    """Those of this process now; None where the system does not tell. From any thread."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        return Descriptors(sum(1 for _ in os.scandir(_DESCRIPTORS)) - 1, limit)  # one lists them
    except OSError as error:  # to list them takes one: where there is none, all are open
        return Descriptors(limit, limit) if error.errno == errno.EMFILE else None


class ProcessFigures(Collector):
    """`process_*` as prometheus_client has them. What cannot be read just now is as it was last."""

    def __init__(self) -> None:
        self._usual = ProcessCollector(registry=None)
        self._last: dict[str, Metric] = {}
        self._read()

    def _read(self) -> None:
        usual = (each for each in self._usual.collect() if each.name not in _OURS)
        self._last |= {each.name: each for each in (*usual, *_of_descriptors())}

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        self._read()
        yield from self._last.values()


def _of_descriptors() -> Iterator[Metric]:
    now = descriptors()
    if now is not None:
        yield GaugeMetricFamily("process_open_fds", "Number of open file descriptors.", now.open)
        text = "Maximum number of open file descriptors."
        yield GaugeMetricFamily("process_max_fds", text, now.limit)
        text = "Open descriptors of those that may be, of the process that has used the most."
        yield GaugeMetricFamily("katabridge_descriptors_used_ratio", text, now.used)
