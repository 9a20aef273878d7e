"""ICAP request lines and header fields (RFC 3507 4.3, RFC 2616 4.2)."""

from __future__ import annotations

from tests.conformance.build import (
    IEOF,
    MUST,
    SERVED,
    SHOULD,
    TEXT,
    case,
    chunk,
    icap,
    options,
    raw,
    refused,
    reqmod,
    respmod,
)
from tests.conformance.model import At, Expect

_NULL = b"Encapsulated: null-body=0"


CASES = (
    case(
        "method-unknown",
        "4.3.3",
        MUST,
        "A method that ICAP does not know gets 501.",
        raw(icap(b"DELETE", _NULL), refused(501)),
    ),
    case(
        "method-lower-case",
        "4.3.2",
        SHOULD,
        "Methods are told apart by case.",
        raw(icap(b"options", _NULL), refused(400, 501)),
    ),
    case(
        "method-reqmod-not-offered",
        "4.3.3",
        MUST,
        "REQMOD where it is not offered gets 405.",
        reqmod(expect=refused(405)),
        at=At.RESPMOD_ONLY,
    ),
    case(
        "method-respmod-not-offered",
        "4.3.3",
        MUST,
        "RESPMOD where it is not offered gets 405.",
        respmod(expect=refused(405)),
        at=At.REQMOD_ONLY,
    ),
    case(
        "version-2-0",
        "4.3.3",
        MUST,
        "ICAP/2.0 gets 505.",
        raw(icap(b"OPTIONS", _NULL).replace(b"ICAP/1.0", b"ICAP/2.0"), refused(505, closes=True)),
    ),
    case(
        "version-1-1",
        "RFC 2616 3.1",
        SHOULD,
        "ICAP/1.1 is served as 1.0, or gets 505.",
        raw(
            icap(b"OPTIONS", _NULL).replace(b"ICAP/1.0", b"ICAP/1.1"),
            Expect(refused=frozenset({505})),
        ),
    ),
    case(
        "version-not-a-number",
        "4.3.2",
        MUST,
        "A version that is none is refused.",
        raw(
            icap(b"OPTIONS", _NULL).replace(b"ICAP/1.0", b"ICAP/x.y"),
            refused(400, 505, closes=True),
        ),
    ),
    case(
        "version-missing",
        "4.3.2",
        MUST,
        "A request line without a version is refused.",
        raw(icap(b"OPTIONS", _NULL).replace(b" ICAP/1.0", b""), refused(400, 505, closes=True)),
    ),
    case(
        "uri-missing",
        "4.3.2",
        MUST,
        "A request line without a URI is refused.",
        raw(b"OPTIONS ICAP/1.0\r\nHost: @HOST@\r\n\r\n", refused(400, 404, 505, closes=True)),
    ),
    case(
        "blank-line-first",
        "RFC 2616 4.1",
        SHOULD,
        "A blank line before a request is passed over.",
        raw(b"\r\n" + icap(b"OPTIONS", _NULL), SERVED),
    ),
    case(
        "blank-line-between",
        "RFC 2616 4.1",
        SHOULD,
        "A blank line between a body and the next request is passed over.",
        respmod(),
        raw(b"\r\n" + icap(b"OPTIONS", _NULL), SERVED),
    ),
    case(
        "field-names-lower-case",
        "RFC 2616 4.2",
        MUST,
        "Names may be in small letters.",
        raw(b"OPTIONS @URI@ ICAP/1.0\r\nhost: @HOST@\r\nencapsulated: null-body=0\r\n\r\n", SERVED),
    ),
    case(
        "field-names-mixed",
        "RFC 2616 4.2",
        MUST,
        "Names of fields that decide may be mixed.",
        respmod(b"aLLoW: 204", b"PREVIEW: 1024", wire=chunk(TEXT) + IEOF),
    ),
    case(
        "field-no-blank",
        "RFC 2616 4.2",
        MUST,
        "No blank is needed behind the colon.",
        respmod(b"Allow:204", b"X-Empty:"),
    ),
    case(
        "field-blanks-around",
        "RFC 2616 4.2",
        MUST,
        "Blanks and tabs around a value are no part.",
        respmod(b"Preview: \t 1024 \t ", wire=chunk(TEXT) + IEOF),
    ),
    case(
        "field-8-bit",
        "RFC 2616 2.2",
        MUST,
        "Values may hold bytes above 127.",
        respmod(b"X-Client-Username: \xd0\xb8\xd0\xb2\xd0\xb0\xd0\xbd \xff"),
    ),
    case(
        "field-of-8-kb",
        "4.3",
        SHOULD,
        "A value of 8 KB is taken.",
        respmod(b"X-Authenticated-Groups: " + b"g" * 8192),
    ),
    case(
        "head-of-30-kb",
        "4.3",
        SHOULD,
        "A head of 30 KB in 60 fields is taken.",
        respmod(*(b"X-Group-%d: %b" % (i, b"g" * 500) for i in range(60))),
    ),
    case(
        "fields-repeated",
        "RFC 2616 4.2",
        MUST,
        "Fields that are not known may be repeated.",
        options(b"X-A: 1", b"X-A: 2", b"x-a: 3", _NULL),
    ),
)
