"""Fields that frame a message and contradict one another, or are no numbers (RFC 3507 4.4, 4.5)."""

from __future__ import annotations

from tests.conformance.build import (
    EITHER,
    MALFORMED,
    MAY,
    MUST,
    SHOULD,
    TEXT,
    case,
    refused,
    reqmod,
    respmod,
)
from tests.conformance.model import Case, Expect, Level

_UNFRAMED = Expect(refused=frozenset({400, 411}))


def _preview(name: str, requirement: str, *lines: bytes, level: Level = MUST) -> Case:
    request = respmod(*lines, expect=MALFORMED)
    return case(f"preview-value-{name}", "4.5", level, requirement, request)


def _framing(name: str, requirement: str, *lines: bytes, expect: Expect = MALFORMED) -> Case:
    return case(f"framing-{name}", "4.4", SHOULD, requirement, respmod(*lines, expect=expect))


CASES = (
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
)
