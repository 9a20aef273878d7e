"""Bodies and the message given back (RFC 3507 4.4): no Allow, so that all of it comes back."""

from __future__ import annotations

from tests.conformance.build import (
    GET,
    LAST,
    MUST,
    NOT_MODIFIED,
    OK,
    PUT,
    TEXT,
    case,
    chunk,
    chunks,
    reqmod,
    respmod,
)

_BINARY = bytes(range(256)) * 4
_PERIOD = b"".join(b"%07d\n" % i for i in range(1 << 17))  # 1 MiB without a repetition
_POST = b"POST http://origin.example/form HTTP/1.1\r\nHost: origin.example\r\n\r\n"

CASES = (
    case("body-one-chunk", "4.4", MUST, "A body in one chunk is taken and given back.", respmod()),
    case("body-one-chunk-reqmod", "4.4", MUST, "An upload is taken and given back.", reqmod()),
    case(
        "body-empty",
        "4.4",
        MUST,
        "An empty body is a last chunk alone.",
        respmod(body=b"", wire=LAST),
    ),
    case(
        "body-empty-reqmod",
        "4.4",
        MUST,
        "An empty upload is a last chunk alone.",
        reqmod(body=b"", wire=LAST),
    ),
    case(
        "body-none",
        "4.4.1",
        MUST,
        "A response without a body is given back without one.",
        respmod(body=None, heads=(GET, NOT_MODIFIED)),
    ),
    case("body-none-get", "4.4.1", MUST, "A GET is given back without a body.", reqmod(body=None)),
    case(
        "body-binary",
        "4.4",
        MUST,
        "Every byte value passes unchanged.",
        respmod(body=_BINARY, wire=chunk(_BINARY) + LAST),
    ),
    case(
        "body-post",
        "4.8.1",
        MUST,
        "A POST is taken and given back.",
        reqmod(body=_BINARY, heads=(_POST, b"")),
    ),
    case(
        "body-65535",
        "4.4",
        MUST,
        "A body of 64 KiB less one byte comes back.",
        respmod(body=_PERIOD[:65535], wire=chunks(_PERIOD[:65535], 8192) + LAST),
    ),
    case(
        "body-65536",
        "4.4",
        MUST,
        "A body of 64 KiB comes back.",
        respmod(body=_PERIOD[:65536], wire=chunk(_PERIOD[:65536]) + LAST),
    ),
    case(
        "body-65537",
        "4.4",
        MUST,
        "A body of 64 KiB and one byte comes back.",
        respmod(body=_PERIOD[:65537], wire=chunks(_PERIOD[:65537], 65536) + LAST),
    ),
    case(
        "body-1-mib-one-chunk",
        "4.4",
        MUST,
        "A body of 1 MiB in one chunk comes back.",
        respmod(body=_PERIOD, wire=chunk(_PERIOD) + LAST),
    ),
    case(
        "body-1-mib-many-chunks",
        "4.4",
        MUST,
        "A body of 1 MiB in chunks of 4 KiB comes back.",
        respmod(body=_PERIOD, wire=chunks(_PERIOD, 4096) + LAST),
    ),
    case(
        "body-1-mib-reqmod",
        "4.4",
        MUST,
        "An upload of 1 MiB comes back.",
        reqmod(body=_PERIOD, wire=chunks(_PERIOD, 4000) + LAST),
    ),
    case(
        "body-1-mib-after-preview",
        "4.5",
        MUST,
        "A body of 1 MiB with a preview comes back.",
        respmod(
            b"Preview: 4096",
            body=_PERIOD[:4096],
            wire=chunk(_PERIOD[:4096]) + LAST,
            rest=_PERIOD[4096:],
        ),
    ),
    case(
        "body-content-encoding",
        "4.4",
        MUST,
        "The body's own encoding is left alone.",
        respmod(body=_BINARY, heads=(GET, OK[:-2] + b"Content-Encoding: x-none\r\n\r\n")),
    ),
    case(
        "body-of-a-put-with-length",
        "4.4",
        MUST,
        "A right Content-Length inside changes nothing.",
        reqmod(heads=(PUT[:-2] + b"Content-Length: %d\r\n\r\n" % len(TEXT), b"")),
    ),
)
