"""Whatever a record holds, its CEF can be read back, is one line, and is not too long."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core import Decision, OutcomeKind, printable
from bridge.core.cef import MAX_BYTES, MIN_BYTES, format_cef
from tests.property.cef_parser import parse

unhurried = settings(deadline=None, max_examples=40)
CUT = "…"
FROM = {
    "case": "externalId",
    "outcome": "outcome",
    "decision": "act",
    "sha256": "fileHash",
    "name": "fname",
    "rule": "reason",
    "threat": "cs1",
    "technology": "cs2",
    "mode": "cs3",
    "scan_id": "cs4",
    "md5": "cs5",
    "source": "cs6",
}
FROM_CONTEXT = {
    "user": "suser",
    "method": "requestMethod",
    "url": "request",
    "proxy": "flexString2",
}

# surrogates too: names come from file systems and the network
signs = st.characters(codec=None) | st.sampled_from("\\=|\n\r \x00\x1b\u2028\udce9я😀…")
texts = st.none() | st.text(signs, max_size=40)
long_texts = texts | st.builds(
    lambda unit, times: unit * times, st.text(signs, min_size=1, max_size=3), st.integers(0, 9000)
)
LONG = ("name", "threat")
records = st.fixed_dictionaries(
    {key: long_texts if key in LONG else texts for key in FROM}
    | {
        "time": st.just("2026-11-24T10:15:00.123+03:00"),
        "case": st.from_regex(r"[0-9a-z]{16}", fullmatch=True),
        "sha256": st.none() | st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
        "outcome": st.sampled_from(OutcomeKind),
        "decision": st.sampled_from(Decision),
        "late": st.booleans(),
        "size": st.none() | st.integers(0, 1 << 60),
        "context": st.dictionaries(st.text(max_size=8), texts)
        | st.fixed_dictionaries(dict.fromkeys(FROM_CONTEXT, texts) | {"url": long_texts}),
    }
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(signs),
    lambda inner: st.dictionaries(st.text(signs, max_size=5), inner) | st.lists(inner),
    max_leaves=5,
)


def shown(value: str) -> str:
    """A value as a reader sees it: line ends stay, other signs that do harm become text."""
    return "".join(
        part if part in "\r\n" else printable(part) for part in re.split("([\r\n])", value)
    )


def check_value(value: object, got: str | None) -> None:
    if value is None or value == "":
        assert got is None
        return
    assert got is not None
    whole = shown(str(value))
    assert got == whole or (got.endswith(CUT) and whole.startswith(got[: -len(CUT)]))


def check(record: dict[str, object], line: str, limit: int) -> None:
    assert len(line.encode()) <= limit
    assert line.splitlines() == [line]
    assert line.isprintable()
    header, values = parse(line)
    assert header[:2] == ["katabridge", "katabridge"]
    assert 0 <= int(header[5]) <= 10
    for key in ("case", "outcome", "decision", "sha256"):
        assert values.get(FROM[key]) == record[key]
    for key, name in FROM.items():
        check_value(record[key], values.get(name))
    context = record["context"]
    assert isinstance(context, dict)
    for key, name in FROM_CONTEXT.items():
        check_value(context.get(key), values.get(name))


@unhurried
@given(records, st.text(signs, max_size=200), st.text(signs, min_size=1, max_size=200))
def test_it_can_be_read_back(record: dict[str, object], version: str, host: str) -> None:
    check(record, format_cef(record, version=version, host=host), MAX_BYTES)


@unhurried
@given(records, st.integers(MIN_BYTES, 9000))
def test_it_can_be_read_back_where_space_is_short(record: dict[str, object], limit: int) -> None:
    check(record, format_cef(record, version="1", host="h" * 300, max_bytes=limit), limit)


@unhurried
@given(records)
def test_nothing_is_cut_that_fits(record: dict[str, object]) -> None:
    line = format_cef(record, version="1", host="host", max_bytes=10_000_000)
    _, values = parse(line)
    cut = format_cef(record, version="1", host="host")
    if len(line.encode()) <= MAX_BYTES:
        assert cut == line
    else:
        assert len(cut.encode()) > MAX_BYTES - 1000  # nor more than must be
    for key, name in FROM.items():
        assert values.get(name, "") == shown(str(record[key] or ""))


@unhurried
@given(st.dictionaries(st.sampled_from([*FROM, "time", "late", "size", "context"]), anything))
def test_a_record_that_is_none_does_no_harm(record: dict[str, object]) -> None:
    line = format_cef(record, version="1", host="host", max_bytes=MIN_BYTES)
    assert len(line.encode()) <= MIN_BYTES
    assert line.isprintable()
    parse(line)
