"""What every answer must hold, refusals among them (RFC 3507 4.3.3, 4.4.1, 4.7)."""

from __future__ import annotations

from tests.conformance import checks
from tests.conformance.build import (
    MALFORMED,
    MUST,
    PRACTICE,
    SHOULD,
    case,
    icap,
    options,
    raw,
    refused,
    reqmod,
    respmod,
    served,
)
from tests.conformance.model import At, Check, Expect, Request

_NOT_FOUND = b"@BASE@/no/such/service"
_NULL = b"Encapsulated: null-body=0"


def _bad(check: Check) -> Request:
    expect = Expect(False, MALFORMED.refused, closes=True, check=check)
    return respmod(encapsulated=b"Encapsulated: res-hdr=5", expect=expect)


def _unknown(check: Check) -> Request:
    return raw(icap(b"DELETE", _NULL), refused(501, check=check))


CASES = (
    case(
        "answer-200-respmod",
        "4.9.2",
        MUST,
        "A RESPMOD answer holds the response, not the request.",
        respmod(expect=served(checks.is_status(200))),
    ),
    case(
        "answer-200-reqmod",
        "4.8.2",
        MUST,
        "A REQMOD answer holds a request or a response.",
        reqmod(expect=served(checks.is_status(200))),
    ),
    case(
        "answer-istag-200", "4.7", MUST, "A 200 has an ISTag.", respmod(expect=served(checks.istag))
    ),
    case(
        "answer-istag-204",
        "4.7",
        MUST,
        "A 204 has an ISTag.",
        respmod(b"Allow: 204", expect=served(checks.istag)),
    ),
    case(
        "answer-istag-404",
        "4.7",
        MUST,
        "A 404 has an ISTag.",
        respmod(uri=_NOT_FOUND, expect=refused(404, check=checks.istag)),
    ),
    case("answer-istag-400", "4.7", MUST, "A 400 has an ISTag.", _bad(checks.istag)),
    case("answer-istag-501", "4.7", MUST, "A 501 has an ISTag.", _unknown(checks.istag)),
    case(
        "answer-istag-505",
        "4.7",
        MUST,
        "A 505 has an ISTag.",
        raw(
            icap(b"OPTIONS", _NULL).replace(b"ICAP/1.0", b"ICAP/2.0"),
            refused(505, check=checks.istag),
        ),
    ),
    case(
        "answer-istag-405",
        "4.7",
        MUST,
        "A 405 has an ISTag.",
        reqmod(expect=refused(405, check=checks.istag)),
        at=At.RESPMOD_ONLY,
    ),
    case(
        "answer-istag-all-same",
        "4.7",
        MUST,
        "200, 204 and OPTIONS answers have one ISTag.",
        respmod(),
        respmod(b"Allow: 204"),
        options(expect=served(checks.same_istag)),
    ),
    case(
        "answer-null-body-204",
        "4.4.1",
        SHOULD,
        "A 204 says that nothing is encapsulated.",
        respmod(b"Allow: 204", expect=served(checks.only_on(204, checks.null_body))),
    ),
    case(
        "answer-null-body-404",
        "4.4.1",
        SHOULD,
        "A 404 says that nothing is encapsulated.",
        respmod(uri=_NOT_FOUND, expect=refused(404, check=checks.null_body)),
    ),
    case(
        "answer-null-body-400",
        "4.4.1",
        SHOULD,
        "A 400 says that nothing is encapsulated.",
        _bad(checks.null_body),
    ),
    case(
        "answer-close-400",
        "RFC 2616 14.10",
        SHOULD,
        "A 400 announces that it ends the connection.",
        _bad(checks.says_close),
    ),
    case(
        "answer-no-transfer-encoding",
        "4.4",
        MUST,
        "No answer has Transfer-Encoding in ICAP's head.",
        respmod(expect=served(checks.lacks("transfer-encoding"))),
    ),
    case(
        "answer-no-content-length",
        "4.4",
        SHOULD,
        "No 200 has Content-Length in ICAP's head.",
        respmod(expect=served(checks.lacks("content-length"))),
    ),
    case(
        "answer-no-trailer",
        "4.3.1",
        MUST,
        "Trailer is not sent to who does not take trailers.",
        respmod(expect=served(checks.lacks("trailer"))),
    ),
    case(
        "answer-encapsulated-last",
        "practice",
        PRACTICE,
        "Encapsulated is the last field: ownCloud stops reading there.",
        respmod(expect=served(checks.encapsulated_last)),
    ),
    case(
        "answer-encapsulated-last-reqmod",
        "practice",
        PRACTICE,
        "Encapsulated is the last field of REQMOD answers, too.",
        reqmod(expect=served(checks.encapsulated_last)),
    ),
    case(
        "answer-date-format",
        "4.3.1",
        MUST,
        "Date on any answer is a date as HTTP/1.1 writes it.",
        respmod(expect=served(checks.date_format)),
    ),
)
