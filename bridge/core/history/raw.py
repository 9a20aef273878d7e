"""Which lines of a log may be wanted, by their bytes alone: pure, and much faster than parsing.

Lines are as `bridge.core.records.format_record` writes them. A line that is wanted always passes;
what passes is still to be judged by `HistoryFilter.fits`.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import TypeAlias

from bridge.core.history.filter import EQUAL, HistoryFilter, Network, network_of

Probe: TypeAlias = bytes | re.Pattern[bytes]
Condition: TypeAlias = tuple[Probe, ...]  # one of them must be in the line, in lower case
Span: TypeAlias = tuple[int, int]  # where a line begins in a block, and where its line end is

_CASED = 0x20000  # beyond these first planes no character has capitals


def conditions_of(wanted: HistoryFilter) -> list[Condition]:
    """What a line must meet, all of it; what lets the fewest through stands first."""
    conditions: list[Condition] = []
    if wanted.case is not None:
        conditions.append((_pair("case", wanted.case),))
    if wanted.hash is not None:
        conditions.append((f'":"{wanted.hash}'.encode("ascii"),))
    for text in (wanted.user, wanted.name, wanted.url):
        if text is not None:
            conditions.append(_text_condition(text))
    if wanted.client is not None:
        conditions += _network_conditions(network_of(wanted.client))
    for key in EQUAL[1:]:
        value = getattr(wanted, key)
        if value is not None:
            conditions.append((_pair(key, value),))
    return conditions


def lines_that_may_fit(block: bytes, conditions: Sequence[Condition]) -> Iterator[Span]:
    """The lines of a block that meet all conditions, last one first; it ends with a line end."""
    if not conditions:
        yield from reversed(list(_lines(block)))
        return
    lowered = block.lower()
    first, *others = conditions
    spans = {span for probe in first for span in _lines_with(lowered, probe)}
    for span in sorted(spans, reverse=True):
        if all(any(_is_in(lowered, probe, span) for probe in condition) for condition in others):
            yield span


def _lines(block: bytes) -> Iterator[Span]:
    start = 0
    while (end := block.find(b"\n", start)) >= 0:
        yield start, end
        start = end + 1


def _lines_with(lowered: bytes, probe: Probe) -> Iterator[Span]:
    at = _find(lowered, probe, 0, len(lowered))
    while at >= 0:
        end = lowered.find(b"\n", at)
        yield lowered.rfind(b"\n", 0, at) + 1, end
        at = _find(lowered, probe, end, len(lowered))


def _is_in(lowered: bytes, probe: Probe, span: Span) -> bool:
    return _find(lowered, probe, *span) >= 0


def _find(lowered: bytes, probe: Probe, start: int, end: int) -> int:
    if isinstance(probe, bytes):
        return lowered.find(probe, start, end)
    match = probe.search(lowered, start, end)
    return -1 if match is None else match.start()


# -- the probes ------------------------------------------------------------------------------------


def _pair(key: str, value: str) -> bytes:
    return f'"{key}":{encode_basestring_ascii(value)}'.lower().encode("ascii")


def _network_conditions(network: Network) -> list[Condition]:
    """How the addresses of a network begin; none where they have nothing in common."""
    if isinstance(network, ipaddress.IPv4Network):
        shared = network.prefixlen // 8
        octets = str(network.network_address).split(".")[:shared]
        if not octets:
            return []
        text = f'"{".".join(octets)}' + ('"' if shared == 4 else ".")
        return [(text.encode("ascii"), b'"::ffff:')]  # an IPv4 address may be written as IPv6
    groups = network.network_address.exploded.split(":")[: network.prefixlen // 16]
    begin = ""
    for group in groups:  # up to the first zero, from which on they may be written as `::`
        if not group.strip("0"):
            break
        begin += group.lstrip("0") + ":"
    # the last of eight has no colon behind it
    return [(f'"{begin[:-1]}'.encode("ascii"),)] if begin else []


def _text_condition(text: str) -> Condition:
    """What a line must hold so that one of its texts can hold this one, whatever the capitals."""
    folded = text.casefold()
    exact: Probe
    if folded.isascii():
        exact = _escaped(folded).encode("ascii")
    else:
        exact = re.compile("".join(_alternatives(sign) for sign in folded).encode("ascii"))
    unlike = _unlike(folded)
    return (exact,) if unlike is None else (exact, unlike)


def _alternatives(sign: str) -> str:
    """An expression of how a sign, or what folds to it, stands in a line."""
    written = sorted({re.escape(_escaped(each)) for each in (sign, *_folding().get(sign, ()))})
    return written[0] if len(written) == 1 else f"(?:{'|'.join(written)})"


def _escaped(text: str) -> str:
    return encode_basestring_ascii(text)[1:-1].lower()


@lru_cache(maxsize=1)
def _folding() -> dict[str, list[str]]:
    """Sign -> what else becomes it where capitals do not count."""
    found = defaultdict(list)
    for each in map(chr, range(_CASED)):
        folded = each.casefold()
        if folded != each:
            found[folded].append(each)
    return dict(found)


def _unlike(folded: str) -> re.Pattern[bytes] | None:
    """Signs that become several, or ASCII, and may be a part of the text: who has one passes.

    `STRASSE` is found in `Straße`, where none of its letters stands as such.
    """
    groups = defaultdict(list)  # by how they begin: an expression that gives up early
    for becomes, signs in _folding().items():
        if not set(becomes).isdisjoint(folded):
            for sign in signs:
                if len(becomes) > 1 or (becomes.isascii() and not sign.isascii()):
                    written = _escaped(sign)
                    groups[written[:4]].append(written[4:])
    ends = (f"{begin[2:]}(?:{'|'.join(sorted(rest))})" for begin, rest in sorted(groups.items()))
    return re.compile(rf"\\u(?:{'|'.join(ends)})".encode("ascii")) if groups else None
