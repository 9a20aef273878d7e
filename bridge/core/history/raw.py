"""Which lines of a log may be wanted, by their bytes alone: pure, and much faster than parsing.

Lines are as `bridge.core.records.format_record` writes them. A line that is wanted always passes;
what passes is still to be judged by `HistoryFilter.fits`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Protocol, TypeAlias

from bridge.core.history.filter import EQUAL, HistoryFilter, Network, address_of, network_of
from bridge.core.history.probes import Probe, probes

Span: TypeAlias = tuple[int, int]  # where a line begins in a block, and where its line end is

_OCTET = 8  # bits
_CLIENT, _PROXY = b'"client_ip":"', b'"proxy":"'


class Condition(Protocol):
    """What a line must meet. Lines are in lower case."""

    def lines(self, lowered: bytes) -> Iterator[Span]:
        """Those of a block that may meet it, in any order."""

    def meets(self, lowered: bytes, span: Span) -> bool:
        """Whether a line may."""


def conditions_of(wanted: HistoryFilter) -> list[Condition]:
    """What a line must meet, all of it; what lets the fewest through stands first."""
    conditions: list[Condition] = []
    if wanted.case is not None:
        conditions.append(_Holds(_pair("case", wanted.case)))
    if wanted.quarantined_as is not None:
        conditions.append(_Holds(_pair("quarantined_as", wanted.quarantined_as)))
    if wanted.hash is not None:
        conditions.append(_Holds(f'":"{wanted.hash}'.encode("ascii")))
    for keys, text in (
        ("user|by", wanted.user_is),
        ("user|by", wanted.user),
        ("name", wanted.name),
        ("url|path", wanted.url),
    ):
        if text is not None:
            conditions.append(_Says(keys, text))
    if wanted.client is not None:
        conditions.append(_Comes(network_of(wanted.client)))
    for key in EQUAL[1:]:
        value = getattr(wanted, key)
        if value is not None:
            conditions.append(_Holds(_pair(key, value)))
    return conditions


def lines_that_may_fit(block: bytes, conditions: Sequence[Condition]) -> Iterator[Span]:
    """The lines of a block that meet all conditions, last one first; it ends with a line end."""
    if not conditions:
        yield from reversed(list(_lines(block)))
        return
    lowered = block.lower()
    first, *others = conditions
    for span in sorted(set(first.lines(lowered)), reverse=True):
        if first.meets(lowered, span) and all(each.meets(lowered, span) for each in others):
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


def _find(lowered: bytes, probe: Probe, start: int, end: int) -> int:
    if isinstance(probe, bytes):
        return lowered.find(probe, start, end)
    match = probe.search(lowered, start, end)
    return -1 if match is None else match.start()


# -- the conditions --------------------------------------------------------------------------------


class _Holds:
    """These bytes are somewhere in it."""

    def __init__(self, probe: bytes) -> None:
        self._probe = probe

    def lines(self, lowered: bytes) -> Iterator[Span]:
        return _lines_with(lowered, self._probe)

    def meets(self, lowered: bytes, span: Span) -> bool:
        return lowered.find(self._probe, *span) >= 0


class _Says:
    """The value of one of the keys contains a text, whatever the capitals."""

    def __init__(self, keys: str, text: str) -> None:
        """`keys`: joined by `|`."""
        self._value = re.compile(rf'"(?:{keys})":"([^"\\]*(?:\\.[^"\\]*)*)"'.encode("ascii"))
        self._probes = probes(text)

    def lines(self, lowered: bytes) -> Iterator[Span]:
        for probe in self._probes:
            yield from _lines_with(lowered, probe)

    def meets(self, lowered: bytes, span: Span) -> bool:
        return any(
            _find(lowered, probe, *value.span(1)) >= 0
            for value in self._value.finditer(lowered, *span)
            for probe in self._probes
        )


class _Comes:
    """Its client, or its proxy where that named none, is in a network."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._beginnings = _beginnings(network)

    def lines(self, lowered: bytes) -> Iterator[Span]:
        for probe in self._beginnings:
            yield from _lines_with(lowered, probe)

    def meets(self, lowered: bytes, span: Span) -> bool:
        for key in (_CLIENT, _PROXY):
            start = lowered.find(key, *span) + len(key)
            value = lowered[start : lowered.find(b'"', start)] if start >= len(key) else b""
            if value:
                return _is_in(value, self._network)
        return False


@lru_cache(maxsize=1 << 16)  # a log has so many clients
def _is_in(value: bytes, network: Network) -> bool:
    address = address_of(value.decode("ascii", "replace"))
    return address is not None and address in network


# -- the probes ------------------------------------------------------------------------------------


def _pair(key: str, value: str) -> bytes:
    return f'"{key}":{encode_basestring_ascii(value)}'.lower().encode("ascii")


def _beginnings(network: Network) -> list[bytes]:
    """With one of them begins each address of a network."""
    if isinstance(network, ipaddress.IPv4Network) and network.prefixlen >= _OCTET:
        shared = network.prefixlen // _OCTET
        text = ".".join(str(network.network_address).split(".")[:shared])
        end = '"' if network.prefixlen == network.max_prefixlen else "."
        return [f'"{text}{end}'.encode("ascii"), b":ffff:"]  # it may be written as IPv6
    return [_CLIENT, _PROXY]
