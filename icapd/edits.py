"""What is changed in the head of a message that passes, and why.

A head that was changed gets a Via of ours (RFC 3507 4.4.2); one that was not stays byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core import OutcomeKind
from icapd.protocol import HttpHead, clean_value
from icapd.protocol.grammar import parse_list

# What may be judged when it is asked for again must not come out of a cache instead.
UNJUDGED = frozenset(
    {OutcomeKind.UNAVAILABLE, OutcomeKind.ERROR, OutcomeKind.TIMEOUT, OutcomeKind.PENDING}
)


@dataclass(frozen=True, slots=True)
class Edit:
    """Fields that go, and fields that come instead."""

    drop: tuple[str, ...] = ()
    add: tuple[tuple[str, str], ...] = ()

    def __or__(self, other: Edit) -> Edit:
        return Edit(self.drop + other.drop, self.add + other.add)

    def apply(self, head: bytes, host: str) -> bytes:
        """The changed head; `host` is who says so in Via."""
        via = ("Via", f"ICAP/1.0 {clean_value(host)} (katabridge)")
        return HttpHead(head).edited(self.drop, [*self.add, via])


# A body that may be cut must not be resumed or taken for the whole later.
NOT_RESUMABLE = Edit(drop=("ETag", "Last-Modified", "Accept-Ranges"))
NOT_CACHED = Edit(drop=("Cache-Control", "Expires", "Pragma"), add=(("Cache-Control", "no-store"),))


def pass_edit(response: HttpHead, kind: OutcomeKind) -> Edit | None:
    """The edit of a response that passes with this outcome; None: it goes as it came."""
    if kind not in UNJUDGED or not response.raw:
        return None
    if "no-store" in parse_list(response.joined("cache-control") or ""):
        return None
    return NOT_CACHED
