"""What the journal remembers of a file from its record until its source is dealt with. Pure."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass
from enum import StrEnum

from bridge.folder.settle import Look


class Why(StrEnum):
    """What is left to do: put it back for good (`left`), or remove it (`delivered`)."""

    LEFT = "left"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Note:
    """A file whose case has its record. `folder`: its name in the configuration.

    `sha256`: of what was judged, where it was. `rules`: a mark of those by which it is left, None
    where that was not noted. `mounted_on`: where the share that a
    delivered file lay on was mounted, empty where on none.
    """

    folder: str
    look: Look
    why: Why
    sha256: str = ""
    rules: str | None = None
    mounted_on: str = ""


def format_note(note: Note) -> str:
    """The note as text, without what it does not have: older versions read it then."""
    more = [note.rules, note.mounted_on]
    while more and not more[-1]:
        more.pop()
    return json.dumps([note.folder, astuple(note.look), note.why.value, note.sha256, *more])


def parse_note(text: str) -> Note:
    """The note again; ValueError where it is none, or one of another version."""
    try:
        folder, look, why, *more = json.loads(text)
        return Note(folder, Look(*look), Why(why), *more)
    except TypeError as error:
        raise ValueError(str(error)) from None
