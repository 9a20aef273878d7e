"""Everything that is looked at, in the order in which one thing needs another.

What does not need each other begins at once, and its lines are given in order. So the first line
that failed names the fault, and the whole takes little more than a minute whatever hangs.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from bridge.commands.checking import icap, kata
from bridge.commands.checking.certificates import look_at_certificates
from bridge.commands.checking.daemons import look_at_watch
from bridge.commands.checking.disk import (
    look_at_logs,
    look_at_service_log,
    look_at_spool,
    look_at_user,
)
from bridge.commands.checking.folders import hanging_shares, look_at_folders
from bridge.commands.checking.line import Line, Status, failed, ok, skipped
from bridge.commands.checking.outages import look_at_outages
from bridge.commands.checking.pages import Pages, look_at_pages
from bridge.commands.checking.proxies import look_at_proxies
from bridge.commands.checking.readiness import AREAS, look_at_readiness
from bridge.commands.checking.receivers import look_at_receivers
from bridge.commands.checking.rules import look_at_bypass, look_at_rules
from bridge.commands.checking.running import Running, TooSlowError, within
from bridge.commands.checking.secrets import look_at_secrets
from bridge.commands.checking.store import look_at_store
from bridge.commands.checking.trial import says_takes_files, why_not_now
from bridge.core import ConfigError, Door, Settings, load_config

CONFIGURATION = "configuration"
_CONFIG_SECONDS = 8.0
_PAGES = "status"
_SECONDS = 15.0
_SAID_SECONDS = 12.0
_PROXY_SECONDS = 5.0

Look = Callable[[], Iterable[Line]]


def read_configuration(
    path: Path, load: Callable[[Path], Settings] = load_config
) -> tuple[Settings | None, list[Line]]:
    """The settings, or None, and what is said of them. Blocks: disk."""
    try:
        settings = within(_CONFIG_SECONDS, load, path)
    except ConfigError as error:
        found = sentences(str(error), path)
        return None, [failed(CONFIGURATION, each, _mend(each)) for each in found]
    except TooSlowError:
        hanging = ", ".join(hanging_shares()) or "a share that it names"
        sentence = f"{path} was not read within {_CONFIG_SECONDS:.0f} s: {hanging} does not answer"
        return None, [failed(CONFIGURATION, sentence, "unmount it, or bring its server back")]
    return settings, [ok(CONFIGURATION, f"{path} is good")]


def sentences(text: str, path: Path) -> list[str]:
    """Each fault of a configuration: begins with the file, and may quote what has lines. Pure."""
    found: list[str] = []
    for line in text.splitlines():
        if not found or line.startswith(f"{path}:"):
            found.append(line)
        else:
            found[-1] += f" {line.strip()}"
    return found


def _mend(sentence: str) -> str:
    if os.strerror(errno.EACCES) in sentence:
        return "run this check as the service's user; if that is who did, let him read it"
    return "correct it; docs/configuration.md has every key"


class Examination:
    """One pass through everything; `lines` gives what is found as it is known."""

    def __init__(
        self,
        settings: Settings,
        config: Path,
        *,
        self_test: bool,
        service_log: Path | None = None,
    ) -> None:
        """`config`: the file that the settings came from. `service_log`: of an installation of KDS,
        which has no icapd."""
        self._settings = settings
        self._config = config
        self._self_test = self_test
        self._service_log = service_log
        self._pages = Pages(settings)
        pages = self._pages
        self._readiness = Running(_PAGES, lambda: look_at_readiness(settings, pages), _SAID_SECONDS)
        self.overran = False  # a thread still hangs
        self.looks_at = ""  # for who watches

    def lines(self) -> Iterator[Line]:
        """All of them."""
        found: list[Line] = []
        for running in self._begun():
            for line in self._seen(running):
                found.append(line)
                yield line
        if self._service_log is not None:
            return
        answers = []
        for line in self._icap(found):
            answers.append(line.area == "icap" and line.status is Status.OK)
            yield line
        yield from self._of(self._proxies(runs=any(answers) if self._self_test else None))

    def _proxies(self, *, runs: bool | None) -> Running:
        settings, page = self._settings, self._pages.of("icapd")
        return Running(
            "proxies", lambda: look_at_proxies(settings, page, runs=runs), _PROXY_SECONDS
        )

    def _seen(self, running: Running) -> Iterator[Line]:
        """Its lines, and before them what daemons say of the same, unless those show why."""
        lines = self._of(running)
        said = []
        if running.area in AREAS | {_PAGES}:
            said = [line for line in self._said if line.area == running.area]
        if said:
            seen = list(lines)
            is_shown = any(line.status is Status.FAILED for line in seen)
            lines = iter(seen if is_shown else said + seen)
        yield from lines

    @cached_property
    def _said(self) -> list[Line]:
        return list(self._of(self._readiness))

    @property
    def _doors(self) -> list[Door]:
        return list(Door) if self._service_log is None else [Door.FOLDER]

    def _begun(self) -> list[Running]:
        settings, config, pages = self._settings, self._config, self._pages
        looks: list[tuple[str, Look, float]] = [
            ("configuration", lambda: look_at_secrets(settings, config), _SECONDS),
            ("user", lambda: look_at_user(settings), _SECONDS),
            ("certificate", lambda: look_at_certificates(settings), _SECONDS),
            ("descriptors", lambda: iter(()), _SECONDS),  # each daemon alone knows of its own
            ("spool", lambda: look_at_spool(settings), _SECONDS),
            ("verdicts", lambda: look_at_store(settings), _SECONDS),
            ("logs", self._look_at_logs, _SECONDS),
            ("kata", self._look_at_kata, kata.SECONDS + 1),
            ("folders", lambda: look_at_folders(settings), _SECONDS),
            ("watch", lambda: look_at_watch(settings, pages), _SECONDS),
            (_PAGES, lambda: look_at_pages(settings, pages), _SECONDS),
            ("policy", lambda: look_at_rules(settings, self._doors), _SECONDS),
            ("bypass", lambda: look_at_bypass(settings), _SECONDS),
            ("receivers", lambda: look_at_receivers(settings), kata.SECONDS),
            ("outages", lambda: look_at_outages(settings, pages), _SECONDS),
        ]
        return [Running(*each) for each in looks]

    def _look_at_kata(self) -> Iterator[Line]:
        return kata.look_at_kata(self._settings.kata, gives_file=self._self_test)

    def _look_at_logs(self) -> Iterator[Line]:
        yield from look_at_logs(self._settings, self._pages)
        if self._service_log is not None:
            yield from look_at_service_log(self._service_log)

    def _of(self, running: Running) -> Iterator[Line]:
        self.looks_at = running.area
        yield from running.lines()
        self.overran |= running.overran

    def _icap(self, found: list[Line]) -> Iterator[Line]:
        if not self._self_test:
            yield skipped("icap", "--no-self-test: icapd was not asked")
            return
        why, runs = _why_no_bodies(found), self._pages.of("icapd").lives
        yield from self._of(
            Running(
                "icap",
                lambda: icap.look_at_icap(self._config, without_bodies=why, runs=runs),
                icap.SECONDS + 1,
            )
        )


def _why_no_bodies(found: list[Line]) -> str | None:
    """What a verdict needs and is not to be had."""
    bad = {line.area for line in found if line.status is Status.FAILED}
    needed = [area for area in ("certificate", "trust", "kata", "spool") if area in bad]
    takes = any(map(says_takes_files, found))
    later = next(filter(None, map(why_not_now, found)), None)
    if takes or later:
        needed = [area for area in needed if area == "spool"]
    if needed:
        return f"{needed[0]} failed"
    return None if takes else later
