"""Hints that something happened in an input, so that it is looked at sooner. Never the truth:
a share tells nothing of what other machines write. Sub-folders are looked at by the clock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change, watch

from bridge.folder.places import OWN_PREFIX

_log = logging.getLogger(__name__)

_GATHER_MS = 50  # what happens together is one hint
_PAUSE = 5.0  # until a watch that failed is tried again


def is_news(root: Path, change: Change, path: str) -> bool:
    """Whether somebody else did it: our own claims are removals, and happen below our own name."""
    return change is not Change.deleted and not path.startswith(f"{root}/{OWN_PREFIX}")


async def watch_hints(root: Path, hint: Callable[[], None]) -> None:
    """Call `hint` when something changes in `root`, until cancelled."""
    loop, stop = asyncio.get_running_loop(), threading.Event()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has gone
            loop.call_soon_threadsafe(hint)

    # a thread that keeps nobody from ending: a share that hangs holds it up
    threading.Thread(target=_watch, args=(root, tell, stop), name="hints", daemon=True).start()
    try:
        await asyncio.Event().wait()
    finally:
        stop.set()


def _watch(root: Path, tell: Callable[[], None], stop: threading.Event) -> None:
    said = False
    while not stop.is_set():
        try:
            # not recursive: it would follow links out of the input
            for _ in watch(
                root,
                recursive=False,
                watch_filter=lambda change, path: is_news(root, change, path),
                debounce=_GATHER_MS,
                step=_GATHER_MS,
                stop_event=stop,
                raise_interrupt=False,
            ):
                tell()
        except Exception as error:  # the clock is the truth: no fault of a hint is worth an end
            # it is away, the system has no more watches, or a name was not UTF-8
            if not said:
                _log.info("%s: no hints for now (%s): it is looked at by the clock", root, error)
            said = True
            tell()
        stop.wait(_PAUSE)
