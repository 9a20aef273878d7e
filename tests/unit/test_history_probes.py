"""What is looked for in the bytes of a line: never missed, never failing, never slow."""

from __future__ import annotations

import re
from json.encoder import encode_basestring_ascii
from unicodedata import normalize

import pytest

from bridge.core.history.folding import FOLDED, fold
from bridge.core.history.probes import Probe, probes

HANGUL = range(0xAC00, 0xD7A4)  # all 11,172 are alike: some of them will do
ACUTE, DOT_BELOW, BREVE = "\u0301", "\u0323", "\u0306"
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


@pytest.mark.parametrize(
    "text",
    [
        f"각{ACUTE}" * 4 + "q",
        f"각{ACUTE}{DOT_BELOW}" * 20 + "q",
        f"e{ACUTE}{DOT_BELOW}" * 20 + "q",
        f"x{ACUTE * 20}" * 20 + "q",
        "\u0dddа" * 20,
        ACUTE * 40 + "q",
        f"\\x1b{BREVE}" * 20,
        "éйệ각Å" * 20,
    ],
    ids=ascii,
)
def test_nothing_is_repeated_in_an_expression(text: str) -> None:
    """Else a line that nearly fits is tried in all ways: for minutes, and nothing else runs."""
    for each in probes(text):
        if isinstance(each, re.Pattern):
            plain = re.sub(rb"\\.", b"", each.pattern).replace(b"(?:", b"(")
            assert not set(b"*+?{") & set(plain), each.pattern


@pytest.mark.parametrize("text", ["é", "É", f"e{ACUTE}", "й", "ệ", "café", "Å"], ids=ascii)
def test_an_accent_is_not_looked_for_as_its_plain_letter(text: str) -> None:
    """Else `é` has nearly every line of a log parsed."""
    found = probes(text)
    assert is_in(text, found)
    base = re.sub("[\u0300-\u036f]", "", normalize("NFD", text))
    for other in (base, base.upper(), f"{base}b", f"{base}\u044f", f"{base} \u044f"):
        assert not is_in(other, found), other


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("ẹ", f"é{DOT_BELOW}"),
        ("É", f"e{ACUTE}{ACUTE}"),
        ("é", f"É{ACUTE}"),
        (f"ẹ{ACUTE}", f"e{ACUTE}{DOT_BELOW}"),
        (f"q{DOT_BELOW}", f"q{ACUTE}{DOT_BELOW}"),
        (ACUTE, f"é{DOT_BELOW}"),
        (f"{ACUTE}x", f"É{DOT_BELOW}X"),
        ("\u0f71", "a\u0f73"),
        ("\u0ddd", "\u0ddc\u0323\u0dca"),
        (f"각{ACUTE}", f"\u1100\u1161\u11a8{ACUTE}"),
        ("отчёт.docx", normalize("NFD", "ОТЧЁТ.DOCX")),
        (f"\\x1a{BREVE}", f"\x1a{BREVE}"),
        ("\\n\u0306", "\n\u0306"),
        ("\\u2000", "\u2000"),
    ],
    ids=ascii,
)
def test_accents_in_any_order_are_found(asked: str, written: str) -> None:
    assert is_in(written, probes(asked))
