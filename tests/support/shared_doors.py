"""Running icapds that the tests of a file share, one for each configuration.

A test takes one as a site of its own: it sees only what came since it took it.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Self

from bridge.emulator import Emulator, Memory
from bridge.testing.site import fits
from tests.support.certificates import put_certificate
from tests.support.katabridge import Records, Site
from tests.support.processes import Program, wait_until


class SharedSite(Site):
    """A site whose icapd runs; `kata.memory.calls`, records and output are those of one test."""

    def __init__(self, folder: Path, kata: Emulator, changes: dict[str, Any]) -> None:
        super().__init__(folder, kata.url, kata.certificate, changes=changes)
        self.kata = kata
        self._seen: dict[str, int] = {}
        self._said = 0
        self.icapd: Program = self.start_icapd()

    def take(self) -> Self:
        """Forget what others did, once they are gone; fails where one of them ended it."""
        assert self.icapd.process.poll() is None, f"a test before ended it:\n{self.icapd.output()}"
        wait_until(lambda: not self.icapd.connections(self.icap_port), "others are gone")
        self._seen = {
            log: len(super(SharedSite, self).records(log))
            for log in ("log-history.log", "log-detects.log")
        }
        self._said = len(self.icapd.output())
        self.kata.memory.calls.clear()
        return self

    def records(self, log: str = "log-history.log", **wanted: object) -> Records:
        """See Site; without those of other tests."""
        ours = super().records(log)[self._seen.get(log, 0) :]
        return [record for record in ours if fits(record, wanted)]

    def output(self) -> str:
        """What icapd printed since."""
        return self.icapd.output()[self._said :]


class SharedDoors:
    """All of a file: `doors(changes)` starts one where there is none; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
        site = SharedSite(folder / "site", kata, changes)
        self._running.callback(_stop, site.icapd)
        return site

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()


def _stop(icapd: Program) -> None:
    code = icapd.stop()
    assert code == 0, f"it ended with {code}:\n{icapd.output()}"
    assert "Traceback" not in icapd.output(), icapd.output()
