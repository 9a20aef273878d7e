"""An emulated KATA that can be away, answer with errors, or be slow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from bridge.emulator import Emulator, Memory
from bridge.emulator.app import Application
from tests.support.certificates import put_certificate

_DELAY = 0.05
_SLOW = 2.0  # below every `hold`


class Outage(StrEnum):
    """`DOWN`: nobody listens. `ERRORS`: every call gets 500. `SLOW`: verdicts take seconds."""

    DOWN = "down"
    ERRORS = "errors"
    SLOW = "slow"


class _Application(Application):
    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self.fails = False

    def answer(self, request: Request, peer: str) -> Response:
        return Response("broken", 500) if self.fails else super().answer(request, peer)


class Kata:
    """Serves while it is entered, on one address, outages or not."""

    def __init__(self, folder: Path) -> None:
        put_certificate(folder / "server.pem", folder / "server.key", "kata")
        self.memory = Memory(folder, delay=_DELAY)
        self._application = _Application(self.memory)
        self._running = Emulator(self.memory)
        self.url, self.certificate = self._running.url, self._running.certificate
        self._address = self._running.address

    def __enter__(self) -> Kata:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.stop()

    def _start(self) -> None:
        handler: Any = self._running._server.RequestHandlerClass
        handler.application = self._application
        self._running.start()

    def suffer(self, outage: Outage, wait: Callable[[], None]) -> None:
        """An outage that lasts for as long as `wait` takes."""
        with getattr(self, f"_{outage}")():
            wait()

    @contextlib.contextmanager
    def _down(self) -> Iterator[None]:
        self._running.stop()
        try:
            yield
        finally:
            self._listen_again()
            self._start()

    def _listen_again(self) -> None:
        end = time.monotonic() + 10
        while True:  # a connection to the port that is being opened may hold it for a moment
            try:
                self._running = Emulator(self.memory, self._address)
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        self._application.fails = True
        try:
            yield
        finally:
            self._application.fails = False

    @contextlib.contextmanager
    def _slow(self) -> Iterator[None]:
        self.memory.delay = _SLOW
        try:
            yield
        finally:
            self.memory.delay = _DELAY
