"""What a running `kata-bridge watch` tells of its folders: which they are, and what files meet.

A file that it cannot take lies in input whatever we find of the folder ourselves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.commands.checking.line import Line, failed, warning
from bridge.commands.checking.outages import told_outages
from bridge.commands.checking.pages import Page
from bridge.commands.checking.running import TooSlowError, within
from bridge.core import FolderSettings, OutageKind, printable

_AREA = "watch"
_SECONDS = 3.0
_RELOAD = "reload it (SIGHUP), and see in its log whether it refuses the configuration"
_SEE = "its log names the files; see rights, mount and room of the folder, and the lines above"
_OF_FOLDERS = (OutageKind.SHARE_GONE, OutageKind.TARGET_FAILING)

Told = dict[str, Mapping[str, Any]]


def told_folders(page: Page) -> Told | None:
    """By name what is told of each folder that is watched; None where nothing is."""
    entries = page.told.get("folders") if page.lives else None
    if not isinstance(entries, list):
        return None
    return {str(each.get("name")): each for each in entries if isinstance(each, dict)}


def compare(folders: Sequence[FolderSettings], told: Told) -> Iterator[Line]:
    """Where it watches others than the configuration has. Blocks: disk."""
    who = "`kata-bridge watch`"
    for folder in folders:
        watched = told.get(folder.name)
        if watched is None:
            yield failed(_AREA, f"{who} does not watch folder {folder.name} yet", _RELOAD)
        elif not _is_same(watched.get("input"), folder.input):
            sentence = f"{who} watches folder {folder.name} at {watched.get('input')}, and the "
            yield failed(_AREA, f"{sentence}configuration has {folder.input}", _RELOAD)
    names = {folder.name for folder in folders}
    for name, watched in told.items():
        if name not in names:
            where = f"folder {name} ({watched.get('input')})"
            sentence = f"{who} still watches {where}, which the configuration has no longer"
            yield failed(_AREA, sentence, _RELOAD)


def _is_same(told: object, ours: Path) -> bool:
    """A path of a program that was started with relative ones leads who knows where."""
    if not isinstance(told, str) or not told.startswith("/"):
        return True
    if os.path.normpath(told) == printable(os.path.abspath(ours)):  # noqa: PTH100 - no links
        return True
    try:
        return within(_SECONDS, os.path.samefile, told, ours)
    except TooSlowError:
        return True  # nobody knows
    except (OSError, ValueError):  # one of them is gone
        return False


def judge_files(page: Page, told: Told) -> Iterator[Line]:
    """What files of each folder meet, by its own word. Pure."""
    out = {
        outage.subject
        for outage in told_outages(page.told)
        if outage.kind in _OF_FOLDERS and outage.end is None
    }
    for name, watched in told.items():
        held, troubles = watched.get("held"), watched.get("troubles")
        count = held if isinstance(held, int) and held > 0 else 0
        said = "; ".join(map(str, troubles)) if isinstance(troubles, list) else ""
        if not count and not said:
            continue
        files = "1 file" if count == 1 else f"{count} files"
        does = f"keeps {files} in input" if count else "has trouble"
        bad = failed if said and (count or name in out) else warning
        sentence = f"`kata-bridge watch` {does}"
        yield bad(f"folder {name}", f"{sentence}: {said}" if said else sentence, _SEE)
