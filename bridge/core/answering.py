"""Questions to a disk that may not answer: a share hangs for as long as its server is away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Question(Generic[Answer]):
    """Asked at once, in a thread of its own that keeps nobody from ending."""

    def __init__(self, ask: Callable[[], Answer]) -> None:
        """`ask` blocks, for how long nobody knows."""
        self._ask = ask
        self._found: list[Answer] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="question", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found.append(self._ask())
        except Exception as error:  # for whoever asks
            self._error = error

    @property
    def is_open(self) -> bool:
        """Whether it still waits for its answer. Not in a forked process: there nobody asks."""
        return self._thread.is_alive()

    def answer(self, seconds: float) -> Answer:
        """The answer, or what `ask` raised; TimeoutError where there is none within `seconds`."""
        self._thread.join(max(0.0, seconds))
        if self._error is not None:
            raise self._error
        if not self._found:
            raise TimeoutError
        return self._found[0]
