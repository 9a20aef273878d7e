"""Odd HTTP heads inside ICAP messages: they are passed on, not judged."""

from __future__ import annotations

from tests.conformance.build import (
    GET,
    MAY,
    OK,
    PRACTICE,
    PUT,
    TEXT,
    case,
    reqmod,
    respmod,
)
from tests.conformance.model import Case


def _inside(name: str, requirement: str, head: bytes) -> Case:
    request = respmod(heads=(GET, head))
    return case(f"inside-{name}", "practice", PRACTICE, requirement, request)


def _inside_reqmod(name: str, requirement: str, head: bytes, body: bytes | None = TEXT) -> Case:
    request = reqmod(heads=(head, b""), body=body)
    return case(f"inside-{name}", "practice", PRACTICE, requirement, request)


CASES = (
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
