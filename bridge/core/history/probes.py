"""Bytes of which one is in each line whose value contains a text: pure.

They may be in others, too. Lines are in lower case, and in ASCII as JSON writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii
from typing import TypeAlias
from unicodedata import combining, normalize

from bridge.core.history.folding import Spelling, clusters, folded, spellings
from bridge.core.printable import Piece

Probe: TypeAlias = bytes | re.Pattern[bytes]

_ANY = r"(?:\\u[0-9a-f]{4})+"


def probes(text: str) -> list[Probe]:
    """One of them is in a value that contains this text."""
    found = folded(text)
    signs = "".join(part for each in found for part in each)
    exact: Probe
    if signs.isascii() and not any(each.meant for each in found):
        exact = escaped(signs).encode("ascii")
    else:
        *before, last = found
        written = [_piece(each) for each in before] + [_piece(last, is_last=True)]
        exact = re.compile("".join(written).encode("ascii"))
    unlike = _unlike(signs)
    return [exact] if unlike is None else [exact, unlike]


def escaped(text: str) -> str:
    """As it stands in a line."""
    return encode_basestring_ascii(text)[1:-1].lower()


def _piece(piece: Piece, *, is_last: bool = False) -> str:
    """An expression of how it, or what folds to it, stands in a line."""
    ways = [_run(each, is_last=is_last) for each in piece if each]
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"


def _run(text: str, *, is_last: bool) -> str:
    parts = list(clusters(text))
    if combining(text[0]):  # they may be in the sign before them
        del parts[0]
    ends = len(parts) - 1 if is_last else -1
    return "".join(_cluster(each, is_last=at == ends) for at, each in enumerate(parts)) or _ANY


def _cluster(cluster: str, *, is_last: bool) -> str:
    """A sign with its accents, in any order; behind the last one there may be more of them."""
    base, *accents = list(normalize("NFD", cluster))
    if not all(map(combining, accents)):  # signs that were joined, as in Hangul
        if any(map(combining, accents)):
            return _ANY
        joined = [base, *accents]
        ways = {_joined(joined[:at]) + "".join(joined[at:]) for at in range(1, len(joined) + 1)}
        return _one_of(ways)
    known = list(spellings().of(base))
    if is_last and accents:
        return _one_of(each.sign for each in known)
    whole = _one_of(each.sign for each in known if list(each.accents) == accents)
    if not accents:
        return whole
    part = _one_of(each.sign for each in known if _is_part(each, accents))
    accent = _one_of(each.sign for one in accents for each in spellings().of(one))
    return f"(?:{whole}|{part}(?:{accent}){{1,{len(accents)}}})"


def _is_part(spelling: Spelling, accents: list[str]) -> bool:
    return set(spelling.accents) <= set(accents) and list(spelling.accents) != accents


def _joined(signs: list[str]) -> str:
    return normalize("NFC", "".join(signs))


def _one_of(texts: Iterable[str]) -> str:
    written = sorted({re.escape(escaped(each)) for each in texts})
    return written[0] if len(written) == 1 else f"(?:{'|'.join(written)})"


def _unlike(folded: str) -> re.Pattern[bytes] | None:
    """Signs that become several, or ASCII, and may be a part of the text: who has one passes.

    `STRASSE` is found in `Straße`, where none of its letters stands as such.
    """
    signs = set(normalize("NFD", folded))
    unlike = [sign for sign, becomes in spellings().unlike if not signs.isdisjoint(becomes)]
    return re.compile(_one_of(unlike).encode("ascii")) if unlike else None
