"""Request lines, header fields, and odd HTTP heads inside (RFC 3507 4.3, RFC 2616)."""

from __future__ import annotations

from tests.conformance.build import (
    GET,
    IEOF,
    MAY,
    MUST,
    OK,
    PRACTICE,
    PUT,
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
from tests.conformance.model import At, Case, Expect

_NULL = b"Encapsulated: null-body=0"


def _inside(name: str, requirement: str, head: bytes) -> Case:
    request = respmod(heads=(GET, head))
    return case(f"inside-{name}", "practice", PRACTICE, requirement, request)


def _inside_reqmod(name: str, requirement: str, head: bytes, body: bytes | None = TEXT) -> Case:
    request = reqmod(heads=(head, b""), body=body)
    return case(f"inside-{name}", "practice", PRACTICE, requirement, request)


_LINES = (
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

_INSIDE = (
    _inside("request-line-in-response", "A request line in res-hdr is passed on: ownCloud.", PUT),
    _inside("not-http", "A response head that is no HTTP is passed on.", b"+OK message\r\n\r\n"),
    _inside(
        "length-too-large",
        "A Content-Length that is too large does not count.",
        OK[:-2] + b"Content-Length: 999999\r\n\r\n",
    ),
    _inside(
        "length-too-small",
        "A Content-Length that is too small does not count.",
        OK[:-2] + b"Content-Length: 1\r\n\r\n",
    ),
    _inside(
        "length-twice",
        "Two different Content-Length inside do not matter: c-icap-client.",
        OK[:-2] + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ),
    _inside(
        "chunked",
        "Transfer-Encoding inside does not frame the ICAP body.",
        OK[:-2] + b"Transfer-Encoding: chunked\r\n\r\n",
    ),
    _inside(
        "chunked-and-length",
        "Both framings inside at once do not matter.",
        OK[:-2] + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
    ),
    _inside(
        "no-reason", "A status line without a reason is passed on.", b"HTTP/1.1 200\r\nX: y\r\n\r\n"
    ),
    _inside(
        "http-2", "A response that names HTTP/2 is passed on.", b"HTTP/2 200 OK\r\nX: y\r\n\r\n"
    ),
    _inside("bare", "A response of a status line alone is passed on.", b"HTTP/1.0 200 OK\r\n\r\n"),
    _inside(
        "204-with-a-body",
        "A 204 from the origin that has a body is passed on.",
        b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    ),
    _inside(
        "folded-field",
        "A folded field of the origin is passed on.",
        OK[:-2] + b"X-Long: a\r\n b\r\n\r\n",
    ),
    _inside(
        "nameless-field",
        "A broken field of the origin is passed on.",
        OK[:-2] + b"no colon here\r\n: no name\r\n\r\n",
    ),
    _inside(
        "8-bit",
        "Bytes above 127 in the origin's head are passed on.",
        OK[:-2] + b"Content-Disposition: attachment; filename=\xe4\xff.txt\r\n\r\n",
    ),
    _inside_reqmod("get-with-a-body", "A GET that carries a body is taken: c-icap-client.", GET),
    _inside_reqmod("http-0-9", "A request of HTTP/0.9's kind is taken.", b"GET /a\r\n\r\n", None),
    _inside_reqmod(
        "connect",
        "A CONNECT is taken.",
        b"CONNECT origin.example:443 HTTP/1.1\r\nHost: origin.example:443\r\n\r\n",
        None,
    ),
    _inside_reqmod(
        "options-star",
        "An HTTP OPTIONS of `*` is taken.",
        b"OPTIONS * HTTP/1.1\r\nHost: origin.example\r\n\r\n",
        None,
    ),
    _inside_reqmod(
        "relative-uri",
        "A request with a path alone is taken.",
        b"POST /form HTTP/1.1\r\nHost: origin.example\r\n\r\n",
    ),
    _inside_reqmod(
        "expect-100",
        "`Expect: 100-continue` inside asks nothing of an ICAP server.",
        PUT[:-2] + b"Expect: 100-continue\r\n\r\n",
    ),
    _inside_reqmod(
        "connection-close",
        "`Connection: close` inside does not end ICAP's connection.",
        PUT[:-2] + b"Connection: close\r\n\r\n",
    ),
    _inside_reqmod(
        "long-uri",
        "A URI of 8 KB inside is taken.",
        b"GET http://origin.example/?q=" + b"q" * 8192 + b" HTTP/1.1\r\n\r\n",
        None,
    ),
    case(
        "inside-null-body-with-length",
        "practice",
        PRACTICE,
        "A body that the head announces and the proxy keeps back is answered: UserGate.",
        respmod(
            b"Allow: 204",
            body=None,
            may_change=True,
            heads=(GET, OK[:-2] + b"Content-Length: 500\r\n\r\n"),
        ),
    ),
    case(
        "inside-head-response",
        "4.4.1",
        MAY,
        "The answer to HEAD has a length and no body.",
        respmod(
            body=None,
            heads=(GET.replace(b"GET", b"HEAD"), OK[:-2] + b"Content-Length: 500\r\n\r\n"),
        ),
    ),
)

CASES = (*_LINES, *_INSIDE)
