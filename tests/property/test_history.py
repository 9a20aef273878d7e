"""The test of a line's bytes lets nothing be missed, and pages are the whole, however cut."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any
from unicodedata import combining, normalize
from unittest import mock

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bridge.core import Decision, Door, HistoryFilter, KnownBytes, OutcomeKind, search_log
from bridge.core.history import files
from bridge.core.history.folding import FOLDED, fold
from bridge.core.history.raw import conditions_of, lines_that_may_fit
from bridge.core.model import Outcome, Source
from bridge.core.printable import printable
from tests.support.history import line, older, write

unhurried = settings(deadline=None, max_examples=120)

# what becomes other or several signs where capitals do not count, escapes, and what looks like one
ODD = 'ßẞſKkİiıŉǰΐςσΣﬁ"\\\n\t\x7f\x00\u202e\ud83d\ude00😀ёЁqQ𐐀𐐨u0416'
# accents, by themselves and in signs, what is joined without being accents, and what is another
ODD += "\u0301\u0306\u0302\u0307\u0308\u0323\u0331\u0340\u0344\u0345eEéêẹệấиИйЙαᾳᾇΐ"
ODD += "\u1100\u1161\u11a8가각\u09c7\u09be\u09cb\u0ddd\u0915\u093c\u0958"
ODD += "\u037e;\u1fef`Ω\u2126\u2000\u2002\uf900豈"
# all that capitals or accents change, but for Hangul, which would be most of them, and all accents
HANGUL = range(0xAC00, 0xD7A4)
CHANGED = [
    sign
    for sign in map(chr, sorted({*FOLDED} - {*HANGUL}))
    if not sign == fold(sign) == normalize("NFD", sign)
]
ACCENTS = [sign for sign in map(chr, FOLDED) if combining(normalize("NFD", sign)[0])]
ODD_SIGNS = [st.sampled_from(each) for each in (ODD, CHANGED, ACCENTS)]
signs = st.one_of(*ODD_SIGNS, st.characters(codec=None))
texts = st.text(signs, max_size=12)
HEX = "0123456789abcdef"
addresses = st.ip_addresses().map(str) | st.sampled_from(
    ["10.1.2.3", "10.1.2.30", "::ffff:a01:203", "2001:db8::1", "2001:db80::", "::1", "unknown"]
)
contexts = st.dictionaries(
    st.sampled_from(["user", "url", "path", "by", "quarantined_as"]), st.none() | texts
) | st.builds(
    lambda user, url, client, proxy: {
        "client_ip": client,
        "proxy": proxy,
        "user": user,
        "url": url,
    },
    texts,
    texts,
    st.none() | addresses,
    addresses,
)
lines = st.builds(
    lambda name, context, kind, decision, door, digits, at, case_id: line(
        name,
        context,
        Outcome(kind, Source.KATA, md5=digits[:32]),
        decision,
        door=door,
        at=at,
        item=KnownBytes(digits, 1),
        case_id=case_id,
    ),
    texts,
    contexts,
    st.sampled_from(OutcomeKind),
    st.sampled_from(Decision),
    st.sampled_from(Door),
    st.text(HEX, min_size=64, max_size=64),
    st.floats(1e9, 2e9),
    st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=16, max_size=16),
)


def cased(text: str) -> st.SearchStrategy[str]:
    """The text as somebody types it."""
    typed = [text, text.upper(), text.lower(), text.casefold(), text.title()]
    return st.sampled_from([*typed, fold(text), normalize("NFC", text), normalize("NFD", text)])


@st.composite
def parts(draw: st.DrawFn, text: object) -> str:
    """A part of a text, in other capitals; any text where there is none."""
    if not isinstance(text, str) or not text:
        return draw(texts)
    start = draw(st.integers(0, len(text) - 1))
    return draw(cased(text[start : draw(st.integers(start + 1, len(text)))]))


@st.composite
def networks(draw: st.DrawFn, address: object) -> str:
    """A network that an address is in, or that address; any where it is none."""
    text = str(address) if address and address != "unknown" else "10.1.2.3"
    bits = draw(st.none() | st.integers(0, 128 if ":" in text else 32))
    return text if bits is None else f"{text}/{bits}"


@st.composite
def filters(draw: st.DrawFn, record: dict[str, Any]) -> HistoryFilter:
    """A filter that the record fits, mostly."""
    context = record["context"]
    makers: dict[str, st.SearchStrategy[str]] = {
        "name": parts(record["name"]) | parts(printable(record["name"])),
        "user": parts(context.get("user") or context.get("by")),
        "user_is": cased(context.get("user") or context.get("by") or "ivan"),
        "url": parts(context.get("url") or context.get("path")),
        "client": networks(context.get("client_ip") or context.get("proxy")),
        "hash": st.integers(1, 64).map(lambda length: str(record["sha256"])[:length]),
        "case": cased(record["case"]),
        "quarantined_as": cased(context.get("quarantined_as") or "0" * 16),
        "outcome": cased(record["outcome"]),
        "decision": cased(record["decision"]),
        "door": cased(record["door"]),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(makers)), min_size=1, max_size=3))
    return HistoryFilter(**{key: draw(makers[key]) for key in chosen})  # type: ignore[arg-type]


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[bytes], HistoryFilter]:
    """Some lines, and a filter made of one of them."""
    written = draw(st.lists(lines, min_size=1, max_size=4))
    return written, draw(filters(json.loads(draw(st.sampled_from(written)))))


@unhurried
@given(searches())
@example(([line("Straße.pdf")], HistoryFilter(name="STRASSE")))
@example(([line("STRASSE.pdf")], HistoryFilter(name="straße")))
@example(([line("Счёт.pdf")], HistoryFilter(name="сЧЁТ")))
@example(([line("ß\u0323")], HistoryFilter(name="ṣ")))
@example(([line("é\u0323")], HistoryFilter(name="ẹ")))
@example(([line("\u0130\u0323")], HistoryFilter(name="ị")))
@example(([line("Отчёт май")], HistoryFilter(name=normalize("NFD", "ОТЧЁТ МАЙ"))))
@example(([line("e\u0301\u0323\u0315x")], HistoryFilter(name="ẹ\u0301")))
@example(([line("É\u0323x")], HistoryFilter(name="\u0301X")))
@example(([line("x\u0f73")], HistoryFilter(name="X\u0f71")))
@example(([line("\u1100\u1161\u11a8\u0301")], HistoryFilter(name="각\u0301")))
@example(([line("\x1a\u0306")], HistoryFilter(name="\\x1a\u0306")))
@example(([line("\U0001d15e")], HistoryFilter(name="\U0001d157\U0001d165")))
@example(([line("\N{KELVIN SIGN}elvin")], HistoryFilter(name="KELVIN")))
@example(([line(context={"client_ip": "::ffff:a01:203"})], HistoryFilter(client="10.1.2.3")))
def test_a_line_that_is_wanted_passes(search: tuple[list[bytes], HistoryFilter]) -> None:
    written, wanted = search
    block = b"".join(each + b"\n" for each in written)
    passed = [block[start:end] for start, end in lines_that_may_fit(block, conditions_of(wanted))]
    fitting = [each for each in reversed(written) if wanted.fits(json.loads(each))]
    assert [each for each in passed if each in fitting] == fitting
    assert len(passed) <= len(written)


@unhurried
@given(texts.filter(str.strip))
def test_what_the_page_shows_of_a_text_finds_it(text: str) -> None:
    assume(printable(text).strip())
    written, wanted = line(text), HistoryFilter(name=printable(text))
    assert wanted.fits(json.loads(written))
    assert list(lines_that_may_fit(written + b"\n", conditions_of(wanted))) == [(0, len(written))]


BROKEN = [b"", b"{", b"[]", b'"case"', b"\x00\xff\x00", b"{}", b"[" * 2000, b'{"time":"2026-11-2']
NO_RECORDS = st.sampled_from(BROKEN)
entries = st.tuples(lines, st.just(True)) | st.tuples(NO_RECORDS, st.just(False))
logs = st.lists(st.lists(entries, max_size=6), min_size=1, max_size=3)


@unhurried
@given(
    logs,
    st.integers(1, 5),
    st.sampled_from([50, 700, 1 << 18]),
    st.booleans(),
    st.sampled_from(["", "{", "x"]),
)
def test_pages_are_the_whole_log_in_order(
    log: list[list[tuple[bytes, bool]]], limit: int, block: int, is_hurried: bool, tail: str
) -> None:
    with tempfile.TemporaryDirectory() as directory, mock.patch.object(files, "BLOCK", block):
        path = Path(directory) / "log-history.log"
        for number, part in enumerate(log):  # the newest file first, its newest line first
            data = [each for each, _ in reversed(part)]
            write(older(path, number) if number else path, data)
        with path.open("a") as file:
            file.write(tail)
        found, cursor, pages = [], None, 0
        while pages == 0 or cursor is not None:
            page = search_log(
                path,
                HistoryFilter(),
                cursor=cursor,
                limit=limit,
                seconds=0 if is_hurried else 60,
            )
            found += page.records
            assert page.complete or is_hurried
            assert len(page.records) <= limit
            cursor, pages = page.cursor, pages + 1
            assert pages < 100
        assert found == [json.loads(each) for part in log for each, good in part if good]
