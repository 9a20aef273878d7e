"""Chunk framing that servers and proxies could read in two ways."""

from __future__ import annotations

from tests.conformance.build import (
    EITHER,
    LAST,
    MALFORMED,
    MAY,
    MUST,
    PRACTICE,
    SHOULD,
    TEXT,
    TOO_LONG,
    case,
    chunk,
    reqmod,
    respmod,
)
from tests.conformance.model import Case, Expect, Level

_SIZE = "RFC 2616 3.6.1"
_DATA = b"\r\n" + TEXT + b"\r\n"


def _chunked(
    name: str, requirement: str, wire: bytes, level: Level = MUST, expect: Expect = MALFORMED
) -> Case:
    request = respmod(wire=wire, expect=expect)
    return case(f"chunk-{name}", _SIZE, level, requirement, request)


def _size(name: str, requirement: str, size: bytes, level: Level = MUST) -> Case:
    return _chunked(f"size-{name}", requirement, size + _DATA + LAST, level)


CASES = (
    _size("minus", "A size has no minus sign.", b"-18"),
    _size("plus", "A size has no plus sign.", b"+18"),
    _size("0x", "A size has no 0x before it.", b"0x18"),
    _size("underscore", "A size has no underscores.", b"1_8"),
    _size("leading-blank", "No blank comes before a size.", b" 18"),
    _size("leading-tab", "No tab comes before a size.", b"\t18"),
    _size("inner-blank", "No blank is within a size.", b"1 8"),
    _size("not-hexadecimal", "A size is hexadecimal.", b"1g"),
    _size("not-ascii", "Digits are ASCII's.", "１８".encode()),
    _size("point", "A size has no fraction.", b"18.0"),
    _size("17-digits", "2^64 and 24 is not 24.", b"10000000000000018"),
    _size("25-digits", "A size of 25 digits is refused.", b"1000000000000000000000018"),
    _size(
        "2-to-the-63",
        "A size that turns negative in 64 bits is refused.",
        b"8000000000000018",
        SHOULD,
    ),
    _size("32-bit", "2^64 less 1 is refused, not waited for.", b"ffffffffffffffff", SHOULD),
    _size("extension-alone", "A size has digits before its extension.", b";a=b"),
    _size("nul", "A size line holds no NUL.", b"18\0"),
    _size("bare-cr", "A size line holds no CR of its own.", b"18\r;x"),
    _size("quoted", "A size is not quoted.", b'"18"'),
    _chunked(
        "size-trailing-blank",
        "A blank behind a size is passed over or refused.",
        b"18 " + _DATA + LAST,
        MAY,
        EITHER,
    ),
    _chunked(
        "size-empty",
        "A size line that is empty within a body is refused.",
        chunk(TEXT) + b"\r\n" + chunk(TEXT) + LAST,
    ),
    _chunked(
        "blank-lines-first",
        "More than one blank line before the first size is refused.",
        b"\r\n\r\n\r\n" + chunk(TEXT) + LAST,
        SHOULD,
    ),
    _chunked(
        "size-bare-lf",
        "A size line ends with CRLF, not LF.",
        b"18\n" + TEXT + b"\r\n" + LAST,
        SHOULD,
    ),
    _chunked(
        "data-bare-lf",
        "A chunk's data ends with CRLF, not LF.",
        b"18\r\n" + TEXT + b"\n" + LAST,
        SHOULD,
    ),
    _chunked(
        "last-bare-lf",
        "The last chunk ends with CRLF, not LF.",
        chunk(TEXT) + b"0\n\n" + LAST,
        SHOULD,
    ),
    _chunked(
        "longer-than-size",
        "A chunk longer than its size is refused.",
        b"10\r\n" + TEXT + b"\r\n" + LAST,
    ),
    _chunked(
        "shorter-than-size",
        "A chunk shorter than its size is refused.",
        b"1a\r\n" + TEXT + b"\r\n" + LAST,
    ),
    _chunked(
        "data-without-end",
        "Data runs into the next size only with CRLF between.",
        b"18\r\n" + TEXT + LAST,
    ),
    _chunked("last-0x0", "The last chunk is 0, not 0x0.", chunk(TEXT) + b"0x0\r\n\r\n"),
    _chunked("last-minus-0", "The last chunk has no sign.", chunk(TEXT) + b"-0\r\n\r\n"),
    _chunked(
        "ieof-with-data",
        "ieof on a chunk with data means nothing, or is refused.",
        chunk(TEXT, b"; ieof") + LAST,
        MAY,
        EITHER,
    ),
    case(
        "chunk-ieof-with-data-in-preview",
        "4.5",
        MAY,
        "ieof on a chunk with data does not end a preview; it may be refused.",
        respmod(b"Preview: 1024", wire=chunk(TEXT, b"; ieof") + LAST, rest=b"more", expect=EITHER),
    ),
    _chunked(
        "line-of-64-kb",
        "A size line of 64 KB is refused.",
        b"18;" + b"x" * 65536 + _DATA + LAST,
        PRACTICE,
        TOO_LONG,
    ),
    _chunked(
        "line-of-1-mb",
        "A size line of 1 MB is refused, not kept.",
        b"18;" + b"x" * (1 << 20) + _DATA + LAST,
        PRACTICE,
        TOO_LONG,
    ),
    _chunked(
        "size-of-zeros",
        "A size of 64 KB of zeros is refused.",
        b"0" * 65536 + b"18" + _DATA + LAST,
        PRACTICE,
        TOO_LONG,
    ),
    _chunked(
        "trailer-no-colon",
        "A trailer without a colon is refused.",
        chunk(TEXT) + b"0\r\ngarbage\r\n\r\n",
    ),
    _chunked(
        "trailer-blank-before-colon",
        "A trailer with a blank before its colon is refused.",
        chunk(TEXT) + b"0\r\nX-Sum : 1\r\n\r\n",
        SHOULD,
    ),
    _chunked(
        "trailer-nul",
        "A trailer with NUL in it is refused.",
        chunk(TEXT) + b"0\r\nX-Sum: \0\r\n\r\n",
        SHOULD,
    ),
    _chunked(
        "trailer-like-a-request",
        "A request that stands where trailers are due is refused.",
        chunk(TEXT) + b"0\r\nOPTIONS @URI@ ICAP/1.0\r\nHost: h\r\n\r\n",
        SHOULD,
    ),
    _chunked(
        "trailers-of-1-mb",
        "Trailers of 1 MB are refused, not kept.",
        chunk(TEXT) + b"0\r\nX-Sum: " + b"1" * (1 << 20) + b"\r\n\r\n",
        PRACTICE,
        TOO_LONG,
    ),
    _chunked("none", "A body that is not chunked is refused.", TEXT + b"\r\n" + LAST),
    case(
        "chunk-size-minus-reqmod",
        _SIZE,
        MUST,
        "An upload's size has no sign.",
        reqmod(wire=b"-1\r\n" + TEXT + b"\r\n" + LAST, expect=MALFORMED),
    ),
    case(
        "chunk-size-in-preview",
        _SIZE,
        MUST,
        "A preview's sizes are read as strictly.",
        respmod(b"Preview: 1024", wire=b"+18" + _DATA + LAST, expect=MALFORMED),
    ),
    case(
        "chunk-size-after-100",
        _SIZE,
        MUST,
        "What follows 100 is read as strictly.",
        respmod(
            b"Preview: 0",
            body=b"",
            wire=LAST,
            rest=TEXT,
            rest_wire=b"0x18" + _DATA + LAST,
            expect=MALFORMED,
        ),
    ),
)
