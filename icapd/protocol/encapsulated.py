"""The Encapsulated header: what lies where in the body of an ICAP message (RFC 3507 4.4.1)."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from icapd.protocol.cache import Cache
from icapd.protocol.errors import ProtocolError
from icapd.protocol.grammar import parse_entries


class BodyKind(StrEnum):
    """The last entry of `Encapsulated`."""

    NULL = "null-body"
    REQUEST = "req-body"
    RESPONSE = "res-body"
    OPTIONS = "opt-body"


_ORDER = {"req-hdr": 0, "res-hdr": 1} | {kind.value: 2 for kind in BodyKind}


class Encapsulated(NamedTuple):
    """Lengths of the encapsulated heads in bytes (None: absent) and the kind of body."""

    request_head: int | None = None
    response_head: int | None = None
    body: BodyKind = BodyKind.NULL

    @property
    def heads_size(self) -> int:
        """Bytes before the body."""
        return (self.request_head or 0) + (self.response_head or 0)

    @property
    def has_body(self) -> bool:
        """Whether chunks follow the heads."""
        return self.body is not BodyKind.NULL

    def __str__(self) -> str:
        """The header's value, offsets rising from 0."""
        entries, offset = [], 0
        for name, length in (("req-hdr", self.request_head), ("res-hdr", self.response_head)):
            if length is not None:
                entries.append(f"{name}={offset}")
                offset += length
        entries.append(f"{self.body.value}={offset}")
        return ", ".join(entries)


# What nearly all requests have; anything else is read entry by entry.
_USUAL = re.compile(
    r"req-hdr=0, (?:res-hdr=([0-9]{1,9}), )?(req-body|res-body|null-body)=([0-9]{1,9})"
)
_KINDS = {kind.value: kind for kind in BodyKind}


def _parse(value: str) -> Encapsulated:
    usual = _USUAL.fullmatch(value)
    if usual is not None:
        response, kind, end = usual.groups()
        if response is None:
            return Encapsulated(int(end), None, _KINDS[kind])
        length = int(end) - int(response)
        if length >= 0:
            return Encapsulated(int(response), length, _KINDS[kind])
    return _parse_entries(value)


_values = Cache(_parse)


def parse_encapsulated(value: str) -> Encapsulated:
    """Read the header's value; refuse what is out of order or does not rise from 0."""
    return _values[value]


def _parse_entries(value: str) -> Encapsulated:
    entries = parse_entries(value)
    if any(name not in _ORDER for name, _ in entries):
        raise ProtocolError("Encapsulated holds an entry that is none of RFC 3507's.")
    ranks = [_ORDER[name] for name, _ in entries]
    offsets = [offset for _, offset in entries]
    if sorted(set(ranks)) != ranks:
        raise ProtocolError("Encapsulated lists its parts twice or out of order.")
    if offsets[0] != 0 or sorted(offsets) != offsets:
        raise ProtocolError("Encapsulated offsets do not rise from 0.")
    if ranks[-1] != _ORDER["null-body"]:
        raise ProtocolError("Encapsulated does not end with a body or null-body.")
    lengths = {name: offsets[i + 1] - offsets[i] for i, (name, _) in enumerate(entries[:-1])}
    return Encapsulated(lengths.get("req-hdr"), lengths.get("res-hdr"), BodyKind(entries[-1][0]))


_ALLOWED = {
    "REQMOD": {BodyKind.REQUEST, BodyKind.NULL},
    "RESPMOD": {BodyKind.RESPONSE, BodyKind.NULL},
    "OPTIONS": {BodyKind.OPTIONS, BodyKind.NULL},
}


_ANY = set(BodyKind)


def check_request(method: str, encapsulated: Encapsulated) -> None:
    """Refuse a body, or a head, that the method cannot carry (RFC 3507 4.4.1)."""
    if encapsulated.body not in _ALLOWED.get(method, _ANY):
        raise ProtocolError(f"{method} cannot carry a {encapsulated.body.value}.")
    if method == "REQMOD" and encapsulated.response_head is not None:
        raise ProtocolError("REQMOD cannot carry a res-hdr.")
