"""What a page tells, and what a page is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bridge.core import OutcomeKind


class Stage(Enum):
    """What is going on with an object that has no verdict yet."""

    RECEIVING = "receiving"  # it still arrives
    QUEUED = "queued"
    SENDING = "sending"
    AT_KATA = "at_kata"


class Ending(Enum):
    """How an open page ends."""

    RELOAD = "reload"  # the verdict is there: reload at once
    WAIT = "wait"  # there is no verdict yet: reload after the usual time
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a case. `size` in bytes; `name`, `threat` and `detail` may be hostile."""

    case: str
    name: str
    size: int | None
    sha256: str | None
    kind: OutcomeKind
    threat: str | None
    detail: str
    is_upload: bool


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP response of our own, and the ICAP fields that say why."""

    head: bytes
    body: bytes
    icap_fields: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A wait page whose end is sent later (`Pages.ending`); its head has no Content-Length."""

    head: bytes
    beginning: bytes
    icap_fields: list[tuple[str, str]]
