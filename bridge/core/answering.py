"""Questions to who may not answer: a share hangs for as long as its server is away."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Question(Generic[Answer]):
    """Asked at once, in a thread of its own that keeps nobody from ending.

    Nothing of pydantic's in it: a process that ends while such a thread runs crashes.
    """

    def __init__(self, ask: Callable[[], Answer]) -> None:
        """`ask` blocks, for how long nobody knows."""
        self._ask = ask
        self._found: Future[Answer] = Future()
        self._thread = threading.Thread(target=self._run, name="question", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found.set_result(self._ask())
        except Exception as error:  # for whoever asks
            self._found.set_exception(error)

    @property
    def is_open(self) -> bool:
        """Whether it still waits for its answer. Not in a forked process: there nobody asks."""
        return self._thread.is_alive() and not self._found.done()

    def answer(self, seconds: float) -> Answer:
        """The answer, or what `ask` raised; TimeoutError where there is none within `seconds`."""
        return self._found.result(max(0.0, seconds))

    async def wait(self) -> Answer:
        """The answer, or what `ask` raised, whenever that comes. Blocks nobody."""
        loop, found = asyncio.get_running_loop(), asyncio.Event()

        def tell(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has gone
                loop.call_soon_threadsafe(found.set)

        self._found.add_done_callback(tell)
        await found.wait()
        return self._found.result()
