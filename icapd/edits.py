"""What is changed in the head of a message that passes, and why.

A head that was changed gets a Via of ours (RFC 3507 4.4.2); one that was not stays byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core import Outcome, OutcomeKind
from icapd.message import RANGE_FIELDS, Message
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
# these go before Cache-Control, for some caches
_FOR_SOME = ("CDN-Cache-Control", "Surrogate-Control", "X-Accel-Expires")
NOT_CACHED = Edit(
    drop=("Cache-Control", "Expires", "Pragma", *_FOR_SOME),
    add=(("Cache-Control", "no-store"),),
)


NEITHER = NOT_RESUMABLE | NOT_CACHED
_WHOLE = Edit(drop=RANGE_FIELDS)


def passing_edit(message: Message, outcome: Outcome | None, *, strip: bool) -> Edit | None:
    """The edit of a message that passes with this outcome (None: it had nothing to judge).

    None: it goes as it came. `strip`: who asks for a part is to get the whole, which can be judged.
    """
    if not message.is_response:
        return _WHOLE if strip and message.asks_for_a_range else None
    if outcome is None or outcome.kind not in UNJUDGED or not message.carrying.raw:
        return None
    if "no-store" in parse_list(message.carrying.joined("cache-control") or "") and not any(
        message.carrying.field(name) for name in _FOR_SOME
    ):
        return None
    return NOT_CACHED
