"""Untrusted text made harmless for logs and terminals, and found again as it was shown."""

from __future__ import annotations

import re
from typing import NamedTuple

# as `unicode_escape` writes them, whatever the capitals of the digits
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[ntr])")
_MOST = 0x10FFFF


def printable(text: str) -> str:
    """`text` with control signs, line breaks, direction marks and lone surrogates escaped."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


class Piece(NamedTuple):
    """A sign, or an escape such as `\\x1b` with the sign that it may mean."""

    text: str
    meant: str = ""


def pieces(text: str) -> list[Piece]:
    """A text that may have been copied from where it was `printable`."""
    found: list[Piece] = []
    at = 0
    for match in _ESCAPE.finditer(text):
        if meant := _meant(match[0][1:]):
            found += map(Piece, text[at : match.start()])
            found.append(Piece(match[0], meant))
            at = match.end()
    return [*found, *map(Piece, text[at:])]


def _meant(escape: str) -> str:
    """The sign of an escape that `printable` makes; empty where it makes none such."""
    number = {"n": 10, "r": 13, "t": 9}.get(escape) or int(escape[1:], 16)
    sign = chr(number) if number <= _MOST else " "
    return "" if sign.isprintable() else sign
