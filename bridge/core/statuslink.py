"""The process that answers for a daemon: status page, /metrics, /health, /ready.

It is a process of its own, so that no reader of the page, however many or slow, and no search
through the history costs a request of a proxy any time. It asks by a byte over a socket; the answer
is one line of JSON, `{"figures": [families], "facts": [one mapping a process], "answers": how many
bytes were read by then}`. A daemon that does not answer is not well. The end of the socket is the
end of either: the process goes with its daemon, and is replaced when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from bridge.core.opening import StartError, cannot_listen
from bridge.core.reloading import Prepare
from bridge.core.settings import Settings
from bridge.core.units import Address

if TYPE_CHECKING:
    from bridge.core.engine import Core

_log = logging.getLogger(__name__)

_TICK = 1.0
_FIRST_PAUSE = 1.0
_MAX_PAUSE = 60.0
_YOUNG = 60.0  # seconds; who dies older is replaced at once
_STOP_SECONDS = 3.0
_BUFFER = 1 << 20
_RECEIVE = 4096
_BACKLOG = 64

Report = dict[str, Any]
Watch = Callable[[socket.socket, Callable[[], None]], object]


class StatusProcess:
    """Listens at `address` and has a process of its own answer there: `start`, `tick`, at the end
    `let_go` and `wait`.

    Belongs to one thread, whose loop watches the socket by `watch` and `unwatch`.
    """

    def __init__(  # noqa: PLR0913 - what it answers for, and the loop it lives in
        self,
        settings: Settings,
        program: str,
        address: Address,
        service_log: str,
        *,
        report: Callable[[], Report],
        watch: Watch,
        unwatch: Callable[[socket.socket], object],
    ) -> None:
        """StartError where the address cannot be had.

        `program`: `icapd` or `watch`; `service_log`: its log, in `logs.dir` where it is no path.
        """
        self._settings = settings
        self._program = program
        self._service_log = service_log
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            self._listener = socket.create_server(address, family=family, backlog=_BACKLOG)
        except OSError as error:
            sentence = cannot_listen(address, "status", error)
            more = f"Name another with status.{program}, or null for none."
            raise StartError(f"{sentence} {more}") from None
        self._report = report
        self._watch = watch
        self._unwatch = unwatch
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._rest = b""
        self._questions = self._answered = 0
        self._started = self._start_at = 0.0
        self._pause = _FIRST_PAUSE
        self._renews = False
        self._kill_at = 0.0

    def start(self) -> None:
        """Start the process; one that cannot be started is tried again."""
        self._started = time.monotonic()
        try:
            ours = self._start()
        except OSError as error:  # no descriptor, no memory or no process is left
            self._later(f"cannot be started: {error.strerror}")
            return
        self._socket, self._rest = ours, b""
        self._questions = self._answered = 0
        self._watch(ours, self._asked)

    def _start(self) -> socket.socket:
        """Our end of the pair; OSError leaves nothing open."""
        ours, theirs = socket.socketpair()
        try:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            ours.setblocking(False)
            plan = self._write_plan()
            try:
                given = (self._listener.fileno(), theirs.fileno(), plan)
                command = [sys.executable, "-m", "bridge.status", *map(str, given)]
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=given)
            finally:
                os.close(plan)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def _write_plan(self) -> int:
        """The descriptor of what the process has to know."""
        data = pickle.dumps((self._settings, self._program, self._service_log))
        plan = os.memfd_create("katabridge-status")
        try:
            with os.fdopen(os.dup(plan), "wb") as file:
                file.write(data)
            os.lseek(plan, 0, os.SEEK_SET)
        except OSError:
            os.close(plan)
            raise
        return plan

    def use(self, settings: Settings) -> None:
        """Answer by these settings; a process that goes by others is replaced within seconds."""
        before, self._settings = self._settings, settings
        if _shown(before) != _shown(settings) and self._socket is not None:
            self._renews = True
            self._kill_at = time.monotonic() + _STOP_SECONDS
            self._lost()

    def tick(self) -> None:
        """What is due each second: the rest of an answer, a process in place of one that died."""
        if self._socket is not None:
            self._send()
        elif self._process is not None:
            code = self._process.poll()
            if code is not None and self._renews:
                self._renews = False
                self.start()
            elif self._renews and time.monotonic() >= self._kill_at:
                self._process.kill()
            elif code is not None:
                self._process = None
                how = f"exit code {code}" if code >= 0 else f"signal {-code}"
                self._later(f"ended with {how}")
        elif time.monotonic() >= self._start_at:
            self.start()

    def _later(self, what: str) -> None:
        young = time.monotonic() - self._started < _YOUNG
        pause = self._pause if young else 0.0
        self._pause = min(pause * 2, _MAX_PAUSE) if young else _FIRST_PAUSE
        self._start_at = time.monotonic() + pause
        _log.error("the process of the status page %s; it is replaced in %.0f s", what, pause)

    def _asked(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is watched no longer than it is there
        try:
            data = self._socket.recv(_RECEIVE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        self._questions += len(data)
        self._send()

    def _send(self) -> None:
        """What is left of an answer; then one for all that was asked meanwhile."""
        if not self._rest and self._answered < self._questions:
            self._answered = self._questions
            report = self._report() | {"answers": self._answered}
            self._rest = json.dumps(report, separators=(",", ":")).encode() + b"\n"
        if self._rest and self._socket is not None:
            try:
                self._rest = self._rest[self._socket.send(self._rest) :]
            except BlockingIOError:
                return
            except OSError:
                self._rest = b""  # its end is read in a moment

    def _lost(self) -> None:
        if self._socket is not None:
            self._unwatch(self._socket)
            self._socket.close()
            self._socket = None

    def forget(self) -> None:
        """In a forked child: close what is the parent's."""
        self._listener.close()
        if self._socket is not None:
            self._socket.close()

    def let_go(self) -> None:
        """Listen no longer, and let the process end."""
        self._lost()
        self._listener.close()

    def wait(self) -> None:
        """Return when the process has ended. Blocks: a moment, three seconds at most."""
        process, self._process = self._process, None
        if process is not None:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _shown(settings: Settings) -> tuple[object, ...]:
    """All that the page goes by."""
    icap = settings.icap
    return (settings.status, settings.logs, settings.spool, settings.verdicts, icap.services)


@contextlib.asynccontextmanager
async def status_of(
    core: Core, program: str, address: Address | None, service_log: str
) -> AsyncIterator[Prepare]:
    """Answer for this process at `address`, if anywhere, as long as this lasts. StartError."""
    if address is None:
        yield lambda settings: lambda: None
        return
    loop = asyncio.get_running_loop()
    process = StatusProcess(
        core.settings,
        program,
        address,
        service_log,
        report=lambda: {"figures": core.reporter.figures(), "facts": [core.reporter.facts()]},
        watch=loop.add_reader,
        unwatch=loop.remove_reader,
    )
    core.reporter.add_gauges()
    core.metrics.registry.register(core.events)
    process.start()
    ticking = asyncio.create_task(_tick(process), name="status")
    try:
        yield lambda settings: lambda: process.use(settings)
    finally:
        ticking.cancel()
        process.let_go()
        await asyncio.to_thread(process.wait)


async def _tick(process: StatusProcess) -> None:
    while True:
        await asyncio.sleep(_TICK)
        process.tick()
