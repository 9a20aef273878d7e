"""What is too long to be kept, and what is no ICAP at all."""

from __future__ import annotations

from tests.conformance.build import (
    CUT,
    GET,
    MALFORMED,
    MAY,
    OK,
    PRACTICE,
    TOO_LONG,
    case,
    icap,
    options,
    raw,
    refused,
    respmod,
)
from tests.conformance.model import Case, Expect

_NULL = b"Encapsulated: null-body=0"


_OTHER_STATUS = refused(400, 501, 505, closes=True)
_HELLO = (
    b"\x16\x03\x01\x00\x5f\x01\x00\x00\x5b\x03\x03"
    + bytes(range(128, 160))
    + b"\x00\x00\x02\x13\x01\x01\x00\x00\x30"
    + b"\x00\x2b\x00\x03\x02\x03\x04"
    + b"\0" * 41
)


def _alien(name: str, requirement: str, data: bytes, expect: Expect = MALFORMED) -> Case:
    ends = expect.silent
    return case(f"alien-{name}", "4.3.3", PRACTICE, requirement, raw(data, expect, ends=ends))


CASES = (
    case(
        "head-over-64-kb",
        "practice",
        MAY,
        "A head of 70 KB is served, or refused as too long.",
        options(b"X-A: " + b"a" * 70_000, _NULL, expect=Expect(refused=TOO_LONG.refused)),
    ),
    case(
        "head-of-1-mb",
        "practice",
        PRACTICE,
        "A head of 1 MB is refused, not kept.",
        options(b"X-A: " + b"a" * (1 << 20), _NULL, expect=TOO_LONG),
    ),
    case(
        "head-of-2000-fields",
        "practice",
        PRACTICE,
        "A head of 2,000 fields is refused.",
        options(*(b"X-%d: a" % i for i in range(2000)), _NULL, expect=TOO_LONG),
    ),
    case(
        "line-of-1-mb",
        "practice",
        PRACTICE,
        "A request line of 1 MB is refused, not kept.",
        raw(icap(b"OPTIONS", _NULL, uri=b"@URI@?" + b"a" * (1 << 20)), TOO_LONG),
    ),
    case(
        "http-head-of-2-mb",
        "practice",
        PRACTICE,
        "HTTP heads of 2 MB are refused, not kept.",
        respmod(heads=(GET, OK[:-2] + b"X-A: " + b"a" * (2 << 20) + b"\r\n\r\n"), expect=TOO_LONG),
    ),
    _alien(
        "http",
        "An HTTP request is refused.",
        b"GET / HTTP/1.1\r\nHost: @HOST@\r\n\r\n",
        _OTHER_STATUS,
    ),
    _alien(
        "http-post",
        "An HTTP request that carries an ICAP request is refused, both.",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n\r\n" + icap(b"OPTIONS", _NULL),
        _OTHER_STATUS,
    ),
    _alien(
        "proxy-protocol",
        "A PROXY line that was not agreed on is refused.",
        b"PROXY TCP4 10.0.0.1 10.0.0.2 5000 1344\r\n" + icap(b"OPTIONS", _NULL),
        _OTHER_STATUS,
    ),
    _alien(
        "binary",
        "Bytes that are no text are refused.",
        bytes(range(256)) + b"\r\n\r\n",
        _OTHER_STATUS,
    ),
    _alien(
        "response",
        "An ICAP answer sent as a request is refused.",
        b"ICAP/1.0 200 OK\r\nEncapsulated: null-body=0\r\n\r\n",
        _OTHER_STATUS,
    ),
    _alien("tls", "A TLS client that gives up is let go.", _HELLO, CUT),
    _alien("ssh", "An SSH client that gives up is let go.", b"SSH-2.0-OpenSSH_9.2\r\n", CUT),
)
