"""What a connection reports of the message it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class NeedData:
    """Nothing whole is buffered: feed more bytes."""


@dataclass(frozen=True, slots=True)
class Data:
    """Body bytes, chunk framing removed."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PreviewEnd:
    """The preview ended and the body has more: the server now says 100, or answers (4.5)."""


@dataclass(frozen=True, slots=True)
class BodyEnd:
    """The body is complete.

    `ieof`: it fitted the preview (RFC 3507 4.5). `use_original_body`: the offset a 206 answer
    names, from which the client goes on with its own copy (partial-content draft 5.2).
    `trailers`: lower-case names to values.
    """

    ieof: bool = False
    use_original_body: int | None = None
    trailers: Mapping[str, str] = field(default_factory=dict)


Event: TypeAlias = NeedData | Data | PreviewEnd | BodyEnd

NEED_DATA = NeedData()
PREVIEW_END = PreviewEnd()
