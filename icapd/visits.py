"""What is remembered of clients and addresses: who waits for what, and who got a part of what.

Pure: the clock is given. Bounded by `icap.visits`; what is not used for `keep` is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from bridge.core import Outcome, VisitSettings

_RESTLESS = 2  # different bodies at one address: it would be waited for without end


class Cut(NamedTuple):
    """Why a client got a part of something only: the next try is told."""

    sha256: str | None
    outcome: Outcome


@dataclass(slots=True)
class Visit:
    """One client at one address. Times are seconds of the clock.

    `waiting_since`: when it was first put off; None: it is not put off. `bodies`: sha256 of what it
    was put off for, in their order. `let_by`: what it came for may pass, but it saw a page.
    `unjudged`: sha256 of what it was given before the verdict.
    """

    seen: float
    waiting_since: float | None = None
    bodies: list[str] = field(default_factory=list)
    cut: Cut | None = None
    let_by: bool = False
    unjudged: str | None = None


class Visits:
    """Remembers by client and address (the whole URL)."""

    def __init__(self, settings: VisitSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._visits: OrderedDict[bytes, Visit] = OrderedDict()

    def use(self, settings: VisitSettings) -> None:
        """Remember so many, so long, from now on."""
        self._settings = settings

    def time(self) -> float:
        """The clock."""
        return self._clock()

    def __len__(self) -> int:
        """How many are remembered, those that are long over not among them."""
        before = self._clock() - self._settings.keep
        while self._visits and next(iter(self._visits.values())).seen <= before:
            self._visits.popitem(last=False)  # they are in the order in which they were seen
        return len(self._visits)

    def find(self, client: str, url: str) -> Visit | None:
        """What is remembered; None where that is nothing."""
        if not self._visits:
            return None
        key = _key(client, url)
        visit = self._visits.get(key)
        if visit is None or self._clock() - visit.seen < self._settings.keep:
            return visit
        del self._visits[key]
        return None

    def elapsed(self, client: str, url: str) -> float | None:
        """Seconds since the client was first put off; None: it was not, or has been served."""
        visit = self.find(client, url)
        if visit is None or visit.waiting_since is None:
            return None
        return self._clock() - visit.waiting_since

    def is_restless(self, client: str, url: str) -> bool:
        """Whether the body there changes with each look, so that no look finds a known one."""
        visit = self.find(client, url)
        return visit is not None and len(visit.bodies) >= _RESTLESS

    def put_off(self, client: str, url: str, sha256: str, since: float) -> None:
        """A client is to come again for this body; `since`: when it came, by the clock."""
        visit = self._note(client, url)
        if visit.waiting_since is None:
            visit.waiting_since = since
        if sha256 not in visit.bodies:
            visit.bodies = [*visit.bodies, sha256][-_RESTLESS:]

    def served(self, client: str, url: str) -> None:
        """The client got what it came for."""
        visit = self._there(client, url)
        if visit is not None:
            visit.cut = None
            visit.let_by = False

    def told(self, client: str, url: str) -> None:
        """The client has an answer to what it was put off for."""
        visit = self._there(client, url)
        if visit is not None:
            visit.waiting_since = None

    def given_unjudged(self, client: str, url: str, sha256: str) -> None:
        """The client was given these bytes before their verdict."""
        self._note(client, url).unjudged = sha256

    def let_by(self, client: str, url: str) -> None:
        """A client is to come again for what may pass: then its answer is begun, not a page."""
        self._note(client, url).let_by = True

    def cut_off(self, client: str, url: str, sha256: str | None, outcome: Outcome) -> None:
        """A client's answer was cut in the middle: its next try is to be told why."""
        self._note(client, url).cut = Cut(sha256, outcome)

    def take_cut(self, client: str, url: str) -> Cut | None:
        """Why the last try was cut. Only a verdict is said again: what failed may work now."""
        visit = self.find(client, url)
        if visit is None or visit.cut is None:
            return None
        cut = visit.cut
        if not cut.outcome.is_verdict:
            visit.cut = None
        return cut

    def forget_cut(self, client: str, url: str) -> None:
        """What was cut is no longer bad."""
        visit = self._there(client, url)
        if visit is not None:
            visit.cut = None

    def _there(self, client: str, url: str) -> Visit | None:
        return self._visits.get(_key(client, url)) if self._visits else None

    def _note(self, client: str, url: str) -> Visit:
        now = self._clock()
        visit = self.find(client, url)
        if visit is None:
            visit = self._visits[_key(client, url)] = Visit(now)
        visit.seen = now
        self._visits.move_to_end(_key(client, url))
        while len(self._visits) > self._settings.entries:
            self._visits.popitem(last=False)
        return visit


def _key(client: str, url: str) -> bytes:
    """Of one size, however long the address is."""
    return blake2b(f"{client}\0{url}".encode("utf-8", "replace"), digest_size=16).digest()
