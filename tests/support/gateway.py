"""Origin, KATA, icapd and a real Squid, as one set-up for the tests of a module."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Self

from bridge.emulator import Emulator, Memory
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.origin import Origin
from tests.support.processes import Program
from tests.support.squid import Squid


class Serving:
    """An origin, a KATA and icapd, running; a context manager. `changes`: as of a Site."""

    def __init__(self, folder: Path, changes: dict[str, Any] | None = None) -> None:
        put_certificate(folder / "kata" / "server.pem", folder / "kata" / "server.key", "kata")
        self._running = contextlib.ExitStack()
        with contextlib.ExitStack() as running:
            self.kata = running.enter_context(Emulator(Memory(folder / "kata")))
            self.origin = running.enter_context(Origin())
            self.site = Site(
                folder / "site", self.kata.url, self.kata.certificate, changes=changes or {}
            )
            self.icapd: Program = self.site.start_icapd()
            running.callback(self._stop_icapd)
            self._running = running.pop_all()

    @property
    def spool(self) -> Path:
        """The folder of icapd's spool files."""
        return self.site.directory / "spool" / "test.icap.0"

    def _stop_icapd(self) -> None:
        assert self.icapd.stop() == 0
        assert "Traceback" not in self.icapd.output()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()


class Gateway(Serving):
    """The same with a Squid in front, as examples/squid sets it."""

    def __init__(
        self, folder: Path, squid: str, changes: dict[str, Any] | None = None, *settings: str
    ) -> None:
        super().__init__(folder, changes)
        with self._running:
            self.squid = self._running.enter_context(Squid(squid, self.site.icap_port, *settings))
            self._running = self._running.pop_all()
