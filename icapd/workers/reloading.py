"""A reload of a service of several workers: read and tried once, put in force in each of them."""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable, Iterable

from bridge.core import (
    Configuration,
    Prepare,
    Settings,
    StartError,
    keep_fixed,
    say_refused,
    say_reloaded,
    service_manager,
)
from icapd.door import try_out
from icapd.workers.children import Child
from icapd.workers.handed import Handed
from icapd.workers.reading import Fork, SettingsReader, Wanted

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 15.0


class ServiceReload:
    """One at a time; who asks meanwhile gets another one after it.

    `settings`: those in force, of the whole service. `go_on` does what is due.
    """

    def __init__(  # noqa: PLR0913 - what it is of, and the loop it lives in
        self,
        settings: Settings,
        configuration: Configuration,
        parts: Iterable[Prepare],
        *,
        fork: Fork,
        selector: selectors.BaseSelector,
        count: Callable[[str], None],
    ) -> None:
        """`parts`: of the supervisor itself. `count` is told `ok` or `refused` of each reload."""
        self.settings = settings
        self.handed = Handed()
        self._configuration = configuration
        self._parts = list(parts)
        self._fork = fork
        self._selector = selector
        self._count = count
        self._wanted = False
        self._reader: SettingsReader | None = None
        self._closed: list[SettingsReader] = []  # those that are not quite gone
        self._number = 0  # of what was handed last
        self._asked: dict[int, Child] = {}  # by process id: those that have not answered
        self._late: set[int] = set()  # those that are not waited for any longer
        self._until = 0.0
        self._waiting: list[str] = []
        self._all_went_well = True

    def want(self) -> None:
        """Begin one as soon as that may be."""
        self._wanted = True

    def go_on(self, children: Iterable[Child], now: float) -> None:
        """What is due; `now`: seconds of a clock."""
        self._closed = [reader for reader in self._closed if not reader.is_gone()]
        late = now >= self._until
        if self._reader is not None:
            self._look(self._reader, children, now, late=late)
        for child in list(self._asked.values()) if late else ():
            self._give_up(child, f"it did not answer within {_PATIENCE_SECONDS:.0f} s")
        if self._wanted and self._reader is None and not self._asked:
            self._wanted = False
            self._begin(now)

    def _begin(self, now: float) -> None:
        service_manager.reloading()
        self._until = now + _PATIENCE_SECONDS
        try:
            self._reader = SettingsReader(self._read, self._fork)
        except OSError as error:
            self._refused(f"no process can be started: {error.strerror}")
            return
        self._selector.register(self._reader.socket, selectors.EVENT_READ, lambda: None)

    def _read(self) -> Wanted:
        """In a process of its own: all that looks at a disk."""
        wanted = self._configuration.read()
        try_out(wanted)
        kept = Wanted(*keep_fixed(self.settings, wanted))
        if kept.settings.icap.tls != wanted.icap.tls:
            _try_kept(kept.settings)
        return kept

    def _look(
        self, reader: SettingsReader, children: Iterable[Child], now: float, *, late: bool
    ) -> None:
        found = reader.result()
        if found is None and not late:
            return
        self._let_go(reader)
        if isinstance(found, Wanted):
            self._hand(found, children, now)
        else:
            words = f"a disk did not answer within {_PATIENCE_SECONDS:.0f} s"
            self._refused(words if found is None else found)

    def _let_go(self, reader: SettingsReader) -> None:
        self._selector.unregister(reader.socket)
        reader.close()
        self._closed.append(reader)
        self._reader = None

    def _hand(self, wanted: Wanted, children: Iterable[Child], now: float) -> None:
        settings, self._waiting = wanted
        try:
            adopts = [part(settings) for part in self._parts]
            number = self.handed.put(settings)
        except StartError as error:
            self._refused(str(error))
            return
        except OSError as error:
            self._refused(f"it cannot be handed to the workers: {error.strerror}")
            return
        for adopt in adopts:
            adopt()
        self.settings, self._number = settings, number
        self._late.clear()
        self._all_went_well = True
        self._until = now + _PATIENCE_SECONDS
        asked = list(children)
        self._asked = {child.pid: child for child in asked}
        if not asked:
            self._end()
        for child in asked:
            if not child.link.tell_reload():
                self._give_up(child, "it does not listen to its supervisor")

    def _refused(self, why: str) -> None:
        say_refused(self._configuration.name, why)
        self._over("refused")

    def answered(self, child: Child, number: int, why_not: str) -> None:
        """A process has the settings of that number, or says why it keeps those before.

        Who is late is heard, and changes no count; an answer to an earlier reload is no answer: who
        gives it has been asked for the present one, too.
        """
        if number != self._number:
            return
        is_late = child.pid in self._late
        if not is_late and child.pid not in self._asked:
            return
        self._late.discard(child.pid)
        name, who = self._configuration.name, child.member.name
        if why_not:
            _log.error("%s keeps the old %s: %s", who, name, why_not.rstrip("."))
        elif is_late:
            _log.warning("%s has the new %s now", who, name)
        self._done(child, went_well=not why_not)

    def _give_up(self, child: Child, why: str) -> None:
        """Wait for it no longer: it may take them all the same, later."""
        words = "%s does not have the new %s yet: %s"
        _log.error(words, child.member.name, self._configuration.name, why)
        self._late.add(child.pid)
        self._done(child, went_well=False)

    def ended(self, child: Child) -> None:
        """A process is no more; its successor begins with the new settings."""
        self._late.discard(child.pid)
        self._done(child, went_well=True)

    def _done(self, child: Child, *, went_well: bool) -> None:
        if self._asked.pop(child.pid, None) is None:
            return
        self._all_went_well &= went_well
        if not self._asked:
            self._end()

    def stop(self) -> None:
        """The service stops: what is under way is given up, and nothing is begun any more."""
        self._wanted = False
        if self._reader is not None:
            self._let_go(self._reader)
            say_refused(self._configuration.name, "the program stops")
        for child in self._asked.values():
            words = "%s may not have the new %s: the program stops"
            _log.warning(words, child.member.name, self._configuration.name)
        self._asked.clear()
        self._late.clear()

    def _end(self) -> None:
        if self._all_went_well:
            say_reloaded(self._configuration.name, self._waiting)
        self._over("ok" if self._all_went_well else "refused")

    def _over(self, result: str) -> None:
        self._count(result)
        service_manager.ready()

    def forget(self) -> None:
        """In a forked child: close what is the parent's."""
        if self._reader is not None:
            self._reader.socket.close()

    def close(self) -> None:
        """At the end."""
        if self._reader is not None:
            self._reader.close()
        self.handed.close()


def _try_kept(settings: Settings) -> None:
    """A worker that is replaced reads the files of what waits for a restart; StartError."""
    try:
        try_out(settings)
    except StartError as error:
        raise StartError(
            f"{error} It counts until a restart, and a worker that is replaced reads it then: put "
            "it back, or restart."
        ) from None
