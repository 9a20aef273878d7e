"""Connections: one request after another, and how they end (RFC 3507 4.1, RFC 2616 8.1, 14.10)."""

from __future__ import annotations

from tests.conformance.build import (
    CUT,
    GET,
    IEOF,
    LAST,
    MALFORMED,
    MUST,
    NOT_MODIFIED,
    OK,
    PRACTICE,
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
    served,
)
from tests.conformance.model import Case, Request

_CLOSE = served(closes=True)
_NO_BODY = respmod(body=None, heads=(GET, NOT_MODIFIED))
_BODY = respmod()
_IEOF = respmod(b"Preview: 1024", wire=chunk(TEXT) + IEOF)
_MORE = respmod(b"Preview: 4", body=TEXT[:4], wire=chunk(TEXT[:4]) + LAST, rest=TEXT[4:])
_GET = reqmod(b"Preview: 0", body=None)
_PUT = reqmod()
_PUT_MORE = reqmod(b"Preview: 0", body=b"", wire=LAST, rest=TEXT)


def _row(name: str, requirement: str, *requests: Request) -> Case:
    return case(f"sequence-{name}", "4.1", MUST, requirement, *requests)


def _cut(name: str, what: str, request: Request, keep: int) -> Case:
    """A client that stops after `keep` bytes of its request (counted from the end if negative)."""
    half = Request(request.method, (request.steps[0][:keep],), CUT, ends=True)
    requirement = f"A client that ends {what} is not answered as if all had come."
    return case(f"cut-{name}", "RFC 2616 8.2", MUST, requirement, half)


CASES = (
    _row("body-then-none", "A null-body after a body is complete by itself.", _BODY, _NO_BODY),
    _row("none-then-body", "A body after a null-body is read.", _NO_BODY, _BODY),
    _row("ieof-then-body", "A body after one that ended in ieof is read in full.", _IEOF, _BODY),
    _row("ieof-then-more", "A preview after one that ended in ieof is continued.", _IEOF, _MORE),
    _row("body-then-preview", "A preview after a body without one is continued.", _BODY, _MORE),
    _row(
        "more-then-body", "A body without preview after a continued one gets no 100.", _MORE, _BODY
    ),
    _row("more-then-none", "A null-body after a continued preview is complete.", _MORE, _NO_BODY),
    _row("more-then-ieof", "ieof after a continued preview gets no 100.", _MORE, _IEOF),
    _row("more-twice", "Two continued previews follow one another.", _MORE, _MORE),
    _row("get-then-put", "An upload after a GET with `Preview: 0` is read.", _GET, _PUT),
    _row("put-then-get", "A GET after an upload waits for no body.", _PUT, _GET),
    _row("put-more-then-get", "A GET after a continued upload is not continued.", _PUT_MORE, _GET),
    _row(
        "trailers-then-body",
        "What follows trailers is the next request.",
        respmod(wire=chunk(TEXT) + b"0\r\nX-Sum: 1\r\n\r\n"),
        _BODY,
    ),
    _row("options-between", "OPTIONS comes between other requests.", _BODY, options(), _MORE),
    _row("ten", "Ten requests share a connection.", *[_BODY, _NO_BODY] * 5),
    _row(
        "allowed-then-not",
        "`Allow: 204` counts for its own request only.",
        respmod(b"Allow: 204"),
        _BODY,
    ),
    case(
        "sequence-after-404",
        "4.3.3",
        SHOULD,
        "After 404 the connection is kept, or closed with word.",
        respmod(uri=b"@BASE@/no/such/service", expect=refused(404)),
    ),
    case(
        "sequence-good-then-bad",
        "4.3.3",
        MUST,
        "A good request is answered although a malformed one follows it.",
        _BODY,
        respmod(wire=b"-1\r\n" + LAST, expect=MALFORMED),
    ),
    case(
        "close-options",
        "RFC 2616 14.10",
        MUST,
        "`Connection: close` ends the connection.",
        options(b"Connection: close", b"Encapsulated: null-body=0", expect=_CLOSE),
    ),
    case(
        "close-body",
        "RFC 2616 14.10",
        MUST,
        "`Connection: close` ends it behind a body, too.",
        respmod(b"Connection: close", expect=_CLOSE),
    ),
    case(
        "close-204",
        "RFC 2616 14.10",
        MUST,
        "`Connection: close` ends it behind 204.",
        respmod(b"Connection: close", b"Allow: 204", expect=_CLOSE),
    ),
    case(
        "close-preview-more",
        "RFC 2616 14.10",
        MUST,
        "`Connection: close` waits for the answer to a continued preview.",
        respmod(
            b"Connection: close",
            b"Preview: 4",
            body=TEXT[:4],
            wire=chunk(TEXT[:4]) + LAST,
            rest=TEXT[4:],
            expect=_CLOSE,
        ),
    ),
    case(
        "close-upper-case",
        "RFC 2616 14.10",
        MUST,
        "The word close has no case.",
        options(b"Connection: Close", b"Encapsulated: null-body=0", expect=_CLOSE),
    ),
    case(
        "close-in-a-list",
        "RFC 2616 14.10",
        MUST,
        "close counts among other words.",
        options(b"Connection: x-other, close", b"Encapsulated: null-body=0", expect=_CLOSE),
    ),
    case(
        "close-reqmod",
        "RFC 2616 14.10",
        MUST,
        "`Connection: close` ends it behind a GET.",
        reqmod(b"Connection: close", body=None, expect=_CLOSE),
    ),
    case(
        "keep-alive-word",
        "RFC 2616 8.1",
        SHOULD,
        "`Connection: keep-alive` changes nothing.",
        respmod(b"Connection: keep-alive"),
        _BODY,
    ),
    case(
        "half-closed-client",
        "practice",
        PRACTICE,
        "A client that closes its sending side behind a whole request is answered.",
        respmod(ends=True),
    ),
    _cut("in-head", "in the ICAP head", _BODY, 40),
    _cut("in-http-head", "in the HTTP head", _BODY, -len(chunk(TEXT) + LAST) - len(OK)),
    _cut("in-chunk", "within a chunk", _BODY, -len(LAST) - 10),
    _cut("between-chunks", "between two chunks", _BODY, -len(LAST)),
    _cut("in-last-chunk", "within the last chunk", _BODY, -2),
    _cut("in-preview", "within the preview", _IEOF, -len(IEOF)),
    _cut("in-upload", "within an upload", _PUT, -len(LAST) - 3),
    case(
        "nothing-sent",
        "practice",
        PRACTICE,
        "A connection on which nothing is asked is closed without a word.",
        raw(b"", CUT, ends=True),
    ),
    case(
        "cut-after-a-good-one",
        "RFC 2616 8.2",
        MUST,
        "A request that is cut off does not spoil the answer to the one before it.",
        options(),
        Request("RESPMOD", (icap(b"RESPMOD")[:-4],), CUT, ends=True),
    ),
)
