"""One soak, from the first start to the last look."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bridge.core import tail_lines
from tests.soak import books, things
from tests.soak.answers import Answer
from tests.soak.books import Books
from tests.soak.flat import Disk, Life
from tests.soak.load import Load
from tests.soak.measure import Held, least
from tests.soak.plan import Broken, Door, Plan, Reload, Restart, Step
from tests.soak.stage import Stage, has_extra
from tests.soak.tally import Tally
from tests.soak.troubles import Troubles
from tests.soak.users import Downloader, Dropper, IcapUser, Uploader, User

_SAMPLE_SECONDS = 1.0
_REST_SECONDS = 120.0  # what monitor has not had judged is tried again after a minute at most
_WORKS_SECONDS = 60.0
_LOOKS = 5
_LOOK_SECONDS = 0.15
_CONNECTIONS = 12  # for each further worker: all of them at others is one time in thousands
_ALL = 1 << 40
_LOGGED = "log-history.log"

Tell = Callable[[str, float], None]  # what happens, and how much of the time has passed (0 to 1)


@dataclass(slots=True)
class Outcome:
    """What was seen. `steps`: how many of each kind; `starts`: memory of each first process."""

    tally: Tally
    books: Books
    starts: dict[Door, Held]
    lives: dict[Door, Life]
    disk: Disk
    steps: dict[str, int]
    seconds: float


@dataclass(slots=True)
class Soak:
    """Runs a plan on a stage. `tell` is called about once a second."""

    stage: Stage
    plan: Plan
    seed: str
    rate: float
    tell: Tell
    troubles: Troubles = field(default_factory=Troubles)
    steps: dict[str, int] = field(default_factory=dict)
    _samples: dict[Door, list[Held]] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _doing: str = "load"
    _probes: Iterator[int] = field(default_factory=itertools.count)
    _plain: Iterator[int] = field(default_factory=lambda: itertools.count(1_000_000, 2))
    _has_extra: bool = False

    def run(self) -> Outcome:
        """AssertionError with a sentence where something does not start, stop, or come back."""
        load = Load(self._users(), self.seed, self.rate, self.troubles)
        starts = self.stage.held()
        load.start()
        try:
            self._half(load, self.plan.first)
            self._rest(load)
            before, kept, requests = self._held(), self.stage.kept(), load.tally.requests
            learnt = load.learnt
            load.go_on()
            self._half(load, self.plan.second)
            self._rest(load)
            learnt = (load.learnt - learnt) // 3
            after = self._held()
            disk = Disk(kept, self.stage.kept(), load.tally.requests - requests)
        finally:
            load.stop()
        lives = {d: Life(before[d], self._samples[d], after[d], learnt) for d in Door}
        found = self._compare(load.tally)
        seconds = time.monotonic() - self._began
        return Outcome(load.tally, found, starts, lives, disk, self.steps, seconds)

    def _users(self) -> Sequence[User]:
        stage, port = self.stage, self.stage.site.icap_port
        proxied = stage.squid.port, stage.origin
        icap = [IcapUser(port, mode) for mode in ("advanced", "standard", "monitor")]
        downloaders = [Downloader(*proxied) for _ in range(3)]
        droppers = [Dropper(stage.site.directory) for _ in range(3)]
        return [*downloaders, Uploader(*proxied), *icap, *droppers]

    # -- time ----------------------------------------------------------------------------------

    def _half(self, load: Load, steps: Sequence[Step]) -> None:
        self._samples = {door: [] for door in Door}
        began = time.monotonic()
        for step in steps:
            self._wait(load, self.plan.beat)
            if time.monotonic() - began > self.plan.trouble:
                break
            self._take(load, step)
        if self._has_extra:  # both rests are of one configuration
            self._take(load, Reload(next(self._plain)))
        self._doing = "load"
        self._wait(load, began + self.plan.half - time.monotonic())

    def _wait(self, load: Load, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _SAMPLE_SECONDS))
            load.check()
            self._look()

    def _look(self) -> None:
        for door, held in self.stage.held().items():
            self._samples[door].append(held)
        self.stage.origin.asked.clear()
        self.stage.origin.uploads.clear()
        self.tell(self._doing, (time.monotonic() - self._began) / (2 * self.plan.half))

    def _rest(self, load: Load) -> None:
        self._doing = "rest"
        load.pause()
        end = time.monotonic() + _REST_SECONDS
        while not self.stage.rests():
            assert time.monotonic() < end, (
                f"not at rest after {_REST_SECONDS:.0f} s: {self._left()}"
            )
            self._look()
            time.sleep(0.5)

    def _held(self) -> dict[Door, Held]:
        """What is held for longer than a moment."""
        looks = []
        for _ in range(_LOOKS):
            looks.append(self.stage.held())
            time.sleep(_LOOK_SECONDS)
        return {door: least([look[door] for look in looks]) for door in Door}

    def _left(self) -> str:
        kept, scans = self.stage.kept(), len(self.stage.kata.memory.scans)
        return (
            f"{kept.spool_files} bodies in the spool, {kept.journal_entries} journal entries, "
            f"{scans} scans at KATA, {len(self.stage.waiting())} files in input"
        )

    # -- steps ---------------------------------------------------------------------------------

    def _take(self, load: Load, step: Step) -> None:
        self.steps[step.kind] = self.steps.get(step.kind, 0) + 1
        match step:
            case Reload(number):
                self._doing = f"reload {number}"
                self._reload(number)
            case Restart(door):
                self._doing = f"restart of {door}"
                with self.troubles.one():
                    self.stage.restart(door)
                    self._until_it_works()
            case Broken(outage, seconds):
                self._doing = f"KATA: {outage}"
                with self.troubles.one():
                    self.stage.kata.suffer(outage, lambda: self._wait(load, seconds))
                    self._until_it_works()

    def _reload(self, number: int) -> None:
        self.stage.reload(number)
        self._has_extra = has_extra(number)
        if self._has_extra:
            answer = self._probe(Dropper(self.stage.extra))
            assert answer is Answer.CLEAN, f"the folder that change {number} adds: {answer}"

    def _until_it_works(self) -> None:
        """Until new contents have verdicts at both doors, and through Squid."""
        stage = self.stage
        ways: list[User] = [Downloader(stage.squid.port, stage.origin)]
        ways += [Dropper(stage.site.directory)]
        end = time.monotonic() + _WORKS_SECONDS
        for way in ways:
            while (answer := self._probe(way)) is not Answer.CLEAN:
                assert time.monotonic() < end, f"{way.name} does not work again: {answer}"
                time.sleep(0.2)
        # a worker learns by itself that KATA is back; the kernel deals connections by chance
        works = 0
        while works < _CONNECTIONS * (stage.workers - 1):
            user = IcapUser(stage.site.icap_port, "advanced")
            works = works + 1 if self._probe(user) is Answer.CLEAN else 0
            user.close()
            assert time.monotonic() < end, "a worker does not work again"

    def _probe(self, way: User) -> Answer:
        """Its number is none of the users'."""
        number = next(self._probes) + 1_000_000_000
        return way.ask(number, things.new_clean(number))

    def _compare(self, tally: Tally) -> Books:
        path = self.stage.site.directory / "log" / _LOGGED
        return books.compare(tail_lines(path, _ALL), tally.answered)
