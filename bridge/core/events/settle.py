"""When an outage begins and when it is over: pure. Times are given, seconds since the epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.core.events.line import OutageKind, Subject
from bridge.core.events.slots import Slots

# what nobody may be there to take back: over after so long without having been seen again
_SILENCE: dict[str, float] = {OutageKind.BODIES_WITHHELD: 3600.0}

Levels = Mapping[Subject, str | None]  # what is out, and why in a sentence; None: not known
Ends = Mapping[Subject, float]  # since when what is not out is not, where that is known (epoch)


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
    hold: float  # seconds that an end waits
    restored: bool = False
    returns: int = 0  # how often it had gone
    gone: float | None = None
    parts: set[str] = field(default_factory=set)


class Settling:
    """What is out now. Each method may be told the same any number of times.

    An end counts once the outage has been gone for 3 s, from the time when it went; for longer
    where it came back soon after an end.
    """

    def __init__(self) -> None:
        self._lasting: dict[Subject, _Lasting] = {}
        self._changes: list[Change] = []
        self._slots = Slots()
        self.begun: Counter[str] = Counter()

    def restore(self, subject: Subject, begin: float, detail: str, now: float) -> None:
        """An earlier process left this open."""
        if subject not in self._lasting:
            hold = self._slots.force(subject)
            self._lasting[subject] = _Lasting(begin, detail, now, hold, restored=True)

    def lasts(self, subject: Subject) -> bool:
        """Whether it is out, or has been a moment ago. From any thread."""
        return subject in self._lasting

    def open_now(self) -> list[tuple[Subject, float, str]]:
        """What has begun and is not over: since when (epoch), and why."""
        return [(about, each.begin, each.detail) for about, each in self._lasting.items()]

    def kinds(self) -> Counter[str]:
        """How many of each kind last."""
        return Counter(subject.kind for subject in self._lasting)

    @property
    def full(self) -> Collection[str]:
        """Kinds of which as many as there may be last, or did lately, so that one was left out."""
        return frozenset(self._slots.full)

    def open(self) -> list[Change]:
        """All that last, as they began."""
        return [
            Change(subject, there.begin, None, there.detail, there.restored)
            for subject, there in self._lasting.items()
        ]

    def set(self, subject: Subject, active: bool, detail: str, part: str, now: float) -> None:
        """How it is; it is out as long as any of its parts is."""
        there = self._lasting.get(subject)
        if active:
            if there is None:
                there = self._begin(subject, detail, now)
            if there is not None:
                there.parts.add(part)
                there.returns += there.gone is not None
                there.seen, there.gone = now, None
        elif there is not None:
            there.parts.discard(part)
            if not there.parts and there.gone is None:
                there.gone = now

    def _begin(self, subject: Subject, detail: str, now: float) -> _Lasting | None:
        hold = self._slots.take(subject)
        if hold is None:
            return None
        self._lasting[subject] = there = _Lasting(now, detail, now, hold)
        self.begun[subject.kind] += 1
        self._changes.append(Change(subject, now, None, detail, restored=False))
        return there

    def look(self, kinds: Collection[str], levels: Levels, now: float, ended: Ends) -> None:
        """How all of these kinds are; what `levels` does not have is not out."""
        for subject, why in levels.items():
            if why is not None:
                self.set(subject, True, why, "", now)
            elif subject in self._lasting:
                self._lasting[subject].gone = None
        for subject in [each for each in self._lasting if each.kind in kinds]:
            if subject not in levels:
                self.set(subject, False, "", "", min(now, ended.get(subject, now)))

    def keep_only(self, kind: str, names: Collection[str], now: float) -> None:
        """There are no others of this kind."""
        for subject in [each for each in self._lasting if each.kind == kind]:
            if subject.name not in names:
                self._lasting[subject].parts.clear()
                self.set(subject, False, "", "", now)

    def take_changes(self, now: float, *, hold: float | None = None) -> list[Change]:
        """What has begun and what is over since the last call; `hold` seconds for all ends."""
        self._slots.forget(now)
        for subject, there in list(self._lasting.items()):
            silence = _SILENCE.get(subject.kind)
            there.seen = min(there.seen, now)  # the clock was set back
            if there.gone is None and silence is not None and now - there.seen > silence:
                there.gone = there.seen
            waits = there.hold if hold is None else hold
            if there.gone is not None and not 0 <= now - there.gone < waits:
                self._end(subject, there, max(there.begin, there.gone), now)
        taken, self._changes = self._changes, []
        return taken

    def _end(self, subject: Subject, there: _Lasting, end: float, now: float) -> None:
        del self._lasting[subject]
        self._slots.ended(subject, there.hold, now)
        detail = there.detail
        if there.returns:
            often = "once" if there.returns == 1 else f"{there.returns} times"
            detail += f"; it went and came back {often}"
        self._changes.append(Change(subject, there.begin, end, detail, there.restored))
