"""Lines on their way from any thread to the one that delivers: memory first, then disk."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from itertools import islice

from bridge.core.siem.queue import BATCH_LINES, Batch, DiskQueue, QueueError

_log = logging.getLogger(__name__)

_MEMORY_LINES = 10_000
_MEMORY_BYTES = 16 << 20
_STORE_LINES = 1000
_RETRY_SECONDS = 5.0
_MEMORY = -1  # the generation of a batch that is in memory only


class LineBuffer:
    """Every line goes through the disk queue, so that a `kill -9` costs what came in just now.

    While the disk takes nothing, up to 10,000 lines (16 MiB) wait in memory and are delivered from
    there. What is full drops its oldest lines. One thread calls `store`, one `take`, and whoever
    takes a batch gives it back by `done` or `failed`.
    """

    def __init__(self, queue: DiskQueue, receiver: str = "syslog collector") -> None:
        """`receiver`: who gets the lines, for messages. Touches no disk."""
        self._queue = queue
        self._receiver = receiver
        self._changed = threading.Condition()
        self._changes = 0
        self._memory: deque[tuple[int, bytes]] = deque()
        self._memory_bytes = 0
        self._number = 0
        self._storing = False
        self._lent = False
        self._failing = False
        self._stopped = False
        self._dropped = 0
        self._dropped_now = 0

    @property
    def waiting(self) -> int:
        """Lines that are not delivered."""
        return len(self._memory) + self._queue.count

    @property
    def dropped(self) -> int:
        """Lines lost since the start."""
        return self._dropped

    def add(self, line: bytes) -> None:
        """Take a line; waits for neither disk nor network."""
        with self._changed:
            if self._stopped:
                self._dropped += 1
                return
            self._number += 1
            self._memory.append((self._number, line))
            self._memory_bytes += len(line)
            dropped = 0
            while self._is_too_much():
                self._forget_oldest()
                dropped += 1
            self._notify()
        self._note_dropped(dropped)

    def stop(self) -> None:
        """Take no more lines, and let `store` end once it has stored what it can."""
        with self._changed:
            self._stopped = True
            self._notify()

    # -- to the disk -------------------------------------------------------------------------------

    def store(self) -> None:
        """Bring lines from memory to the disk until `stop`. For a thread of its own."""
        while self._wait_to_store():
            try:
                with self._changed:
                    lines = list(islice(self._memory, _STORE_LINES))
                dropped = self._queue.put([line for _, line in lines])
            except QueueError as error:
                self._disk_failed(error)
                if not self._wait_to_retry():
                    return
            else:
                self._stored(lines[-1][0])
                self._note_dropped(dropped)

    def _wait_to_store(self) -> bool:
        """Wait for lines that may be stored; False where there are none and none will come."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lent and (self._memory or self._stopped))
            self._storing = bool(self._memory)
            return self._storing

    def _wait_to_retry(self) -> bool:
        """Wait for a while; False at the stop."""
        with self._changed:
            self._storing = False
            self._notify()
            return not self._changed.wait_for(lambda: self._stopped, _RETRY_SECONDS)

    def _stored(self, last: int) -> None:
        with self._changed:
            self._forget_to(last)
            self._storing = False
            recovered, self._failing = self._failing, False
            self._notify()
        if recovered:
            _log.warning(
                "the %s queue in %s can be written again", self._queue.name, self._queue.directory
            )

    def _disk_failed(self, error: QueueError) -> None:
        with self._changed:
            said, self._failing = self._failing or self._stopped, True
        if not said:
            _log.error(
                "the %s queue in %s cannot be used: %s; at most %d lines wait in memory",
                *(self._queue.name, self._queue.directory, error, _MEMORY_LINES),
            )

    # -- to the receiver ---------------------------------------------------------------------------

    def take(self, seconds: float, limit: int = BATCH_LINES) -> Batch | None:
        """The oldest lines, `limit` at most, waiting for some.

        None after `seconds`, or after the stop once nothing is left.
        """
        end = time.monotonic() + seconds
        while True:
            with self._changed:
                # before the look at the disk: what is stored after it is a change
                seen, over = self._changes, self._stopped and not self._memory
            batch = self._find(limit)
            if batch is not None or over or not self._wait_for_change(seen, end):
                return batch

    def _wait_for_change(self, seen: int, end: float) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: self._changes != seen, max(0.0, end - time.monotonic())
            )

    def done(self, batch: Batch) -> None:
        """The lines of a batch are delivered."""
        if batch.generation == _MEMORY:
            with self._changed:
                self._forget_to(batch.last)
            self.failed(batch)
        else:
            try:
                self._queue.remove(batch)
            except QueueError as error:
                self._disk_failed(error)
        if self._dropped_now and not self.waiting:
            _log.warning("%d lines for the %s were dropped", self._dropped_now, self._receiver)
            self._dropped_now = 0

    def failed(self, batch: Batch) -> None:
        """A batch was not delivered; `take` gives its lines again."""
        if batch.generation == _MEMORY:
            with self._changed:
                self._lent = False
                self._notify()

    def _find(self, limit: int) -> Batch | None:
        try:
            batch = self._queue.peek(limit)
        except QueueError as error:
            self._disk_failed(error)
            batch = None
        return batch or self._lend(limit)

    def _lend(self, limit: int) -> Batch | None:
        """Lines from memory, where the disk takes none: they are not stored meanwhile."""
        with self._changed:
            if not self._failing or self._storing or not self._memory:
                return None
            self._lent = True
            lines = list(islice(self._memory, limit))
        return Batch([line for _, line in lines], lines[-1][0], _MEMORY)

    # -- under the lock ----------------------------------------------------------------------------

    def _notify(self) -> None:
        self._changes += 1
        self._changed.notify_all()

    def _is_too_much(self) -> bool:
        lines = len(self._memory)
        return lines > _MEMORY_LINES or (self._memory_bytes > _MEMORY_BYTES and lines > 1)

    def _forget_to(self, last: int) -> None:
        while self._memory and self._memory[0][0] <= last:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._memory_bytes -= len(self._memory.popleft()[1])

    def _note_dropped(self, dropped: int) -> None:
        if not dropped:
            return
        with self._changed:
            first = not self._dropped_now
            self._dropped += dropped
            self._dropped_now += dropped
        if first:
            _log.error(
                "the %s queue in %s is full; the oldest lines are dropped",
                *(self._queue.name, self._queue.directory),
            )
