"""Heads that servers and proxies could read in two ways (RFC 2616 4.2)."""

from __future__ import annotations

from tests.conformance.build import (
    EITHER,
    GET,
    MALFORMED,
    MAY,
    MUST,
    OK,
    SHOULD,
    case,
    icap,
    options,
    raw,
    refused,
    respmod,
)
from tests.conformance.model import Case, Level

_NULL = b"Encapsulated: null-body=0"
_GRAMMAR = "RFC 2616 4.2"


def _field(name: str, requirement: str, line: bytes, level: Level = MUST) -> Case:
    request = options(line, _NULL, expect=MALFORMED)
    return case(f"head-{name}", _GRAMMAR, level, requirement, request)


CASES = (
    _field("nul", "NUL in a head is refused.", b"X-A: a\0b"),
    _field("bare-lf", "A line that ends with LF alone is refused.", b"X-A: a\nX-B: b", SHOULD),
    _field("bare-cr", "A CR of its own in a value is refused.", b"X-A: a\rX-B: b", SHOULD),
    _field("blank-before-colon", "A blank before the colon is refused.", b"X-A : a", SHOULD),
    _field("no-colon", "A field without a colon is refused.", b"just words"),
    _field("no-name", "A field without a name is refused.", b": value"),
    _field("blank-in-name", "A name with a blank in it is refused.", b"X A: a"),
    _field("control-in-name", "A name with a control character is refused.", b"X\x01A: a"),
    _field("8-bit-name", "A name with bytes above 127 is refused.", b"X-\xe4: a"),
    case(
        "head-lf-only",
        "RFC 2616 19.3",
        MAY,
        "A head with LF line ends is served or refused.",
        raw(icap(b"OPTIONS", _NULL).replace(b"\r\n", b"\n") + b"\r\n\r\n", EITHER),
    ),
    case(
        "head-folded",
        "RFC 9112 5.2",
        MAY,
        "A folded field is unfolded or refused.",
        options(b"X-A: a", b" b", _NULL, expect=EITHER),
    ),
    case(
        "head-folded-encapsulated",
        "RFC 9112 5.2",
        MUST,
        "A folded Encapsulated is read as a whole or refused.",
        respmod(
            encapsulated=b"Encapsulated: req-hdr=0, res-hdr=%d,\r\n res-body=%d"
            % (len(GET), len(GET + OK)),
            expect=EITHER,
        ),
    ),
    case(
        "head-folded-first",
        _GRAMMAR,
        MUST,
        "A head that begins with a folded line is refused.",
        raw(b"OPTIONS @URI@ ICAP/1.0\r\n Host: @HOST@\r\n\r\n", MALFORMED),
    ),
    case(
        "line-two-blanks",
        "4.3.2",
        SHOULD,
        "Two blanks in the request line are refused.",
        raw(icap(b"OPTIONS", _NULL).replace(b" ICAP/", b"  ICAP/"), MALFORMED),
    ),
    case(
        "line-tab",
        "4.3.2",
        SHOULD,
        "A tab in the request line is refused.",
        raw(icap(b"OPTIONS", _NULL).replace(b" ICAP/", b"\tICAP/"), MALFORMED),
    ),
    case(
        "line-leading-blank",
        "4.3.2",
        SHOULD,
        "A blank before the method is refused.",
        raw(b" " + icap(b"OPTIONS", _NULL), refused(400, 501, closes=True)),
    ),
    case(
        "line-trailing-words",
        "4.3.2",
        MUST,
        "Words behind the version are refused.",
        raw(
            icap(b"OPTIONS", _NULL).replace(b"/1.0\r", b"/1.0 x\r"), refused(400, 505, closes=True)
        ),
    ),
    case(
        "line-nul",
        "4.3.2",
        MUST,
        "NUL in the request line is refused.",
        raw(icap(b"OPTIONS", _NULL).replace(b" ICAP/", b"\0 ICAP/"), MALFORMED),
    ),
)
