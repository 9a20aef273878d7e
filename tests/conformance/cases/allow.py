"""Where 204 and 206 are legal (RFC 3507 4.6, draft-icap-ext-partial-content-07)."""

from __future__ import annotations

from tests.conformance import checks
from tests.conformance.build import (
    IEOF,
    LAST,
    MUST,
    PRACTICE,
    TEXT,
    case,
    chunk,
    options,
    reqmod,
    respmod,
    served,
)
from tests.conformance.model import Case

_WHOLE = served(checks.is_status(200))
_NOT_206 = served(checks.is_status(200, 204))


def _never_204(name: str, section: str, requirement: str, *fields: bytes) -> Case:
    return case(f"allow-{name}", section, MUST, requirement, respmod(*fields, expect=_WHOLE))


def _may_204(name: str, section: str, requirement: str, *fields: bytes) -> Case:
    return case(f"allow-{name}", section, MUST, requirement, respmod(*fields))


_PARTIAL = "draft-206"

CASES = (
    _never_204("none", "4.6", "Without Allow the whole response comes back."),
    _never_204("empty", "4.6", "An empty Allow allows nothing.", b"Allow:"),
    _never_204(
        "206-alone",
        _PARTIAL,
        "Without a preview 206 alone allows neither 204 nor 206.",
        b"Allow: 206",
    ),
    _never_204(
        "trailers-alone", "4.6", "`Allow: trailers` does not allow 204.", b"Allow: trailers"
    ),
    _never_204("longer-number", "4.6", "2040 and 1204 are not 204.", b"Allow: 2040, 1204"),
    _never_204("other-field", "4.6", "204 in another field allows nothing.", b"X-Allow: 204"),
    _never_204(
        "squid-chunked", _PARTIAL, "`Allow: 206, trailers` allows no 204.", b"Allow: 206, trailers"
    ),
    case(
        "allow-none-reqmod",
        "4.6",
        MUST,
        "Without Allow the whole upload comes back.",
        reqmod(expect=_WHOLE),
    ),
    case(
        "allow-none-get",
        "4.6",
        MUST,
        "Without Allow a GET comes back.",
        reqmod(body=None, expect=_WHOLE),
    ),
    _may_204("204", "4.6", "With `Allow: 204` 204 or the response comes back.", b"Allow: 204"),
    case(
        "allow-204-reqmod",
        "4.6",
        MUST,
        "With `Allow: 204` 204 or the upload comes back.",
        reqmod(b"Allow: 204"),
    ),
    case(
        "allow-204-get",
        "4.6",
        MUST,
        "With `Allow: 204` 204 or the GET comes back.",
        reqmod(b"Allow: 204", body=None),
    ),
    _may_204("blanks", "4.6", "Blanks around items do not matter.", b"Allow:  204 ,\ttrailers "),
    _may_204("204-and-206", _PARTIAL, "With both, 200, 204 and 206 are legal.", b"Allow: 204, 206"),
    _may_204("tight-list", _PARTIAL, "A list needs no blanks.", b"Allow: 206,204,trailers"),
    _may_204(
        "unknown-items",
        "4.6",
        "Items that are not known are passed over.",
        b"Allow: x-new, 204, 299",
    ),
    case(
        "allow-repeated",
        "practice",
        PRACTICE,
        "Allow on several lines is one list: c-icap-client.",
        respmod(b"Allow: 204", b"Allow: 206"),
    ),
    case(
        "allow-repeated-204-last",
        "practice",
        PRACTICE,
        "204 on a second line does not harm the first.",
        respmod(b"Allow: trailers", b"Allow: 204"),
    ),
    case(
        "allow-206-in-preview",
        "draft-206",
        MUST,
        "Within a preview `Allow: 206` is enough for 206.",
        respmod(b"Allow: 206", b"Preview: 1024", wire=chunk(TEXT) + IEOF),
    ),
    case(
        "allow-206-after-100",
        "draft-206",
        MUST,
        "After 100, 206 alone allows neither 204 nor 206.",
        respmod(
            b"Allow: 206",
            b"Preview: 4",
            body=TEXT[:4],
            wire=chunk(TEXT[:4]) + LAST,
            rest=TEXT[4:],
            expect=_WHOLE,
        ),
    ),
    case(
        "allow-both-after-100",
        "draft-206",
        MUST,
        "After 100, both together allow 204 and 206.",
        respmod(
            b"Allow: 204, 206",
            b"Preview: 4",
            body=TEXT[:4],
            wire=chunk(TEXT[:4]) + LAST,
            rest=TEXT[4:],
        ),
    ),
    case(
        "allow-206-never-offered",
        "draft-206",
        MUST,
        "206 is not sent to who did not offer it.",
        respmod(b"Allow: 204", b"Preview: 1024", wire=chunk(TEXT) + IEOF, expect=_NOT_206),
    ),
    case(
        "allow-206-null-body",
        "draft-206",
        MUST,
        "A message without a body is never a 206.",
        reqmod(b"Allow: 204, 206", body=None, expect=_NOT_206),
    ),
    case(
        "allow-206-null-body-preview",
        "draft-206",
        MUST,
        "A GET with `Preview: 0` is never answered with 206.",
        reqmod(b"Allow: 204, 206", b"Preview: 0", body=None, expect=_NOT_206),
    ),
    case(
        "allow-206-upload",
        "draft-206",
        MUST,
        "An upload's preview may be answered with 206.",
        reqmod(
            b"Allow: 204, 206",
            b"Preview: 4",
            body=TEXT[:4],
            wire=chunk(TEXT[:4]) + LAST,
            rest=TEXT[4:],
        ),
    ),
    case(
        "allow-204-in-options",
        "4.10",
        MUST,
        "Allow does not turn OPTIONS into 204.",
        options(b"Allow: 204", b"Encapsulated: null-body=0", expect=_WHOLE),
    ),
    case(
        "allow-206-squid",
        "practice",
        PRACTICE,
        "Squid's preview with `Allow: 206, trailers` gets the whole message after 100.",
        respmod(
            b"Allow: 206, trailers",
            b"Preview: 4",
            body=TEXT[:4],
            wire=chunk(TEXT[:4]) + LAST,
            rest=TEXT[4:],
            expect=_WHOLE,
        ),
    ),
)
