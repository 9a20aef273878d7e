"""Heads that servers and proxies could read in two ways, and what is no ICAP at all."""

from __future__ import annotations

from tests.conformance.build import (
    CUT,
    EITHER,
    GET,
    MALFORMED,
    MAY,
    MUST,
    OK,
    PRACTICE,
    SHOULD,
    TEXT,
    TOO_LONG,
    case,
    icap,
    options,
    raw,
    refused,
    reqmod,
    respmod,
)
from tests.conformance.model import Case, Expect, Level

_NULL = b"Encapsulated: null-body=0"
_GRAMMAR = "RFC 2616 4.2"


def _field(name: str, requirement: str, line: bytes, level: Level = MUST) -> Case:
    request = options(line, _NULL, expect=MALFORMED)
    return case(f"head-{name}", _GRAMMAR, level, requirement, request)


def _preview(name: str, requirement: str, *lines: bytes, level: Level = MUST) -> Case:
    request = respmod(*lines, expect=MALFORMED)
    return case(f"preview-value-{name}", "4.5", level, requirement, request)


def _framing(name: str, requirement: str, *lines: bytes, expect: Expect = MALFORMED) -> Case:
    return case(f"framing-{name}", "4.4", SHOULD, requirement, respmod(*lines, expect=expect))


def _alien(name: str, requirement: str, data: bytes, expect: Expect = MALFORMED) -> Case:
    ends = expect.silent
    return case(f"alien-{name}", "4.3.3", PRACTICE, requirement, raw(data, expect, ends=ends))


_OTHER_STATUS = refused(400, 501, 505, closes=True)
_HELLO = (
    b"\x16\x03\x01\x00\x5f\x01\x00\x00\x5b\x03\x03"
    + bytes(range(128, 160))
    + b"\x00\x00\x02\x13\x01\x01\x00\x00\x30"
    + b"\x00\x2b\x00\x03\x02\x03\x04"
    + b"\0" * 41
)
_UNFRAMED = Expect(refused=frozenset({400, 411}))

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
    _preview("word", "Preview is a number.", b"Preview: all"),
    _preview("negative", "Preview has no sign.", b"Preview: -1"),
    _preview("plus", "Preview has no plus sign.", b"Preview: +1024", level=SHOULD),
    _preview("hexadecimal", "Preview is decimal.", b"Preview: 0x400"),
    _preview("empty", "Preview has digits.", b"Preview:"),
    _preview("list", "Preview is one number.", b"Preview: 1024, 1024", level=SHOULD),
    _preview("overflow", "A Preview beyond 64 bits is refused.", b"Preview: 18446744073709552640"),
    _preview(
        "two-different", "Two different Preview are refused.", b"Preview: 1024", b"Preview: 0"
    ),
    case(
        "preview-value-twice-same",
        "4.5",
        MAY,
        "Preview twice with one value is taken or refused.",
        respmod(
            b"Preview: 1024",
            b"Preview: 1024",
            wire=b"18\r\n" + TEXT + b"\r\n0; ieof\r\n\r\n",
            expect=EITHER,
        ),
    ),
    _framing(
        "gzip",
        "Transfer-Encoding: gzip of an ICAP message is refused.",
        b"Transfer-Encoding: gzip",
        expect=refused(400, 501, closes=True),
    ),
    _framing(
        "gzip-chunked",
        "Transfer-Encoding: gzip, chunked is refused.",
        b"Transfer-Encoding: gzip, chunked",
        expect=refused(400, 501, closes=True),
    ),
    _framing(
        "two-encodings",
        "Two different Transfer-Encoding are refused.",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        expect=refused(400, 501, closes=True),
    ),
    _framing(
        "length-and-chunked",
        "Content-Length beside Transfer-Encoding is refused.",
        b"Transfer-Encoding: chunked",
        b"Content-Length: 5",
    ),
    _framing(
        "two-lengths",
        "Two different Content-Length are refused.",
        b"Content-Length: 5",
        b"Content-Length: 34",
    ),
    _framing(
        "length-list", "A Content-Length of two numbers is refused.", b"Content-Length: 5, 34"
    ),
    case(
        "framing-length-alone",
        "4.4",
        MAY,
        "A Content-Length in the ICAP head is passed over or refused: the body is chunked.",
        respmod(b"Content-Length: 5", expect=_UNFRAMED),
    ),
    case(
        "framing-length-null-body",
        "4.4",
        MAY,
        "A Content-Length beside a null-body is passed over or refused.",
        reqmod(b"Content-Length: 5", body=None, expect=_UNFRAMED),
    ),
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
