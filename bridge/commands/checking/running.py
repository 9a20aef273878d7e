"""Looks that may hang: each runs in a thread that nobody waits for longer than it is given.

The threads are daemons: one that hangs in a dead share does not keep the command from ending.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

from bridge.commands.checking.line import Line, failed

P = ParamSpec("P")
T = TypeVar("T")


class TooSlowError(Exception):
    """Something did not answer in time."""


def begin(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Future[T]:
    """Run it in a thread of its own."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:  # it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="check", daemon=True).start()
    return future


def within(seconds: float, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Its result, or what it raises; TooSlowError where neither is there in time."""
    return result_within(seconds, begin(work, *arguments, **named))


def result_within(seconds: float, future: Future[T]) -> T:
    """The result of what was begun; as `within`."""
    try:
        return future.result(max(0.0, seconds))
    except TimeoutError:
        if future.done():
            raise  # its own: a socket's
        raise TooSlowError from None


class Running:
    """One look that has begun; its lines can be had as they are found."""

    def __init__(self, area: str, work: Callable[[], Iterable[Line]], seconds: float) -> None:
        """`seconds`: how long it may take, from now on."""
        self.area = area
        self.overran = False
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._found: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(work,), name=area, daemon=True).start()

    def lines(self) -> Iterator[Line]:
        """What is found; the last one says so where it was not done in time."""
        while True:
            try:
                line = self._found.get(timeout=max(0.001, self._end - time.monotonic()))
            except queue.Empty:
                self.overran = True
                yield failed(
                    self.area,
                    f"it did not answer within {self._seconds:.0f} s",
                    "see whether a disk, a share or a server that it needs hangs",
                )
                return
            if line is None:
                return
            yield line

    def _run(self, work: Callable[[], Iterable[Line]]) -> None:
        try:
            for line in work():
                self._found.put(line)
        except Exception as error:  # a doctor does not die of what he sees
            kind = type(error).__name__
            sentence = f"it could not be looked at: {kind}: {error}"
            self._found.put(failed(self.area, sentence, "report this as a fault of katabridge"))
        self._found.put(None)
