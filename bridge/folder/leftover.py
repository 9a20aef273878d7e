"""What lies in the folders of cases, where claimed files are. Blocks: disk.

One of them that fails keeps nobody from the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from bridge.folder.listing import DEEPEST
from bridge.folder.mounts import NOTHING_THERE, AwayError, SamePlace
from bridge.folder.places import folder, remove_empty


class LeftOver(NamedTuple):
    """Claimed files by case and path; by case why it cannot be read; cases not looked at yet."""

    files: list[tuple[str, str]]
    unread: dict[str, OSError]
    rest: frozenset[str]


def list_cases(place: SamePlace, own: list[str], cases: Sequence[str], most: int) -> LeftOver:
    """The claimed files of some cases, at most so many; AwayError."""
    found: list[tuple[str, str]] = []
    unread: dict[str, OSError] = {}
    for number, case_id in enumerate(cases):
        try:
            for path in _files(place, [*own, case_id]):
                if len(found) == most:
                    return LeftOver(found, unread, frozenset(cases[number:]))
                found.append((case_id, path))
        except AwayError:
            raise
        except OSError as error:
            unread[case_id] = error
    return LeftOver(found, unread, frozenset())


def _files(place: SamePlace, top: list[str]) -> Iterator[str]:
    for above in _tree(place, top):
        for name in entries(place, above, os.DirEntry.is_file):
            yield "/".join([*above[len(top) :], name])


def remove_empty_case(place: SamePlace, top: list[str]) -> None:
    """Remove the folder of a case as far as no file is in it; one that cannot be read stays."""
    try:
        found = list(_tree(place, top))
    except AwayError:
        raise
    except OSError:
        return
    for parts in reversed(found):  # those inside first
        remove_empty(place, parts, len(parts) - 1)


def _tree(place: SamePlace, top: list[str]) -> Iterator[list[str]]:
    """A folder of ours and all in it, each before those inside it.

    No input is taken deeper than that: what strangers put there would take all our time.
    """
    pending = [top]
    while pending:
        parts = pending.pop()
        yield parts
        if len(parts) - len(top) < DEEPEST:
            pending += [[*parts, each] for each in entries(place, parts, os.DirEntry.is_dir)]


def entries(place: SamePlace, parts: list[str], kind: Callable[..., bool]) -> list[str]:
    """What lies in one of our folders; nothing where strangers made something else of it.

    OSError, with its path, where it cannot be read: what lies there must not count as gone.
    """
    try:
        with folder(place, parts) as descriptor, os.scandir(descriptor) as found:
            return [entry.name for entry in found if kind(entry, follow_symlinks=False)]
    except AwayError:
        raise
    except OSError as error:
        if error.errno in NOTHING_THERE:
            return []
        where = str(place.root.joinpath(*parts))
        raise OSError(error.errno, error.strerror, where) from None
