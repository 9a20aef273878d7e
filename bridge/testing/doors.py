"""A door as a program under test: started, reloaded, stopped, and asked what it did.

The folder door is in `folder`.
"""

from __future__ import annotations

import re
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.core import VERDICT_LOG
from bridge.testing.changes import changed
from bridge.testing.ports import free_port
from bridge.testing.processes import HarnessError, Program, wait_until
from bridge.testing.site import Records, Site

_RELOAD = re.compile(r"the configuration .* is (?:not reloaded: .*|reloaded\b.*)")
_WHOLE = " is reloaded"
_RELOAD_SECONDS = 30.0
_TAKEN = "is taken by another program"
_PORTS_TRIED = 5


def reload_answers(log: str) -> list[str]:
    """The sentences of a service log that say what came of a reload, oldest first."""
    return _RELOAD.findall(log)


class DoorProgram(ABC):
    """A door of a site, running; `site` holds its configuration and its records."""

    name: str
    _log_name: str

    def __init__(self, site: Site) -> None:
        """Start it; HarnessError for settings of the site that a test cannot have."""
        self.site = site
        self._begin()

    def _begin(self) -> None:
        self.site.changes = changed(self.site, {})  # a test may have set them itself
        self._program = self._started()
        self._is_running = True

    @abstractmethod
    def _started(self) -> Program: ...

    @property
    def pid(self) -> int:
        """The process id of the program."""
        return self._program.process.pid

    @property
    def config(self) -> Path:
        """The configuration file, for `kata-bridge … --config`."""
        return self.site.config

    @property
    def log_file(self) -> Path:
        """Its service log; the ICAP door's has every verdict, too."""
        return self.site.directory / "log" / self._log_name

    def log(self) -> str:
        """The text of its service log; nothing where there is none."""
        try:
            return self.log_file.read_text(errors="replace")
        except FileNotFoundError:  # a test may do with its folders what it likes
            return ""

    def wait_log(self, text: str, *, after: int = 0, seconds: float = 30.0) -> None:
        """Wait until `text` is in its log; `after`: behind so many signs of it."""
        wait_until(lambda: text in self.log()[after:], f"{self.name} logs {text!r}", seconds)

    def records(self, log: str = "log-history.log", **wanted: object) -> Records:
        """The records of both doors of this site: every case, oldest first.

        `log-detects.log` has detections only. `wanted`: values that a record, or its `context`,
        must have, such as `decision="block"` or `url=…`.
        """
        return self.site.records(log, **wanted)

    def wait_records(self, count: int, log: str = "log-history.log", **wanted: object) -> Records:
        """The same, once there are so many: a record may come after the answer."""
        return self.site.wait_records(count, log, **wanted)

    def reload(self, changes: Mapping[str, Any]) -> None:
        """Change settings while it runs, and wait until they count.

        HarnessError with the door's sentence where not all of them do: the door, the file and
        `site.changes` are then as before.
        """
        self._need_running()
        before = self.site.changes
        self.site.changes = changed(self.site, changes)
        sentence = ""
        try:
            sentence = self._reloaded()
        finally:
            if not sentence.endswith(_WHOLE):
                self.site.changes = before
                self.site.write()
        if not sentence.endswith(_WHOLE):
            if _WHOLE in sentence:  # the others of these settings count already
                self._reloaded()
            raise HarnessError(sentence)

    def _reloaded(self) -> str:
        """Have it read the file, and what it says of that."""
        told = len(self._told())
        self.site.write()
        self._program.process.send_signal(signal.SIGHUP)
        what = f"{self.name} says whether it reloaded"
        wait_until(lambda: len(self._told()) > told or self._has_ended(), what, _RELOAD_SECONDS)
        self._need_running()
        return self._told()[-1]

    def _need_running(self) -> None:
        if not self._is_running:
            raise HarnessError(f"{self.name} is stopped; start it first.")
        self._need_life()

    def _need_life(self) -> None:
        if self._has_ended():
            self._is_running = False
            code = self._program.process.returncode
            sentence = f"{self.name} ended by itself, with exit code {code}:"
            raise HarnessError(f"{sentence}\n{self._program.said()}")

    def _has_ended(self) -> bool:
        return self._program.process.poll() is not None

    def _told(self) -> list[str]:
        return reload_answers(self.log())

    def stop(self) -> None:
        """End it, as a service manager would.

        HarnessError where it had ended by itself, does not end, or not well.
        """
        if self._is_running:
            self._need_life()
            self._is_running = False
            self._judge_end(self._program.stop())

    def kill(self) -> None:
        """End it as a crash would."""
        self._is_running = False
        self._program.process.kill()
        self._program.process.wait()

    def start(self) -> None:
        """Start it anew with the same configuration, on the same port."""
        if self._is_running:
            raise HarnessError(f"{self.name} runs already; stop it first.")
        self._begin()

    def _judge_end(self, code: int) -> None:
        if code != 0:
            raise HarnessError(f"{self.name} ended with exit code {code}:\n{self._program.said()}")
        if "Traceback" in self._program.said():
            raise HarnessError(f"{self.name} had a fault of its own:\n{self._program.said()}")


class IcapdServer(DoorProgram):
    """The ICAP door, listening."""

    name = "icapd"
    _log_name = VERDICT_LOG
    host = "127.0.0.1"

    def __init__(self, site: Site) -> None:
        """Start it; on another port where another program was quicker to take it."""
        self._is_settled = False
        super().__init__(site)
        self._is_settled = True

    def _started(self) -> Program:
        for _ in range(_PORTS_TRIED - 1):
            try:
                return self.site.start_icapd()
            except HarnessError as error:
                if self._is_settled or _TAKEN not in str(error):
                    raise
                self.site.icap_port = free_port()
        return self.site.start_icapd()

    @property
    def port(self) -> int:
        """Where it listens; the same as long as the test lasts."""
        return self.site.icap_port

    def url(self, service: str) -> str:
        """The address of a service, as proxies want it: `icap://127.0.0.1:PORT/av/respmod`."""
        return f"icap://{self.host}:{self.port}/{service}"

    @property
    def reqmod_url(self) -> str:
        """The address of `av/reqmod`."""
        return self.url("av/reqmod")

    @property
    def respmod_url(self) -> str:
        """The address of `av/respmod`."""
        return self.url("av/respmod")
