"""Chunks, their extensions, and trailers in every form that is good (RFC 2616 3.6.1)."""

from __future__ import annotations

from tests.conformance.build import (
    LAST,
    MUST,
    SHOULD,
    TEXT,
    case,
    chunk,
    chunks,
    reqmod,
    respmod,
)

_BINARY = bytes(range(256)) * 4
_ENDS_IN_CR = b"line\r\n\r"
_INNER = b"OPTIONS icap://127.0.0.1/echo ICAP/1.0\r\nEncapsulated: null-body=0\r\n\r\n"

CASES = (
    case(
        "body-single-bytes",
        "RFC 2616 3.6.1",
        MUST,
        "Chunks may be of one byte.",
        respmod(body=_BINARY, wire=chunks(_BINARY, 1) + LAST),
    ),
    case(
        "body-uneven-chunks",
        "RFC 2616 3.6.1",
        MUST,
        "Chunks may differ in length.",
        reqmod(
            body=_BINARY,
            wire=chunk(_BINARY[:1]) + chunk(_BINARY[1:500]) + chunks(_BINARY[500:], 17) + LAST,
        ),
    ),
    case(
        "body-extension-value",
        "RFC 2616 3.6.1",
        MUST,
        "An extension with a value is passed over.",
        respmod(wire=chunk(TEXT, b"; name=value") + LAST),
    ),
    case(
        "body-extension-quoted",
        "RFC 2616 3.6.1",
        MUST,
        "An extension with a quoted value is passed over.",
        respmod(wire=chunk(TEXT, b'; name="a value"') + LAST),
    ),
    case(
        "body-extension-bare",
        "RFC 2616 3.6.1",
        MUST,
        "An extension without a value is passed over.",
        respmod(wire=chunk(TEXT, b";flag") + LAST),
    ),
    case(
        "body-extension-several",
        "RFC 2616 3.6.1",
        MUST,
        "Several extensions are passed over.",
        respmod(wire=chunk(TEXT, b"; a=1; b; c=3") + LAST),
    ),
    case(
        "body-last-extension",
        "RFC 2616 3.6.1",
        MUST,
        "An extension of the last chunk is passed over.",
        respmod(wire=chunk(TEXT) + b"0; done=yes\r\n\r\n"),
    ),
    case(
        "body-size-upper-case",
        "RFC 2616 3.6.1",
        MUST,
        "Sizes may have large hex digits.",
        respmod(body=_BINARY[:171], wire=b"AB\r\n" + _BINARY[:171] + b"\r\n" + LAST),
    ),
    case(
        "body-size-lower-case",
        "RFC 2616 3.6.1",
        MUST,
        "Sizes may have small hex digits.",
        respmod(body=_BINARY[:171], wire=b"ab\r\n" + _BINARY[:171] + b"\r\n" + LAST),
    ),
    case(
        "body-size-leading-zeros",
        "RFC 2616 3.6.1",
        MUST,
        "Sizes may have leading zeros.",
        respmod(wire=b"00018\r\n" + TEXT + b"\r\n" + LAST),
    ),
    case(
        "body-last-several-zeros",
        "RFC 2616 3.6.1",
        MUST,
        "The last chunk may be several zeros.",
        respmod(wire=chunk(TEXT) + b"0000\r\n\r\n"),
    ),
    case(
        "body-data-like-the-end",
        "RFC 2616 3.6.1",
        MUST,
        "Data that reads like an end is data.",
        respmod(body=LAST + TEXT, wire=chunk(LAST + TEXT) + LAST),
    ),
    case(
        "body-data-like-a-request",
        "RFC 2616 3.6.1",
        MUST,
        "Data that reads like an ICAP request is data.",
        respmod(body=LAST + _INNER, wire=chunk(LAST + _INNER) + LAST),
    ),
    case(
        "body-data-like-a-request-reqmod",
        "RFC 2616 3.6.1",
        MUST,
        "An upload that reads like an ICAP request is data.",
        reqmod(body=LAST + _INNER, wire=chunk(LAST + _INNER) + LAST),
    ),
    case(
        "body-data-ends-in-cr",
        "RFC 2616 3.6.1",
        MUST,
        "A CR that ends a chunk's data is data.",
        respmod(body=_ENDS_IN_CR, wire=chunk(_ENDS_IN_CR) + LAST),
    ),
    case(
        "body-data-is-crlf",
        "RFC 2616 3.6.1",
        MUST,
        "A chunk of nothing but CRLF is data.",
        respmod(body=b"\r\n", wire=chunk(b"\r\n") + LAST),
    ),
    case(
        "trailer-one",
        "RFC 2616 3.6.1",
        MUST,
        "A trailer behind the last chunk is read.",
        respmod(wire=chunk(TEXT) + b"0\r\nX-Sum: 1\r\n\r\n"),
    ),
    case(
        "trailer-several",
        "RFC 2616 3.6.1",
        MUST,
        "Several trailers are read.",
        reqmod(wire=chunk(TEXT) + b"0\r\nX-Sum: 1\r\nX-More: a b\r\nX-Empty:\r\n\r\n"),
    ),
    case(
        "trailer-announced",
        "RFC 2616 14.40",
        SHOULD,
        "Trailers that Trailer announces are read.",
        respmod(b"Trailer: X-Sum", b"Allow: trailers", wire=chunk(TEXT) + b"0\r\nX-Sum: 1\r\n\r\n"),
    ),
    case(
        "trailer-behind-empty-body",
        "RFC 2616 3.6.1",
        MUST,
        "An empty body may have trailers.",
        respmod(body=b"", wire=b"0\r\nX-Sum: 1\r\n\r\n"),
    ),
)
