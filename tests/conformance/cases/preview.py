"""Message preview (RFC 3507 4.5): how long it is, and what follows it."""

from __future__ import annotations

from tests.conformance.build import (
    GET,
    IEOF,
    LAST,
    MALFORMED,
    MUST,
    NOT_MODIFIED,
    PUT,
    TEXT,
    case,
    chunk,
    reqmod,
    respmod,
)

_LONG = b"0123456789abcdef" * 1024  # 16 KiB

CASES = (
    case(
        "preview-0-more",
        "4.5",
        MUST,
        "After `Preview: 0` the whole body follows 100.",
        respmod(b"Preview: 0", body=b"", wire=LAST, rest=TEXT),
    ),
    case(
        "preview-0-empty-body",
        "4.5",
        MUST,
        "`Preview: 0` with ieof is an empty body.",
        respmod(b"Preview: 0", body=b"", wire=IEOF),
    ),
    case(
        "preview-0-reqmod-more",
        "4.5",
        MUST,
        "`Preview: 0` works for uploads.",
        reqmod(b"Preview: 0", body=b"", wire=LAST, rest=TEXT),
    ),
    case(
        "preview-0-get",
        "4.5",
        MUST,
        "`Preview: 0` with a null-body is complete: no chunk is waited for.",
        reqmod(b"Preview: 0", b"Allow: 204", body=None),
    ),
    case(
        "preview-0-get-no-204",
        "4.5",
        MUST,
        "`Preview: 0` with a null-body is complete, without Allow too.",
        reqmod(b"Preview: 0", body=None),
    ),
    case(
        "preview-0-not-modified",
        "4.5",
        MUST,
        "A response without a body is complete in spite of `Preview: 0`.",
        respmod(b"Preview: 0", b"Allow: 204", body=None, heads=(GET, NOT_MODIFIED)),
    ),
    case(
        "preview-null-body",
        "4.5",
        MUST,
        "A null-body is complete in spite of `Preview: 1024`.",
        respmod(b"Preview: 1024", body=None, heads=(GET, NOT_MODIFIED)),
    ),
    case(
        "preview-1-more",
        "4.5",
        MUST,
        "A preview of one byte is continued.",
        respmod(b"Preview: 1", body=TEXT[:1], wire=chunk(TEXT[:1]) + LAST, rest=TEXT[1:]),
    ),
    case(
        "preview-1-is-all",
        "4.5",
        MUST,
        "A body of one byte may be its preview.",
        respmod(b"Preview: 1", body=b"T", wire=chunk(b"T") + IEOF),
    ),
    case(
        "preview-exact-ieof",
        "4.5",
        MUST,
        "A body as long as its preview ends with ieof.",
        respmod(b"Preview: %d" % len(TEXT), wire=chunk(TEXT) + IEOF),
    ),
    case(
        "preview-exact-then-nothing",
        "4.5",
        MUST,
        "A body as long as its preview may show its end only after 100.",
        respmod(b"Preview: %d" % len(TEXT), wire=chunk(TEXT) + LAST, rest=b""),
    ),
    case(
        "preview-short-ieof",
        "4.5",
        MUST,
        "A body shorter than its preview ends with ieof.",
        respmod(b"Preview: 1024", wire=chunk(TEXT) + IEOF),
    ),
    case(
        "preview-short-ieof-204",
        "4.5",
        MUST,
        "204 is legal behind ieof, with Allow too.",
        respmod(b"Preview: 1024", b"Allow: 204", wire=chunk(TEXT) + IEOF),
    ),
    case(
        "preview-short-more",
        "4.5",
        MUST,
        "Without ieof a preview goes on, even if shorter than announced.",
        respmod(b"Preview: 1024", wire=chunk(TEXT) + LAST, rest=b"more"),
    ),
    case(
        "preview-short-then-nothing",
        "4.5",
        MUST,
        "Without ieof a short preview is continued, though nothing more comes.",
        respmod(b"Preview: 1024", wire=chunk(TEXT) + LAST, rest=b""),
    ),
    case(
        "preview-1024-of-16-kib",
        "4.5",
        MUST,
        "After 100 a longer body follows.",
        respmod(
            b"Preview: 1024", body=_LONG[:1024], wire=chunk(_LONG[:1024]) + LAST, rest=_LONG[1024:]
        ),
    ),
    case(
        "preview-reqmod-more",
        "4.5",
        MUST,
        "The preview of an upload is continued.",
        reqmod(
            b"Preview: 4", b"Allow: 204", body=TEXT[:4], wire=chunk(TEXT[:4]) + LAST, rest=TEXT[4:]
        ),
    ),
    case(
        "preview-reqmod-ieof",
        "4.5",
        MUST,
        "An upload may fit its preview.",
        reqmod(b"Preview: 1024", wire=chunk(TEXT) + IEOF),
    ),
    case(
        "preview-no-204-after-100",
        "4.6",
        MUST,
        "After 100, 204 needs `Allow: 204`; without it the message comes back.",
        respmod(b"Preview: 4", body=TEXT[:4], wire=chunk(TEXT[:4]) + LAST, rest=TEXT[4:]),
    ),
    case(
        "preview-no-204-after-100-reqmod",
        "4.6",
        MUST,
        "After 100 an upload without `Allow: 204` comes back.",
        reqmod(b"Preview: 4", body=TEXT[:4], wire=chunk(TEXT[:4]) + LAST, rest=TEXT[4:]),
    ),
    case(
        "preview-204-after-100",
        "4.6",
        MUST,
        "After 100, `Allow: 204` makes 204 legal.",
        respmod(
            b"Preview: 4", b"Allow: 204", body=TEXT[:4], wire=chunk(TEXT[:4]) + LAST, rest=TEXT[4:]
        ),
    ),
    case(
        "preview-field-first",
        "4.5",
        MUST,
        "Where Preview stands among the fields is free.",
        respmod(b"pReViEw:1024", b"X-After: x", wire=chunk(TEXT) + IEOF),
    ),
    case(
        "preview-0-with-a-byte",
        "4.5",
        MUST,
        "`Preview: 0` with a byte in it is refused.",
        reqmod(
            b"Preview: 0", body=b"T", wire=chunk(b"T") + LAST, heads=(PUT, b""), expect=MALFORMED
        ),
    ),
)
