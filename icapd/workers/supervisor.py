"""The process that starts the workers, replaces those that die, and stops them."""

from __future__ import annotations

import logging
import selectors
import signal
import socket
import time
from collections.abc import Sequence
from typing import Any

from bridge.core import (
    VERDICT_LOG,
    Address,
    Adopt,
    Configuration,
    Gathered,
    Metrics,
    ServiceOutages,
    Settings,
    StartError,
    StatusProcess,
    follow,
    leave_alone_what_is_there,
    service_manager,
    start_log,
    take_hangup,
    to_plain,
)
from icapd.door import places
from icapd.workers import worker
from icapd.workers.children import Child, Children
from icapd.workers.figures import SupervisionFigures
from icapd.workers.forking import Signals
from icapd.workers.ports import close_all, reserve
from icapd.workers.reloading import ServiceReload
from icapd.workers.supervision import End, Member, Next, Supervision

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_SILENT_SECONDS = 5.0  # a worker tells its figures every second
_HANG_SECONDS = 30.0  # then it has let proxies wait for long; sooner by a shorter watchdog
_STOP_SECONDS = 20.0  # a worker needs 14 at most
_EXIT_KILLED = 1


def supervise(settings: Settings, configuration: Configuration, orphans: Sequence[int]) -> int:
    """Run `settings.icap.workers` workers until SIGTERM or SIGINT; the exit code.

    `configuration`: where SIGHUP finds new settings. `orphans`: numbers of workers that there are
    no longer, whose work is ended. StartError where the service cannot start. The caller has one
    thread, and no loop that runs.
    """
    service_manager.join()
    service = _Service(settings, configuration, orphans)
    try:
        return service.run()
    finally:
        service.close()


class _Service:
    def __init__(
        self, settings: Settings, configuration: Configuration, orphans: Sequence[int]
    ) -> None:
        self._supervision = Supervision(settings.icap.workers, orphans)
        self._failure: str | None = None
        self._kill_at: float | None = None  # set: it stops
        self._code = 0
        self._catch_up_at = 0.0
        self._log = start_log(settings, VERDICT_LOG)
        self._selector = selectors.DefaultSelector()
        self._ports: list[socket.socket] = []
        self._status: StatusProcess | None = None
        # of each child, by its process id: when it told them (monotonic), and its facts
        self._facts: dict[int, tuple[float, dict[str, Any]]] = {}
        metrics = Metrics()
        metrics.registry.register(SupervisionFigures(self._supervision))
        self._outages = ServiceOutages(time.time())
        metrics.registry.register(self._outages)
        self._gathered = Gathered(metrics.registry)
        self._signals = Signals()
        self._children = Children(
            self._signals,
            self._selector,
            run=self._run_child,
            forget=self._forget,
            tell=self._hear,
            patience=min(_HANG_SECONDS, service_manager.watchdog or _HANG_SECONDS),
        )
        self._reload = ServiceReload(
            settings,
            configuration,
            [follow(self._log), self._prepare_status],
            fork=self._children.fork,
            selector=self._selector,
            count=metrics.count_reloads(),
        )

    def _run_child(self, member: Member, sock: socket.socket) -> int:
        return worker.run(self._settings, member, sock, self._reload.handed)

    @property
    def _settings(self) -> Settings:
        return self._reload.settings

    def _prepare_status(self, settings: Settings) -> Adopt:
        status = self._status
        return lambda: None if status is None else status.use(settings)

    def run(self) -> int:
        self._ports = reserve(self._settings.icap)
        address = self._settings.status.icapd
        if address is not None:
            self._status = self._status_process(address)
        self._selector.register(self._signals.readable, selectors.EVENT_READ, self._signalled)
        if take_hangup():
            self._reload.want()
        leave_alone_what_is_there()  # or each worker's first full collection copies all of it
        self._start_due()
        while self._children or self._kill_at is None:
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._signalled()  # before a death that it may explain
            self._end_those_who_died()
            self._start_due()
            self._catch_up()
            if self._kill_at is None and self._supervision.up:
                self._reload.go_on(self._children.all(), time.monotonic())
            self._kill_the_silent()
            self._kill_the_late()
            service_manager.beat()
        if self._failure is not None:
            raise StartError(self._failure)
        _log.warning("icapd has stopped")
        return self._code

    def _status_process(self, address: Address) -> StatusProcess:
        return StatusProcess(
            self._settings,
            "icapd",
            address,
            VERDICT_LOG,
            report=self._report,
            watch=lambda sock, call: self._selector.register(sock, selectors.EVENT_READ, call),
            unwatch=self._selector.unregister,
        )

    def _report(self) -> dict[str, Any]:
        """Facts are those of workers that still tell them: one that hangs serves nobody."""
        oldest = time.monotonic() - _SILENT_SECONDS
        return {
            "figures": to_plain(self._gathered.collect()),
            "facts": [facts for told, facts in self._facts.values() if told >= oldest],
        }

    def _patience(self) -> float:
        look = min(_LOOK_SECONDS, service_manager.pause or _LOOK_SECONDS)
        due = self._supervision.next_at()
        if due is None:
            return look
        return min(look, max(0.0, due - time.monotonic()))

    # -- members -------------------------------------------------------------------------------

    def _start_due(self) -> None:
        if self._kill_at is not None:
            return
        for member in self._supervision.due(time.monotonic()):
            self._supervision.started(member, time.monotonic())
            try:
                self._children.start(member)
            except OSError as error:
                self._ended(member, End(1, f"no process can be started: {error.strerror}."))

    def _hear(self, child: Child, kind: str, what: Any) -> None:
        if kind == "report":
            self._gathered.tell(child.pid, what["figures"])
            self._facts[child.pid] = time.monotonic(), what["facts"]
            self._outages.tell(what["facts"])
        elif kind == "fails":
            child.sentence = what
        elif kind == "reloaded":
            self._reload.answered(child, what["number"], what["why_not"])
        elif kind == "listens":
            self._listens(child.member)

    def _listens(self, member: Member) -> None:
        icap = self._settings.icap
        if self._supervision.listens(member):
            where = places(icap.listen, icap.tls.listen if icap.tls is not None else [])
            words = "icapd listens %s; services: %s; workers: %d"
            _log.warning(words, where, ", ".join(icap.services), icap.workers)
            service_manager.ready(f"listens {where}; workers: {icap.workers}")
        elif member.starts > 1:
            _log.warning("%s works again", member.name)

    def _end_those_who_died(self) -> None:
        for child, end in list(self._children.reap()):
            self._gathered.retire(child.pid)
            if told := self._facts.pop(child.pid, None):
                self._outages.ends(told[1]["instance"])
            self._reload.ended(child)
            self._ended(child.member, end)

    def _ended(self, member: Member, end: End) -> None:
        following = self._supervision.ended(member, end, time.monotonic())
        if self._kill_at is not None:
            return
        if following is Next.SERVICE_FAILS:
            self._failure = end.sentence or f"{member.name} {_how(end)} before it listened."
            self._stop()
        elif following is Next.REPLACED:
            pause = max(0.0, member.at - time.monotonic())
            when = f"in {pause:.0f} s" if pause else "now"
            why = f": {end.sentence}" if end.sentence else "."
            _log.error("%s %s%s It is replaced %s", member.name, _how(end), why, when)

    # -- the end -------------------------------------------------------------------------------

    def _signalled(self) -> None:
        numbers = self._signals.read()
        if self._kill_at is None and signal.SIGHUP in numbers:
            self._reload.want()
        if self._kill_at is None and numbers & {signal.SIGTERM, signal.SIGINT}:
            _log.warning("icapd stops")
            self._stop()

    def _stop(self) -> None:
        self._kill_at = time.monotonic() + _STOP_SECONDS
        service_manager.stopping()
        self._reload.stop()
        self._children.signal(signal.SIGTERM)

    def _kill_the_silent(self) -> None:
        if self._kill_at is not None:
            return
        for member in self._children.kill_the_silent(time.monotonic()):
            self._supervision.hangs += 1
            _log.error("%s hangs: it has said nothing for long, and is killed", member.name)

    def _kill_the_late(self) -> None:
        if self._kill_at is None or time.monotonic() < self._kill_at:
            return
        for member in self._children.signal(signal.SIGKILL):
            words = (
                "%s does not stop within %.0f s: it is killed, and what it has under way is cut off"
            )
            _log.error(words, member.name, _STOP_SECONDS)
            self._code = _EXIT_KILLED
        self._kill_at += _STOP_SECONDS

    def _catch_up(self) -> None:
        now = time.monotonic()
        if now >= self._catch_up_at:
            self._catch_up_at = now + _LOOK_SECONDS
            self._log.catch_up()
            if self._status is not None:
                self._status.tick()

    def _forget(self) -> None:
        service_manager.leave()
        self._reload.forget()
        self._log.take_waiting()  # they are the supervisor's to write
        if self._status is not None:
            self._status.forget()
        self._close_files()

    def _close_files(self) -> None:
        """What is not a child's."""
        close_all(self._ports)
        self._selector.close()
        self._log.close()

    def close(self) -> None:
        """Close everything."""
        if self._status is not None:
            self._status.let_go()
            self._status.wait()
        self._close_files()
        self._signals.close()
        self._reload.close()


def _how(end: End) -> str:
    if end.code < 0:
        return f"was ended by {signal.Signals(-end.code).name}"
    return f"ended with exit code {end.code}"
