"""Hints that something happened in an input, so that it is looked at sooner. Never the truth:
a share tells nothing of what other machines write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from watchfiles import Change, awatch

from bridge.folder.places import OWN_PREFIX

_log = logging.getLogger(__name__)

_GATHER_MS = 50  # what happens together is one hint
_PAUSE = 5.0  # until a watch that failed is tried again


def is_news(root: Path, change: Change, path: str) -> bool:
    """Whether somebody else did it: our own claims are removals, and happen below our own name."""
    return change is not Change.deleted and not path.startswith(f"{root}/{OWN_PREFIX}")


async def watch_hints(root: Path, *, recursive: bool, hint: Callable[[], None]) -> None:
    """Call `hint` when something changes below `root`, until cancelled."""
    said = False
    while True:
        try:
            async for _ in awatch(
                root,
                recursive=recursive,
                watch_filter=lambda change, path: is_news(root, change, path),
                debounce=_GATHER_MS,
                step=_GATHER_MS,
            ):
                hint()
        except Exception as error:  # the clock is the truth: no fault of a hint is worth an end
            # it is away, the system has no more watches, or a name was not UTF-8
            if not said:
                _log.info("%s: no hints for now (%s): it is looked at by the clock", root, error)
            said = True
            hint()
        await asyncio.sleep(_PAUSE)
