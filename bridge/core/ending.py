"""The end of a process, also where threads hang: a share that does not answer holds those on it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import _worker

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 5.0  # for threads that are about to end


class Ending:
    """Ends a process whose work is done; Python itself would wait for each thread, however long."""

    def __init__(self, runner: asyncio.Runner) -> None:
        """`runner`: that is about to begin."""
        self._runner = runner
        self._before = set(threading.enumerate())
        self._pool = ThreadPoolExecutor(thread_name_prefix="asyncio")
        runner.get_loop().set_default_executor(self._pool)

    def end(self, code: int) -> None:
        """Close the runner; where threads hang end the process with `code` here."""
        if self._threads_end():
            self._runner.close()
            return
        _leave(code)

    def end_soon(self, code: int) -> None:
        """The same where the process fails: there is time to say so before it is ended."""
        if self._threads_end():
            self._runner.close()
            return
        timer = threading.Timer(PATIENCE_SECONDS, _leave, [code])
        timer.daemon = True
        timer.start()

    def _threads_end(self) -> bool:
        self._pool.shutdown(wait=False)
        until = time.monotonic() + PATIENCE_SECONDS
        ours = [each for each in threading.enumerate() if each not in self._before]
        hanging = []
        for thread in ours:
            if thread.daemon or _is_idle(thread):
                continue  # Python waits for none of these, or ends them itself
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive() and not _is_idle(thread):
                hanging.append(thread.name)
        if hanging:
            _log.warning(
                "ends without waiting for threads that hang: %s", ", ".join(sorted(hanging))
            )
        return not hanging


def _is_idle(thread: threading.Thread) -> bool:
    """Whether it waits for work, of a pool that nobody has shut down."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code is _worker.__code__


def _leave(code: int) -> None:
    """What was written is written; no thread gets a chance to go on."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
