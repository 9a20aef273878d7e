"""Bytes of which one is in each line whose value contains a text: pure.

They may be in others, too. Lines are in lower case, and in ASCII as JSON writes it. No expression
repeats anything: one that can be tried in many ways would hold up the whole process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import NamedTuple, TypeAlias
from unicodedata import combining, normalize

from bridge.core.history.folding import clusters, folded, spellings
from bridge.core.printable import Piece

Probe: TypeAlias = bytes | re.Pattern[bytes]

_BACKSLASH = r"\\"  # all but ASCII begins with one


class _Part(NamedTuple):
    """A sign with its accents: an expression of the whole of it, or some of how it begins."""

    ways: list[str]
    is_whole: bool = True


def probes(text: str) -> list[Probe]:
    """One of them is in a value that contains this text."""
    found = folded(text)
    signs = "".join(part for each in found for part in each)
    exact: list[Probe]
    if signs.isascii() and not any(each.meant for each in found):
        exact = [escaped(signs).encode("ascii")]
    else:
        *before, last = max(_runs(found), key=len)
        begin = "".join(each.ways[0] for each in before)
        exact = [re.compile(f"{begin}{way}".encode("ascii")) for way in last.ways]
    apart = set(normalize("NFD", signs))
    # `STRASSE` is found in `Straße`, where none of its letters stands as such: who has one passes
    unlike = [sign for sign, becomes in spellings().unlike if not apart.isdisjoint(becomes)]
    return [*exact, re.compile(_one_of(unlike).encode("ascii"))] if unlike else exact


def _runs(found: list[Piece]) -> Iterator[list[_Part]]:
    """What stands together in a line: each ends where it is unknown what follows."""
    run: list[_Part] = []
    for part in _parts(found):
        run.append(part)
        if not part.is_whole:
            yield run
            run = []
    if run:
        yield run


def _parts(found: list[Piece]) -> Iterator[_Part]:
    for piece in found:
        if piece.meant:
            yield _escape(*piece)
            continue
        *before, last = clusters(piece.text)
        yield from map(_cluster, before)
        yield _cluster(last, is_last=piece is found[-1])


def _escape(text: str, meant: str) -> _Part:
    if not text.isascii():  # there are accents behind it
        return _Part([_BACKSLASH], is_whole=False)
    return _Part([_one_of([text, *spellings().of(meant)])])


def _cluster(cluster: str, *, is_last: bool = False) -> _Part:
    """A sign with its accents; behind the last one there may be more of them, in any order."""
    apart = normalize("NFD", cluster)
    accents = sum(map(bool, map(combining, apart)))
    if combining(apart[0]) or 0 < accents < len(apart) - 1:  # in another sign, or behind several
        return _Part([_BACKSLASH], is_whole=False)
    if accents > 1 or (accents and is_last):
        composed = spellings().accented.get(apart[0], ())
        ways = [_one_of(spellings().of(apart[0])) + _accent()]
        return _Part([*ways, _one_of(composed)] if composed else ways, is_whole=False)
    spelt = {normalize("NFC", apart[:at]) + apart[at:] for at in range(1, len(apart) + 1)}
    ways = ["".join(_one_of(spellings().of(sign)) for sign in each) for each in sorted(spelt)]
    return _Part([_either(ways)])


@lru_cache(maxsize=1)
def _accent() -> str:
    """An expression of how any accent begins in a line."""
    return rf"\\u{_either(sorted({escaped(each)[2:5] for each in spellings().accents}))}"


def _one_of(signs: Iterable[str]) -> str:
    return _either(sorted({re.escape(escaped(each)) for each in signs}))


def _either(ways: list[str]) -> str:
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"


def escaped(text: str) -> str:
    """As it stands in a line."""
    return encode_basestring_ascii(text)[1:-1].lower()
