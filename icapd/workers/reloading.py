"""A reload of a service of several workers: read and tried once, put in force in each of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from bridge.core import (
    ConfigError,
    Configuration,
    Prepare,
    Settings,
    StartError,
    keep_fixed,
    say_refused,
    say_reloaded,
    service_manager,
)
from icapd.workers.children import Child
from icapd.workers.handed import Handed

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 15.0


class ServiceReload:
    """One at a time; who asks meanwhile gets another one after it.

    `settings`: those in force, of the whole service.
    """

    def __init__(
        self,
        settings: Settings,
        configuration: Configuration,
        parts: Iterable[Prepare],
        count: Callable[[str], None],
    ) -> None:
        """`parts`: of the supervisor itself. `count` is told `ok` or `refused` of each reload."""
        self.settings = settings
        self.handed = Handed()
        self._configuration = configuration
        self._parts = list(parts)
        self._count = count
        self._wanted = False
        self._asked: dict[int, Child] = {}  # by process id: those that have not answered
        self._until = 0.0
        self._waiting: list[str] = []
        self._all_went_well = True

    def want(self) -> None:
        """Begin one as soon as that may be."""
        self._wanted = True

    def go_on(self, children: Iterable[Child], now: float) -> None:
        """What is due; `now`: seconds of a clock."""
        if self._asked and now >= self._until:
            for child in list(self._asked.values()):
                self.answered(child, f"it did not answer within {_PATIENCE_SECONDS:.0f} s")
        if self._wanted and not self._asked:
            self._wanted = False
            self._begin(children, now)

    def _begin(self, children: Iterable[Child], now: float) -> None:
        service_manager.reloading()
        name = self._configuration.name
        try:
            settings, self._waiting = keep_fixed(self.settings, self._configuration.read())
            adopts = [part(settings) for part in self._parts]
        except (ConfigError, StartError) as error:
            say_refused(name, str(error))
            self._over("refused")
            return
        for adopt in adopts:
            adopt()
        self.settings = settings
        self.handed.put(settings)
        self._all_went_well = True
        self._until = now + _PATIENCE_SECONDS
        self._asked = {child.pid: child for child in children}
        for child in list(self._asked.values()):
            if not child.link.tell_reload():
                self.answered(child, "it does not listen to its supervisor")
        self._end_if_all_answered()

    def answered(self, child: Child, why_not: str) -> None:
        """A process has the new settings, or says why it keeps the old ones."""
        if self._asked.pop(child.pid, None) is None:
            return
        if why_not:
            self._all_went_well = False
            name = self._configuration.name
            _log.error("%s keeps the old %s: %s", child.member.name, name, why_not)
        self._end_if_all_answered()

    def ended(self, child: Child) -> None:
        """A process is no more; its successor begins with the new settings."""
        self.answered(child, "")

    def _end_if_all_answered(self) -> None:
        if self._asked:
            return
        if self._all_went_well:
            say_reloaded(self._configuration.name, self._waiting)
        self._over("ok" if self._all_went_well else "refused")

    def _over(self, result: str) -> None:
        self._count(result)
        service_manager.ready()

    def close(self) -> None:
        """At the end."""
        self.handed.close()
