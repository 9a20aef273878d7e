"""Running doors that the tests of a file share, one for each configuration.

A test takes one as a site of its own: it sees only what came since it took it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from bridge.emulator import Emulator, Memory
from bridge.testing.site import fits
from tests.support.certificates import put_certificate
from tests.support.katabridge import Records, Site
from tests.support.processes import Program, wait_until

Start = Callable[[Site], Program]


class SharedSite(Site):
    """A site whose door runs; `kata.memory.calls`, records and output are those of one test."""

    def __init__(self, folder: Path, kata: Emulator, changes: dict[str, Any], start: Start) -> None:
        super().__init__(folder, kata.url, kata.certificate, changes=changes)
        self.kata = kata
        self._seen: dict[str, int] = {}
        self._said = 0
        self.program: Program = start(self)

    def take(self) -> Self:
        """Forget what others did, once they are gone; fails where one of them ended it."""
        ended = self.program.process.poll() is not None
        assert not ended, f"a test before ended it:\n{self.program.output()}"
        wait_until(lambda: not self.program.connections(self.icap_port), "others are gone")
        self._seen = {
            log: len(super(SharedSite, self).records(log))
            for log in ("log-history.log", "log-detects.log")
        }
        self._said = len(self.program.output())
        self.kata.memory.calls.clear()
        return self

    def records(self, log: str = "log-history.log", **wanted: object) -> Records:
        """See Site; without those of other tests."""
        ours = super().records(log)[self._seen.get(log, 0) :]
        return [record for record in ours if fits(record, wanted)]

    def output(self) -> str:
        """What the door printed since."""
        return self.program.output()[self._said :]


class SharedDoors:
    """All of a file: `doors(changes)` starts one where there is none; a context manager.

    `start`: which door; the ICAP door, unless told otherwise.
    """

    def __init__(self, folder: Path, start: Start = Site.start_icapd) -> None:
        self._folder = folder
        self._start_door = start
        self._sites: dict[str, SharedSite] = {}
        self._running = contextlib.ExitStack()

    def __call__(self, changes: dict[str, Any] | None = None) -> SharedSite:
        """The one with these changes, as of a Site."""
        key = json.dumps(changes or {}, sort_keys=True)
        if key not in self._sites:
            self._sites[key] = self._start(self._folder / str(len(self._sites)), changes or {})
        return self._sites[key].take()

    def _start(self, folder: Path, changes: dict[str, Any]) -> SharedSite:
        put_certificate(folder / "kata" / "server.pem", folder / "kata" / "server.key", "kata")
        kata = self._running.enter_context(Emulator(Memory(folder / "kata")))
        site = SharedSite(folder / "site", kata, changes, self._start_door)
        self._running.callback(_stop, site.program)
        return site

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()


def _stop(door: Program) -> None:
    code = door.stop()
    assert code == 0, f"it ended with {code}:\n{door.output()}"
    assert "Traceback" not in door.output(), door.output()
