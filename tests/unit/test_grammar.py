"""ICAP heads and chunk lines: what is taken, and what is refused with a sentence."""

from __future__ import annotations

import pytest

from icapd.protocol import Encapsulated, ProtocolError, clean_value
from icapd.protocol.encapsulated import BodyKind, parse_encapsulated
from icapd.protocol.grammar import (
    format_fields,
    parse_chunk_line,
    parse_fields,
    parse_number,
    parse_request_line,
)


def test_a_request_line() -> None:
    line = parse_request_line(b"RESPMOD icap://h:1344/av/respmod?x=1 ICAP/1.0")
    assert (line.method, line.uri) == ("RESPMOD", "icap://h:1344/av/respmod?x=1")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"RESPMOD",
        b"RESPMOD  icap://h/ ICAP/1.0",
        b"RESPMOD icap://h/ ICAP/1.0 ",
        b"RESPMOD icap://h/\t ICAP/1.0",
        b"RESP MOD icap://h/ ICAP/1.0",
        b"GET / HTTP/1.1",
        b"RESPMOD icap://h/ icap/1.0",
        b"RESPMOD icap://h/\x00 ICAP/1.0",
    ],
)
def test_what_is_no_request_line(line: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_request_line(line)
    assert caught.value.status == 400


def test_another_version_is_505() -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_request_line(b"OPTIONS icap://h/ ICAP/2.0")
    assert caught.value.status == 505


def test_fields_are_lower_case_stripped_and_merged() -> None:
    block = b"Host: h\r\nAllow: 204\r\nX-A:\t b c \r\nallow: 206\r\n"
    assert parse_fields(block) == {"host": "h", "allow": "204, 206", "x-a": "b c"}


@pytest.mark.parametrize(
    "block",
    [
        b"Host h\r\n",
        b"Host : h\r\n",
        b" Host: h\r\n",
        b"Host: h\r\n folded\r\n",
        b"Host: h\n",
        b"Host: a\nX: b\r\n",
        b"Host: a\rb\r\n",
        b"Host: a\x00\r\n",
        b": x\r\n",
        b"Encapsulated: req-hdr=0\r\nEncapsulated: req-hdr=1\r\n",
        b"Preview: 0\r\nPreview: 1024\r\n",
    ],
)
def test_malformed_fields(block: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_fields(block)


def test_the_same_framing_field_twice_is_one() -> None:
    assert parse_fields(b"Preview: 5\r\nPreview: 5\r\n") == {"preview": "5"}


@pytest.mark.parametrize("value", ["-1", "+1", "1_0", "0x10", " 1", "", "\u0661", "1" * 13])
def test_a_preview_that_is_no_number(value: str) -> None:
    with pytest.raises(ProtocolError, match="Preview is not a number"):
        parse_number({"preview": value}, "preview")


@pytest.mark.parametrize(
    ("line", "size", "ieof"),
    [
        (b"0", 0, False),
        (b"1f", 31, False),
        (b"1F", 31, False),
        (b"0; ieof", 0, True),
        (b"0;ieof", 0, True),
        (b"0; x=1; ieof", 0, True),
        (b"5;name=value", 5, False),
        (b"000000000000001", 1, False),
    ],
)
def test_chunk_lines(line: bytes, size: int, ieof: bool) -> None:
    chunk = parse_chunk_line(line)
    assert (chunk.size, chunk.ieof) == (size, ieof)


def test_a_chunk_line_that_names_an_offset() -> None:
    assert parse_chunk_line(b"0; use-original-body=10").use_original_body == 10


@pytest.mark.parametrize(
    ("line", "ieof"),
    [
        (b'0; foo="a; ieof; b"', False),
        (b'0; foo="a \\" b"; ieof', True),
        (b"0;a=b;IEOF", True),
        (b"0; ieofx", False),
    ],
)
def test_only_an_extension_of_its_own_is_ieof(line: bytes, ieof: bool) -> None:
    assert parse_chunk_line(line).ieof is ieof


@pytest.mark.parametrize(
    "line",
    [b"5;", b"0;;;", b"0; ieof=no", b"0; ieof; ieof", b"5;\x01=\xff", b'0; a="b', b"0; a =b"],
)
def test_extensions_that_are_none(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_chunk_line(line)


@pytest.mark.parametrize(
    "line",
    [b"", b"-1", b"+5", b"0x5", b"1_0", b" 5", b"5 ", b"g", b"f" * 16, b"5\n", b"5;a\x00", b"5 5"],
)
def test_chunk_sizes_that_smuggle(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="chunk size"):
        parse_chunk_line(line)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("null-body=0", Encapsulated()),
        ("req-hdr=0, null-body=10", Encapsulated(10)),
        ("req-hdr=0,req-body=10", Encapsulated(10, None, BodyKind.REQUEST)),
        ("req-hdr=0, res-hdr=5, res-body=9", Encapsulated(5, 4, BodyKind.RESPONSE)),
        ("res-hdr=0, res-body=0", Encapsulated(None, 0, BodyKind.RESPONSE)),
        ("REQ-HDR=0, Null-Body=10", Encapsulated(10)),
    ],
)
def test_encapsulated(value: str, expected: Encapsulated) -> None:
    assert parse_encapsulated(value) == expected
    assert parse_encapsulated(str(expected)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "req-hdr=0",
        "req-hdr=5, null-body=10",
        "req-hdr=0, res-hdr=20, res-body=10",
        "res-hdr=0, req-hdr=5, res-body=9",
        "req-hdr=0, req-hdr=5, null-body=9",
        "req-hdr=0, req-body=5, res-body=9",
        "req-hdr=-1, null-body=5",
        "req-hdr=0, null-body=+5",
        "req-hdr=0, null-body=0x5",
        "req-hdr=0; null-body=5",
        "req-hdr=0, null-body=1234567890",
        "req-hdr=0, body=5",
        "req-hdr, null-body=5",
    ],
)
def test_encapsulated_that_is_refused(value: str) -> None:
    with pytest.raises(ProtocolError):
        parse_encapsulated(value)


def test_our_own_fields_cannot_break_a_line() -> None:
    with pytest.raises(ValueError, match="line break"):
        format_fields([("X-Virus-ID", "a\r\nEvil: 1")])
    assert clean_value("a\r\nEvil: \u0416\x1b") == "a??Evil: ??"
