"""The load: every user in a thread of its own, at a steady rate, and pauses in which all rest."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.soak.answers import Finding, find
from tests.soak.tally import Tally
from tests.soak.things import Supply, Thing
from tests.soak.troubles import Troubles
from tests.soak.users import User

_RETRY_SECONDS = 0.3
_END_SECONDS = 90.0


@dataclass(slots=True)
class Load:
    """`start`, then `pause` and `go_on`, and `stop`. `rate`: requests a second of all together."""

    users: Sequence[User]
    seed: str
    rate: float
    troubles: Troubles
    tally: Tally = field(default_factory=Tally)
    _may_ask: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _busy: set[int] = field(default_factory=set)
    _threads: list[threading.Thread] = field(default_factory=list)
    _supplies: list[Supply] = field(default_factory=list)
    _broken: list[BaseException] = field(default_factory=list)

    def start(self) -> None:
        """Everybody begins."""
        self._may_ask.set()
        self._supplies = [Supply(f"{self.seed}-{n}") for n in range(len(self.users))]
        for number in range(len(self.users)):
            thread = threading.Thread(target=self._live, args=(number,), daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def learnt(self) -> int:
        """How many new contents there were."""
        return sum(supply.made for supply in self._supplies)

    def pause(self) -> None:
        """Nobody asks any more, and everybody has his answer; AssertionError where one has none."""
        self._may_ask.clear()
        end = time.monotonic() + _END_SECONDS
        while self._busy:
            self.check()
            assert time.monotonic() < end, f"users wait for more than {_END_SECONDS:.0f} s"
            time.sleep(0.05)

    def go_on(self) -> None:
        """After a pause."""
        self._may_ask.set()

    def stop(self) -> None:
        """Everybody leaves."""
        self._over.set()
        self._may_ask.set()
        for thread in self._threads:
            thread.join(_END_SECONDS)
        self.check()

    def check(self) -> None:
        """Raise what a user could not handle: a fault of the soak's own."""
        if self._broken:
            raise self._broken[0]

    # -- a user --------------------------------------------------------------------------------

    def _live(self, number: int) -> None:
        user, supply = self.users[number], self._supplies[number]
        pause = len(self.users) / self.rate
        due = time.monotonic() + pause * number / len(self.users)
        try:
            while not self._over.wait(max(0.0, due - time.monotonic())):
                if not self._may_ask.is_set():
                    self._may_ask.wait()
                    continue
                due = max(time.monotonic(), due + pause)
                self._have(number, user, supply.next())
        except BaseException as error:  # said by `check`
            self._broken.append(error)
        finally:
            self._busy.discard(number)
            user.close()

    def _have(self, number: int, user: User, thing: Thing) -> None:
        """Ask until there is an answer that nothing explains away."""
        self._busy.add(number)
        while self._ask(user, thing) is Finding.EXPLAINED:
            if self._over.wait(_RETRY_SECONDS):
                break
        self._busy.discard(number)

    def _ask(self, user: User, thing: Thing) -> Finding:
        request, began = self.tally.number(), user.held_since or time.monotonic()
        answer = user.ask(request, thing)
        explained = self.troubles.explain(began, time.monotonic())
        finding = find(thing, answer, only_watched=user.only_watched, explained=explained)
        words = f"({len(thing.body):,} bytes, {'bad' if thing.bad else 'clean'}) {user.why}"
        self.tally.note(user.name, request, answer, finding, peace=not explained, why=words)
        return finding
