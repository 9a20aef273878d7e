"""The words of katabridge as types: what is judged, what is known of it, what a door does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import getrandbits
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from bridge.core.rules import Rules


class Door(StrEnum):
    """Where an item came from."""

    ICAP = "ICAP"
    FOLDER = "FOLDER"


class Mode(StrEnum):
    """How a door treats what is not judged yet; the values are the names in the log."""

    MONITOR = "monitor"
    STANDARD = "blocking_simple"
    ADVANCED = "blocking_advanced"


class OutcomeKind(StrEnum):
    """What is known of an item. Only `NOT_DETECTED` says clean, and only KATA says it."""

    NOT_DETECTED = "not_detected"
    DETECT = "detect"
    ERROR = "error"
    TIMEOUT = "timeout"
    OVERSIZE = "oversize"
    EXCLUDED = "excluded"
    UNAVAILABLE = "unavailable"
    PENDING = "pending"


class Source(StrEnum):
    """Who says so: KATA now, the verdict store, or a rule of ours."""

    KATA = "kata"
    KNOWN = "known"
    RULE = "rule"


class Stage(StrEnum):
    """How far a content without a verdict is on its way."""

    QUEUED = "queued"
    SENDING = "sending"
    AT_KATA = "at_kata"


# rules: what a person does with a file in quarantine
RELEASED_BY_HAND = "released by hand"
DELETED_BY_HAND = "deleted by hand"


CUT_OFF = "cut off"  # rule: the body, or whoever asked for it, was gone before the end


class Decision(StrEnum):
    """What a door does with an item."""

    PASS = "pass"  # noqa: S105 - not a password
    BLOCK = "block"
    HOLD = "hold"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of an item, and from whom.

    `detail` is one sentence for people when the kind alone does not say enough; `rule` names the
    rule that decided; `scan_id` is KATA's scan; `md5` is known once the content was sent.
    """

    kind: OutcomeKind
    source: Source
    detail: str = ""
    rule: str | None = None
    threat: str | None = None
    technology: str | None = None
    importance: str | None = None
    scan_id: str | None = None
    md5: str | None = None

    @property
    def is_verdict(self) -> bool:
        """Whether KATA judged the bytes: only such outcomes are kept and shared."""
        return self.kind in (OutcomeKind.NOT_DETECTED, OutcomeKind.DETECT)

    @property
    def is_final(self) -> bool:
        """Whether nothing more is expected."""
        return self.kind is not OutcomeKind.PENDING


class HeldBytes(Protocol):
    """Bytes that do not change as long as somebody holds them (`bridge.core.spool.Body`)."""

    sha256: str
    size: int

    def retain(self) -> HeldBytes:
        """Hold them once more."""

    def release(self) -> None:
        """Let go of them."""

    @property
    def path(self) -> Path | None:
        """The file that holds all of it; None where it is in memory."""

    def open(self) -> BinaryIO:
        """The bytes as a file, to be closed by the caller. Blocks: disk."""


class Identity(Protocol):
    """What names some bytes: all that a record needs of them."""

    @property
    def sha256(self) -> str:
        """Lower hex."""

    @property
    def size(self) -> int:
        """Bytes."""


@dataclass(frozen=True, slots=True)
class KnownBytes:
    """Bytes that are not here (any longer): `sha256` in lower hex, `size` in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Item:
    """What is judged: bytes held still in the spool. `size` in bytes, `sha256` in lower hex."""

    name: str
    body: HeldBytes

    @property
    def sha256(self) -> str:
        """The key of everything that is known of these bytes."""
        return self.body.sha256

    @property
    def size(self) -> int:
        """Bytes."""
        return self.body.size


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_TIME_BITS, _RANDOM_BITS = 45, 35


def new_case_id() -> str:
    """16 characters without look-alikes: 45 bits of milliseconds, then 35 random ones.

    Ids sort by time and can be read out over the telephone.
    """
    milliseconds = time.time_ns() // 1_000_000 & (1 << _TIME_BITS) - 1
    number = milliseconds << _RANDOM_BITS | getrandbits(_RANDOM_BITS)
    high, low = number >> 40, number & (1 << 40) - 1
    pairs = _PAIRS  # ten bits each
    return (
        f"{pairs[high >> 30]}{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}"
        f"{pairs[high & 1023]}{pairs[low >> 30]}{pairs[low >> 20 & 1023]}"
        f"{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )


def case_time(case_id: str) -> float | None:
    """When that id was made (epoch seconds); None where it is no id of ours."""
    try:
        signs = [_ALPHABET.index(sign) for sign in case_id]
    except ValueError:
        return None
    number = 0
    for value in signs[: _TIME_BITS // 5]:
        number = number << 5 | value
    return number / 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an object came from, raw, for rules: never for a log. None: not known."""

    url: str | None = None
    content_type: str | None = None
    user_agent: str | None = None
    source: str | None = None
    name: str | None = None


@dataclass(slots=True)
class Case:
    """One request with a body, or one file, through one door; leaves exactly one record.

    `context` holds the door's own keys. `size` in bytes is what was announced, for a case whose
    bytes never become an item. `started` is monotonic seconds. `decision` is what the
    record says, once it is written. `bypassed`: its door was opened by `kata-bridge bypass`.
    `rules`: those to go by, whatever a reload brings meanwhile; None: those in force.
    """

    door: Door
    mode: Mode
    name: str
    context: dict[str, str | None]
    id: str = field(default_factory=new_case_id)
    started: float = field(default_factory=time.monotonic)
    decision: Decision | None = None
    size: int | None = None
    bypassed: bool = False
    origin: Origin = Origin()
    rules: Rules | None = None

    @property
    def client(self) -> str:
        """Who is served fairly beside others: a user's machine, else a proxy or a folder."""
        keys = ("client_ip", "proxy", "folder")
        return next((self.context[key] or "" for key in keys if self.context.get(key)), "")

    @property
    def waited_ms(self) -> int:
        """Milliseconds since the case began."""
        return int((time.monotonic() - self.started) * 1000)
