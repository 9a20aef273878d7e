"""Outages of one process: what is out now, told in `log-events.log`, in the log and as metrics."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.core.events.alive import Sign
from bridge.core.events.figures import outage_figures
from bridge.core.events.kept import KeptOpen
from bridge.core.events.line import Event, Outage, OutageKind, Subject, format_event
from bridge.core.events.read import left_open
from bridge.core.events.settle import Change, Ends, Levels, Settling
from bridge.core.events.slots import most_of
from bridge.core.linelog import LineLog
from bridge.core.printable import printable

_log = logging.getLogger(__name__)

_SIGN_SECONDS = 5.0
_MOST_CHARACTERS = 500
# whose beginning, and whose end, the service log does not get from the part that is out
_BEGINS_UNSAID = {OutageKind.DISK_FULL, OutageKind.OUT_OF_DESCRIPTORS}
_ENDS_UNSAID = {*_BEGINS_UNSAID, OutageKind.BODIES_WITHHELD}


class Events(Collector):
    """Takes how things are, as often as one likes, and tells when an outage begins and ends.

    All but `restore`, `write` and `close` may be called from any thread, wait for nothing and
    never fail.
    """

    def __init__(
        self, instance: str, log: LineLog | None, clock: Callable[[], float] = time.time
    ) -> None:
        """`log`: where lines go; None for a command: it tells nothing. `clock`: epoch seconds."""
        self._instance = instance
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # a stop may come while the clock's thread still writes
        self._settling = Settling()
        self._sign = Sign(log.path.parent, instance) if log is not None else None
        self._sign_at = 0.0
        self._kept = KeptOpen(log.path.parent, instance) if log is not None else None
        self._said_full: set[str] = set()

    def set(
        self, kind: str, subject: str, active: bool, detail: str = "", *, part: str = ""
    ) -> None:
        """How it is now. `detail`: one sentence, which counts when it begins.

        `part`: of several, each of which is told by itself; it is out as long as any is.
        """
        about = Subject(kind, printable(subject))
        if active or self._settling.lasts(about):
            with self._lock:
                self._settling.set(about, active, _short(detail), part, self._clock())

    def look(self, kinds: Collection[str], levels: Levels, ended: Ends) -> None:
        """How all of these kinds are now; None for what is not known yet.

        `ended`: what is not out may have gone while no process looked.
        """
        told = {
            Subject(kind, printable(name)): None if why is None else _short(why)
            for (kind, name), why in levels.items()
        }
        with self._lock:
            self._settling.look(kinds, told, self._clock(), ended)

    def keep_only(self, kind: str, subjects: Collection[str]) -> None:
        """There are no others any more: what an earlier process left open of them is over."""
        with self._lock:
            self._settling.keep_only(kind, [printable(each) for each in subjects], self._clock())

    def lasting(self) -> list[Outage]:
        """What is out now; also where the log of events cannot be written."""
        with self._lock:
            found = self._settling.open_now()
        who = (self._instance,)
        return [Outage(*about, begin, None, detail, who) for about, begin, detail in found]

    @property
    def trouble(self) -> tuple[Path, str] | None:
        """The log of events, and why it takes none."""
        log = self._log
        return (log.path, log.trouble) if log is not None and log.trouble else None

    # -- by the clock, off the loop ----------------------------------------------------------------

    def restore(self) -> None:
        """Take up what an earlier process of this name left open. Blocks: disk."""
        if self._log is None or self._sign is None:
            return
        self._sign.live()
        found = self._left_open(self._log.path)
        now = self._clock()
        with self._lock:
            for each in found:
                subject = Subject(each.kind, each.subject)
                self._settling.restore(subject, each.begin, each.detail, now)

    def _left_open(self, log: Path) -> list[Outage]:
        for whole in (True, False):
            try:
                return left_open(log.parent, self._instance, by_log=whole)
            except OSError as error:
                _log.error("%s cannot be read: %s", error.filename or log, error.strerror)
        return []

    def write(self, hold: float | None = None) -> None:
        """Tell what has changed; what went less than `hold` seconds ago may come back, without it
        as `Settling` has it. Blocks: disk."""
        with self._writing:
            self._write(hold)

    def _write(self, hold: float | None) -> None:
        now = self._clock()
        with self._lock:
            changes = self._settling.take_changes(now, hold=hold)
            lasting, full = self._settling.open(), self._settling.full
        if self._log is None or self._sign is None or self._kept is None:
            return
        for change in changes:
            _say(change)
        self._say_full(full)
        if changes:
            self._log.write_all([format_event(self._event(change)) for change in changes])
        self._log.catch_up()
        self._kept.keep([self._event(each) for each in lasting])
        if lasting and not 0 <= now - self._sign_at < _SIGN_SECONDS:
            self._sign_at = now
            self._sign.live()

    def _say_full(self, full: Collection[str]) -> None:
        for kind in set(full) - self._said_full:
            _log.warning(
                "outage: %d of the kind %s last, or did lately: others are not told of until one "
                "of these is over",
                most_of(kind),
                kind,
            )
        self._said_full = set(full)

    def close(self) -> None:
        """Tell what is over; what lasts stays open for the next process of this name. Blocks."""
        self.write(hold=0.0)
        if self._log is not None and self._sign is not None:
            self._sign.live()
            self._sign.close()
            self._log.close()

    def _event(self, change: Change) -> Event:
        begins = change.end is None
        at = change.begin if change.end is None else change.end
        return Event(at, change.subject, begins, self._instance, change.detail, change.begin)

    # -- metrics -----------------------------------------------------------------------------------

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        with self._lock:
            lasting, begun = self._settling.kinds(), Counter(self._settling.begun)
        yield from outage_figures(lasting, begun)


def _short(sentence: str) -> str:
    return printable(sentence[:_MOST_CHARACTERS])


def _say(change: Change) -> None:
    """A line in the service log, where the part that is out says none."""
    kind, name = change.subject
    if change.end is None:
        if kind in _BEGINS_UNSAID:
            _log.error("outage: %s of %s begins: %s", kind, name, change.detail)
    elif kind in _ENDS_UNSAID or change.restored:
        lasted = change.end - change.begin
        _log.warning("outage: %s of %s is over after %.0f s", kind, name, lasted)
