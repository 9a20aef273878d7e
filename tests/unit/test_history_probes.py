"""What is looked for in the bytes of a line: never missed, never failing."""

from __future__ import annotations

import re
from json.encoder import encode_basestring_ascii
from unicodedata import normalize

from bridge.core.history.folding import FOLDED, fold
from bridge.core.history.probes import Probe, probes

HANGUL = range(0xAC00, 0xD7A4)  # all 11,172 are alike: some of them will do
CHANGED = [
    sign
    for sign in map(chr, sorted({*FOLDED} - {*HANGUL} | {*HANGUL[::211]}))
    if not sign == fold(sign) == normalize("NFD", sign)
]


def is_in(text: str, found: list[Probe]) -> bool:
    """Whether one of them is in a text as a line has it."""
    line = encode_basestring_ascii(text).lower().encode("ascii")
    return any(
        re.search(each, line) if isinstance(each, re.Pattern) else each in line for each in found
    )


def test_every_sign_is_found_however_it_is_written() -> None:
    for sign in CHANGED:
        found = probes(sign)
        for written in (sign, normalize("NFC", sign), normalize("NFD", sign), fold(sign)):
            assert is_in(written, found), (hex(ord(sign)), written)
