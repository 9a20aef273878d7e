"""When something was broken on purpose: what fails then is explained."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Troubles:
    """Spans of time (monotonic seconds) in which a failure has a known reason."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """A span: from now until the block is left."""
        with self._lock:
            self.spans.append((time.monotonic(), float("inf")))
            at = len(self.spans) - 1
        try:
            yield
        finally:
            with self._lock:
                self.spans[at] = (self.spans[at][0], time.monotonic())

    def explain(self, began: float, ended: float) -> bool:
        """Whether what was under way then may have failed for a reason of ours."""
        with self._lock:
            return any(start <= ended and began <= end for start, end in self.spans)
