"""All that takes part, started for real: origin, KATA, Squid, icapd and the folder door."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from bridge.core import VERDICT_LOG, WATCH_LOG
from tests.soak.kata import Kata
from tests.soak.measure import Held, Kept, held_by, kept_in
from tests.soak.plan import Door
from tests.support.katabridge import Site, deep_merge
from tests.support.origin import Origin
from tests.support.processes import Program, free_port, wait_until
from tests.support.squid import Squid

RELOADED = " is reloaded"
REFUSED = " is not reloaded: "
_MODES = ("advanced", "standard", "monitor")
_RELOAD_SECONDS = 20.0
# Squid gives a server up for three minutes else, when it was away for a few requests.
_SQUID = ("icap_service_failure_limit -1", "icap_service_revival_delay 1")


class Stage:
    """Runs while it is entered; what it starts it ends."""

    def __init__(
        self, folder: Path, squid: str, workers: int = 1, *, has_status: bool = True
    ) -> None:
        """`has_status`: both daemons have their status pages, processes of their own."""
        self._squid_path = squid
        self.workers = workers
        self._running = contextlib.ExitStack()
        self.kata = Kata(folder / "kata")
        self.origin = Origin()
        self.site = Site(folder / "site", self.kata.url, self.kata.certificate)
        self._base = self.site.changes = _settings(workers, has_status)
        for name in ("in", "out", "quarantine"):
            (self.extra / name).mkdir(parents=True)
        (self.site.directory / "pages" / "texts").mkdir(parents=True)
        self._programs: dict[Door, Program] = {}

    @property
    def extra(self) -> Path:
        """What holds the folders of the entry that comes and goes."""
        return self.site.directory / "extra"

    def __enter__(self) -> Self:
        with self._running:
            self._running.enter_context(self.kata)
            self._running.enter_context(self.origin)
            self._running.callback(self._stop_all)
            for door in Door:
                self._start(door)
            squid = Squid(self._squid_path, self.site.icap_port, *_SQUID)
            self.squid = self._running.enter_context(squid)
            self._running = self._running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _start(self, door: Door) -> None:
        start = self.site.start_icapd if door is Door.ICAP else self.site.start_watch
        self._output(door).unlink(missing_ok=True)  # what it has said stands in its log
        self._programs[door] = start()

    def _output(self, door: Door) -> Path:
        return self.site.directory / ("icapd.out" if door is Door.ICAP else "watch.out")

    def restart(self, door: Door) -> None:
        """As a service manager does it; AssertionError where it ends badly or does not start."""
        self._stop(door)
        self._start(door)

    def _stop(self, door: Door) -> None:
        program = self._programs[door]
        code = program.stop()
        assert code == 0, f"{door} ended with {code}:\n{program.output()[-2000:]}"

    def _stop_all(self) -> None:
        for door in list(self._programs):
            self._stop(door)

    # -- reload --------------------------------------------------------------------------------

    def reload(self, number: int) -> None:
        """Change the file in a way that changes no verdict, and have both daemons take it.

        AssertionError where one does not say that it has.
        """
        self._change(number)
        before = {door: self._said(door) for door in Door}
        for program in self._programs.values():
            program.process.send_signal(signal.SIGHUP)
        for door in Door:
            wait_until(
                lambda door=door: self._said(door) > before[door],  # type: ignore[misc]
                f"{door} says that the configuration{RELOADED} (change {number})",
                _RELOAD_SECONDS,
            )

    def _change(self, number: int) -> None:
        text = f'advice:\n  help: "Call {number}."\n'
        (self.site.directory / "pages" / "texts" / "en.yaml").write_text(text)
        self.site.changes = deep_merge(self._base, _change(number))
        if has_extra(number):
            entry = {key: f"extra/{key}" for key in ("output", "quarantine")}
            entry |= {"output": "extra/out", "input": "extra/in", "name": "extra"}
            self.site.changes["folders"] = [self.site.folder, self.site.folder | entry]
        assert self.site.config.exists()

    def _said(self, door: Door) -> int:
        text = self._log(door).read_text(errors="replace")
        refused = [line for line in text.splitlines() if REFUSED in line]
        assert not refused, f"{door}: {refused[0]}"
        return text.count(RELOADED)

    def _log(self, door: Door) -> Path:
        return self.site.directory / "log" / (VERDICT_LOG if door is Door.ICAP else WATCH_LOG)

    # -- figures -------------------------------------------------------------------------------

    def held(self) -> dict[Door, Held]:
        """What each daemon holds now."""
        return {door: held_by(program.process.pid) for door, program in self._programs.items()}

    def kept(self) -> Kept:
        """What lies on disk now."""
        return kept_in(self.site.directory / "spool", self.site.directory / "log")

    def rests(self) -> bool:
        """Whether nothing is under way: no body, no journal entry, no scan at KATA, no file."""
        kept, scans = self.kept(), self.kata.memory.scans
        return not (kept.spool_files or kept.journal_entries or scans or self.waiting())

    def waiting(self) -> list[Path]:
        """The files in both inputs."""
        inputs = (self.site.directory / "in", self.extra / "in")
        return [each for folder in inputs for each in folder.glob("*.bin")]


def has_extra(number: int) -> bool:
    """Whether the second folder is there after this change."""
    return number % 2 == 1


def _settings(workers: int, has_status: bool) -> dict[str, Any]:
    services: dict[str, Mapping[str, str]] = {
        f"{mode}/respmod": {"method": "RESPMOD", "mode": mode} for mode in _MODES
    }
    services |= {
        # else it would pass what an outage keeps from its verdict for longer than five seconds
        "standard/respmod": {"method": "RESPMOD", "mode": "standard", "hold": "40s"},
        "av/reqmod": {"method": "REQMOD", "mode": "advanced"},
        "av/respmod": {"method": "RESPMOD", "mode": "advanced"},
    }
    return {
        "kata": {"connections": 4, "poll_interval": "1s"},
        "spool": {"memory": "64KiB"},
        "icap": {"services": services, "workers": workers, "visits": {"keep": "10s"}},
        "status": {name: _page(has_status) for name in ("icapd", "watch")},
    }


def _page(has_status: bool) -> str | None:
    return f"127.0.0.1:{free_port()}" if has_status else None


def _change(number: int) -> dict[str, Any]:
    """Exclusions that fit nothing, a `hold` that nothing reaches, other texts."""
    return {
        "exclusions": [{"source": f"192.0.2.{number % 250}", "label": f"change {number}"}],
        "icap": {
            "services": {"advanced/respmod": {"method": "RESPMOD", "hold": f"{20 + number % 5}s"}},
            "pages": {"dir": "pages"},
        },
    }
