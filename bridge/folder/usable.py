"""Whether configured folders can be used at all. Blocks: disk."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from bridge.core import FolderSettings, Question, Settings, StartError
from bridge.folder.mounts import NOTHING_THERE, SamePlace

PATIENCE_SECONDS = 5.0  # less than a reload has
NO_FOLDER = "no folder is configured (folders)."


def try_out(settings: Settings) -> None:
    """Refuse, by a StartError, settings that the folder door could not begin with. Blocks: disk."""
    if not settings.folders:
        raise StartError(NO_FOLDER)
    check_usable(settings.folders)


def check_usable(
    folders: Sequence[FolderSettings], place: Callable[[Path], SamePlace] = SamePlace
) -> None:
    """StartError where one of their places cannot be used. `place`: what is known of a path.

    A share that is not mounted, or does not answer, is waited for.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    questions = [Question(partial(_check_places, folder, place)) for folder in folders]
    for question in questions:
        with contextlib.suppress(TimeoutError):
            question.answer(until - time.monotonic())


def _check_places(folder: FolderSettings, place: Callable[[Path], SamePlace]) -> None:
    for key in ("input", "output", "quarantine"):
        _check_folder(place(getattr(folder, key)), f"(folders, {folder.name}: {key})")


def _check_folder(place: SamePlace, where: str) -> None:
    path = place.root
    try:
        place.check()
        usable = os.access(path, os.R_OK | os.W_OK | os.X_OK)
    except OSError as error:
        if error.errno in NOTHING_THERE:
            raise StartError(f"{path} is no folder {where}.") from None
        if error.errno != errno.EACCES:
            return  # its first look says why
        usable = False
    if not usable:
        raise StartError(f"{path} must be readable and writable for this service {where}.")
