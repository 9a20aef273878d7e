"""Texts as a search compares them: neither capitals count, nor whether an accent is a sign of its
own.

Two spellings are one where Unicode calls them canonically equivalent (NFC): macOS writes `й` as
`и` and a breve. What only looks alike (a ligature, a no-break space) stays what it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from unicodedata import combining, normalize

from bridge.core.printable import Piece, pieces

# beyond these no sign has capitals, or another spelling: two planes, and ideographs of one more
FOLDED = (*range(0x20000), *range(0x2F800, 0x2FA20))


def fold(text: str) -> str:
    """The text in no capitals, and in the one spelling that all that are equivalent share."""
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFC", text).casefold())


def folded(text: str) -> list[Piece]:
    """The pieces of a text that is searched for: what stands between escapes, and the escapes.

    An escape has the accents behind it, which belong to its last sign, or to what it means.
    """
    found: list[Piece] = []
    run = ""
    for piece in (*pieces(text), Piece("", " ")):
        if not piece.meant:
            run += piece.text
            continue
        rest = run.lstrip("".join(filter(combining, run))) if found else run
        if found:
            before, accents = found.pop(), run[: len(run) - len(rest)]
            found.append(Piece(fold(before.text + accents), fold(before.meant + accents)))
        if rest:
            found.append(Piece(fold(rest)))
        run = ""
        if piece.text:
            found.append(piece)
    return found


class Spellings:
    """How a sign that was folded may have been written."""

    def __init__(self) -> None:
        # by the sign that they become
        self._same: dict[str, list[str]] = defaultdict(list)
        # signs with accents, by what they become without these
        self.accented: dict[str, list[str]] = defaultdict(list)
        # what becomes several signs, or ASCII, each with the signs that it becomes, taken apart
        self.unlike: list[tuple[str, str]] = []
        # all that begin with an accent, or are one
        self.accents: list[str] = []
        for sign in map(chr, FOLDED):
            apart = normalize("NFD", sign)
            if combining(apart[0]):
                self.accents.append(sign)
            if not apart == sign == sign.casefold():
                self._add(sign)

    def _add(self, sign: str) -> None:
        whole = fold(sign)
        becomes = normalize("NFD", whole)
        lost = combining(sign) and not combining(becomes[0])
        if len(whole) > 1 or (whole.isascii() and not sign.isascii()) or lost:
            self.unlike.append((sign, becomes))
            return
        if sign != whole:
            self._same[whole].append(sign)
        if len(becomes) > 1 and all(map(combining, becomes[1:])):
            self.accented[becomes[0]].append(sign)

    def of(self, sign: str) -> list[str]:
        """The sign itself, and all that become it."""
        return [sign, *self._same.get(sign, ())]


@lru_cache(maxsize=1)
def spellings() -> Spellings:
    """Those of all signs: made at the first search."""
    return Spellings()


def clusters(text: str) -> Iterator[str]:
    """The signs of a folded text, each with the accents behind it."""
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or not combining(text[at]):
            yield text[start:at]
            start = at
