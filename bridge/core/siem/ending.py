"""How a delivery of lines by threads ends: what can go out goes, the rest stays and is said."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from bridge.core.siem.buffer import LineBuffer
from bridge.core.siem.queue import DiskQueue

_log = logging.getLogger(__name__)

_END_SECONDS = 0.5


def end_delivery(  # noqa: PLR0913, PLR0917 - what a delivery is made of
    what: str,
    buffer: LineBuffer,
    queue: DiskQueue,
    threads: Sequence[threading.Thread],
    abort: Callable[[], None],
    seconds: float,
) -> None:
    """Deliver for at most `seconds` what waits; the rest stays on disk. Blocks.

    `what`: of which kind, and for whom, as in `lines for the syslog collector X`. `abort` makes
    fail what a thread does with its receiver then.
    """
    end = time.monotonic() + seconds
    buffer.stop()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    abort()
    for thread in threads:
        thread.join(_END_SECONDS)
    queue.close()
    if queue.count:
        where = queue.directory
        _log.warning("%d %s wait in %s for the next start", queue.count, what, where)
    lost = buffer.waiting - queue.count
    if lost:
        _log.error("%d %s are lost", lost, what)
