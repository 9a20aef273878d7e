"""The Encapsulated header of requests (RFC 3507 4.4.1)."""

from __future__ import annotations

from tests.conformance.build import (
    EITHER,
    GET,
    LAST,
    MALFORMED,
    MAY,
    MUST,
    NOT_MODIFIED,
    OK,
    SHOULD,
    TEXT,
    case,
    chunk,
    refused,
    reqmod,
    respmod,
)
from tests.conformance.model import Case, Level

_BODY = len(GET + OK)
_LONG_OK = OK[:-2] + b"".join(b"X-%d: %b\r\n" % (i, b"v" * 500) for i in range(60)) + b"\r\n"


def _good(name: str, requirement: str, line: bytes, level: Level = MUST) -> Case:
    request = respmod(encapsulated=line % {b"g": len(GET), b"b": _BODY})
    return case(f"encapsulated-{name}", "4.4.1", level, requirement, request)


def _bad(name: str, requirement: str, line: bytes, level: Level = MUST) -> Case:
    line = line.replace(b"G", b"%d" % len(GET)).replace(b"B", b"%d" % _BODY)
    request = respmod(encapsulated=b"Encapsulated: " + line if line else b"", expect=MALFORMED)
    return case(f"encapsulated-{name}", "4.4.1", level, requirement, request)


def _bad_reqmod(name: str, requirement: str, line: bytes) -> Case:
    line = line.replace(b"G", b"%d" % len(GET))
    request = reqmod(encapsulated=b"Encapsulated: " + line if line else b"", expect=MALFORMED)
    return case(f"encapsulated-{name}", "4.4.1", MUST, requirement, request)


CASES = (
    case(
        "encapsulated-response-only",
        "4.4.1",
        MUST,
        "RESPMOD may leave the request head out.",
        respmod(heads=(b"", OK)),
    ),
    case(
        "encapsulated-body-only",
        "4.4.1",
        MUST,
        "RESPMOD may carry a body without any head.",
        respmod(
            b"Allow: 204",
            heads=(b"", b""),
            encapsulated=b"Encapsulated: res-body=0",
            may_change=True,
        ),
    ),
    case(
        "encapsulated-body-only-reqmod",
        "4.4.1",
        MUST,
        "REQMOD may carry a body without a head.",
        reqmod(
            b"Allow: 204",
            heads=(b"", b""),
            encapsulated=b"Encapsulated: req-body=0",
            may_change=True,
        ),
    ),
    case(
        "encapsulated-both-null-body",
        "4.4.1",
        MUST,
        "RESPMOD with both heads may have no body.",
        respmod(body=None, heads=(GET, NOT_MODIFIED)),
    ),
    case(
        "encapsulated-request-head-and-body",
        "4.4.1",
        MUST,
        "RESPMOD may leave the response head out.",
        respmod(b"Allow: 204", heads=(GET, b""), may_change=True),
    ),
    _good(
        "no-blanks",
        "Entries need no blank between them.",
        b"Encapsulated: req-hdr=0,res-hdr=%(g)d,res-body=%(b)d",
    ),
    _good(
        "tabs",
        "A tab separates as a blank does.",
        b"Encapsulated:\treq-hdr=0,\tres-hdr=%(g)d ,\tres-body=%(b)d",
    ),
    _good(
        "upper-case-name",
        "The field's name may be in large letters.",
        b"ENCAPSULATED: req-hdr=0, res-hdr=%(g)d, res-body=%(b)d",
    ),
    _good(
        "not-last",
        "Other fields may follow Encapsulated.",
        b"Encapsulated: req-hdr=0, res-hdr=%(g)d, res-body=%(b)d\r\nX-After: x",
    ),
    case(
        "encapsulated-30-kb-head",
        "4.4.1",
        SHOULD,
        "HTTP heads of 30 KB come back.",
        respmod(heads=(GET, _LONG_OK)),
    ),
    case(
        "encapsulated-repeated-same",
        "4.4.1",
        MAY,
        "Encapsulated twice with one value is taken once, or refused.",
        respmod(
            b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d" % (len(GET), _BODY), expect=EITHER
        ),
    ),
    case(
        "encapsulated-zero-length-head",
        "4.4.1",
        MAY,
        "A head of no bytes is taken for none, or refused.",
        respmod(
            b"Allow: 204",
            heads=(b"", OK),
            expect=EITHER,
            encapsulated=b"Encapsulated: req-hdr=0, res-hdr=0, res-body=%d" % len(OK),
        ),
    ),
    _bad("missing-respmod", "RESPMOD without Encapsulated is refused.", b""),
    _bad_reqmod("missing-reqmod", "REQMOD without Encapsulated is refused.", b""),
    _bad("empty", "An empty Encapsulated is refused.", b" "),
    _bad("first-not-zero", "The first offset is 0.", b"req-hdr=1, res-hdr=G, res-body=B"),
    _bad("falling", "Offsets do not fall.", b"req-hdr=0, res-hdr=B, res-body=G"),
    _bad(
        "far-beyond",
        "An offset that no head reaches is refused, not waited for.",
        b"req-hdr=0, res-hdr=G, res-body=999999999",
        SHOULD,
    ),
    _bad(
        "overflow",
        "An offset beyond 64 bits is refused.",
        b"req-hdr=0, res-hdr=G, res-body=18446744073709551740",
    ),
    _bad("negative", "An offset has no sign.", b"req-hdr=0, res-hdr=-1, res-body=B"),
    _bad("plus", "An offset has no plus sign.", b"req-hdr=+0, res-hdr=G, res-body=B", SHOULD),
    _bad("hexadecimal", "An offset is decimal.", b"req-hdr=0x0, res-hdr=G, res-body=B"),
    _bad("not-a-number", "An offset is a number.", b"req-hdr=0, res-hdr=G, res-body=end"),
    _bad("no-offset", "An entry has an offset.", b"req-hdr=0, res-hdr, res-body=B"),
    _bad("empty-offset", "An offset has digits.", b"req-hdr=0, res-hdr=, res-body=B"),
    _bad("blank-in-number", "A number holds no blank.", b"req-hdr=0, res-hdr=1 0, res-body=B"),
    _bad("unknown-entry", "An entry is one of the six.", b"req-hdr=0, xxx-hdr=G, res-body=B"),
    _bad("no-body-entry", "The last entry names the body.", b"req-hdr=0, res-hdr=G"),
    _bad("duplicate-entry", "No part is listed twice.", b"req-hdr=0, req-hdr=G, res-body=B"),
    _bad("two-bodies", "There is one body.", b"req-hdr=0, req-body=G, res-body=B"),
    _bad(
        "null-body-and-body",
        "A null-body comes with no other.",
        b"req-hdr=0, null-body=G, res-body=B",
    ),
    _bad("body-first", "The body comes last.", b"res-body=0, req-hdr=0, res-hdr=G"),
    _bad(
        "heads-swapped",
        "The request head comes before the response head.",
        b"res-hdr=0, req-hdr=G, res-body=B",
    ),
    _bad("semicolons", "Entries are separated by commas.", b"req-hdr=0; res-hdr=G; res-body=B"),
    _bad(
        "req-body-in-respmod", "RESPMOD carries no req-body.", b"req-hdr=0, res-hdr=G, req-body=B"
    ),
    _bad(
        "opt-body-in-respmod", "RESPMOD carries no opt-body.", b"req-hdr=0, res-hdr=G, opt-body=B"
    ),
    _bad_reqmod("res-body-in-reqmod", "REQMOD carries no res-body.", b"req-hdr=0, res-body=G"),
    _bad_reqmod("opt-body-in-reqmod", "REQMOD carries no opt-body.", b"req-hdr=0, opt-body=G"),
    case(
        "encapsulated-res-hdr-in-reqmod",
        "4.4.1",
        MUST,
        "REQMOD carries no response head.",
        reqmod(
            encapsulated=b"Encapsulated: req-hdr=0, res-hdr=%d, req-body=%d" % (len(GET), _BODY),
            heads=(GET, OK),
            expect=MALFORMED,
        ),
    ),
    case(
        "encapsulated-two-different",
        "4.4.1",
        MUST,
        "Two different Encapsulated are refused.",
        respmod(b"Encapsulated: req-hdr=0, null-body=%d" % len(GET), expect=MALFORMED),
    ),
    case(
        "encapsulated-two-different-reqmod",
        "4.4.1",
        MUST,
        "Two different Encapsulated of an upload are refused.",
        reqmod(b"Encapsulated: null-body=0", wire=chunk(TEXT) + LAST, expect=MALFORMED),
    ),
    case(
        "encapsulated-refused-keeps-status",
        "4.3.3",
        SHOULD,
        "What is malformed gets 400 even where the service does not exist, or 404.",
        respmod(
            uri=b"@BASE@/no/such/service",
            encapsulated=b"Encapsulated: res-hdr=5",
            expect=refused(400, 404, closes=True),
        ),
    ),
)
