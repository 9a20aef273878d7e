"""When an outage begins and when it is over: pure. Times are given, seconds since the epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.core.events.line import OutageKind, Subject

HOLD_SECONDS = 3.0  # what comes back sooner has not been gone
MOST = 1000  # that last at a time: a network full of odd proxies must not fill memory and log
# what nobody may be there to take back: over after so long without having been seen again
_SILENCE: dict[str, float] = {OutageKind.BODIES_WITHHELD: 3600.0}

Levels = Mapping[Subject, str | None]  # what is out, and why in a sentence; None: not known


class Change(NamedTuple):
    """An outage has begun (`end` is None), or is over."""

    subject: Subject
    begin: float
    end: float | None
    detail: str
    restored: bool  # it began in an earlier process


@dataclass(slots=True)
class _Lasting:
    begin: float
    detail: str
    seen: float
    restored: bool = False
    gone: float | None = None
    parts: set[str] = field(default_factory=set)


class Settling:
    """What is out now. Each method may be told the same any number of times.

    An end counts once the outage has been gone for 3 s, from the time when it went.
    """

    def __init__(self) -> None:
        self._lasting: dict[Subject, _Lasting] = {}
        self._changes: list[Change] = []
        self.begun: Counter[str] = Counter()

    def restore(self, subject: Subject, begin: float, detail: str, now: float) -> None:
        """An earlier process left this open."""
        self._lasting.setdefault(subject, _Lasting(begin, detail, now, restored=True))

    def lasts(self, subject: Subject) -> bool:
        """Whether it is out, or has been a moment ago. From any thread."""
        return subject in self._lasting

    def open_now(self) -> list[tuple[Subject, float, str]]:
        """What has begun and is not over: since when (epoch), and why."""
        return [(about, each.begin, each.detail) for about, each in self._lasting.items()]

    def kinds(self) -> Counter[str]:
        """How many of each kind last."""
        return Counter(subject.kind for subject in self._lasting)

    def set(self, subject: Subject, active: bool, detail: str, part: str, now: float) -> None:
        """How it is; it is out as long as any of its parts is."""
        there = self._lasting.get(subject)
        if active:
            if there is None:
                there = self._begin(subject, detail, now)
            if there is not None:
                there.parts.add(part)
                there.seen, there.gone = now, None
        elif there is not None:
            there.parts.discard(part)
            if not there.parts and there.gone is None:
                there.gone = now

    def _begin(self, subject: Subject, detail: str, now: float) -> _Lasting | None:
        if len(self._lasting) >= MOST:
            return None
        self._lasting[subject] = there = _Lasting(now, detail, now)
        self.begun[subject.kind] += 1
        self._changes.append(Change(subject, now, None, detail, restored=False))
        return there

    def look(self, kinds: Collection[str], levels: Levels, now: float) -> None:
        """How all of these kinds are; what `levels` does not have is not out."""
        for subject, why in levels.items():
            if why is not None:
                self.set(subject, True, why, "", now)
            elif subject in self._lasting:
                self._lasting[subject].gone = None
        for subject in [each for each in self._lasting if each.kind in kinds]:
            if subject not in levels:
                self.set(subject, False, "", "", now)

    def keep_only(self, kind: str, names: Collection[str], now: float) -> None:
        """There are no others of this kind."""
        for subject in [each for each in self._lasting if each.kind == kind]:
            if subject.name not in names:
                self._lasting[subject].parts.clear()
                self.set(subject, False, "", "", now)

    def take_changes(self, now: float, *, hold: float = HOLD_SECONDS) -> list[Change]:
        """What has begun and what is over since the last call."""
        for subject, there in list(self._lasting.items()):
            silence = _SILENCE.get(subject.kind)
            if there.gone is None and silence is not None and now - there.seen > silence:
                there.gone = there.seen
            if there.gone is not None and not 0 <= now - there.gone < hold:
                del self._lasting[subject]
                end = max(there.begin, there.gone)
                change = Change(subject, there.begin, end, there.detail, there.restored)
                self._changes.append(change)
        taken, self._changes = self._changes, []
        return taken
