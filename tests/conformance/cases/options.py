"""OPTIONS requests and ICAP URIs (RFC 3507 4.10.1, 4.2)."""

from __future__ import annotations

from tests.conformance import checks
from tests.conformance.build import (
    EITHER,
    IEOF,
    LAST,
    MAY,
    MUST,
    PRACTICE,
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
    served,
)
from tests.conformance.model import Expect, Request


def _opt_body(*fields: bytes, tail: bytes) -> Request:
    return options(*fields, b"Encapsulated: opt-body=0", tail=tail)


def _at(uri: bytes, expect: Expect = SERVED, host: bytes = b"@HOST@") -> Request:
    return raw(icap(b"OPTIONS", b"Encapsulated: null-body=0", uri=uri, host=host), expect)


_NOT_FOUND = refused(404)

CASES = (
    case(
        "options-istag-stable",
        "4.7",
        MUST,
        "ISTag stays while the service does not change.",
        options(),
        options(expect=served(checks.same_istag)),
    ),
    case(
        "options-istag-as-respmod",
        "4.7",
        MUST,
        "OPTIONS and RESPMOD show the same ISTag.",
        options(),
        respmod(b"Allow: 204", expect=served(checks.same_istag)),
    ),
    case(
        "options-istag-as-reqmod",
        "4.7",
        MUST,
        "OPTIONS and REQMOD show the same ISTag.",
        options(),
        reqmod(b"Allow: 204", expect=served(checks.same_istag)),
    ),
    case(
        "options-no-encapsulated",
        "practice",
        PRACTICE,
        "OPTIONS without Encapsulated is served: Squid and g3proxy send none.",
        raw(icap(b"OPTIONS"), SERVED),
    ),
    case(
        "options-no-host",
        "4.3.2",
        MAY,
        "OPTIONS without Host is served or told 400.",
        raw(b"OPTIONS @URI@ ICAP/1.0\r\nEncapsulated: null-body=0\r\n\r\n", EITHER),
    ),
    case(
        "options-bare",
        "practice",
        PRACTICE,
        "OPTIONS of a request line alone is answered, not waited on.",
        raw(b"OPTIONS @URI@ ICAP/1.0\r\n\r\n", EITHER),
    ),
    case("options-null-body", "4.10.1", MUST, "OPTIONS with null-body=0 is served.", options()),
    case(
        "options-opt-body",
        "4.10.1",
        MUST,
        "The body of OPTIONS is read to its end.",
        _opt_body(tail=chunk(TEXT) + LAST),
    ),
    case(
        "options-opt-body-empty",
        "4.10.1",
        MUST,
        "An empty opt-body is read to its end.",
        _opt_body(tail=LAST),
    ),
    case(
        "options-preview-ieof",
        "4.5",
        MUST,
        "OPTIONS may have its whole body in a preview.",
        Request(
            "OPTIONS",
            _opt_body(b"Preview: 1024", tail=chunk(TEXT) + IEOF).steps,
            SERVED,
            previewed=True,
        ),
    ),
    case(
        "options-preview-more",
        "4.5",
        MUST,
        "A preview of an OPTIONS body is continued with 100, or answered.",
        Request(
            "OPTIONS",
            (*_opt_body(b"Preview: 4", tail=chunk(TEXT[:4]) + LAST).steps, chunk(TEXT[4:]) + LAST),
            SERVED,
            previewed=True,
        ),
    ),
    case(
        "options-thrice",
        "4.1",
        MUST,
        "One connection carries OPTIONS after OPTIONS.",
        options(),
        options(),
        options(),
    ),
    case(
        "options-unknown-fields",
        "4.3",
        MUST,
        "Fields that are not known are passed over.",
        options(b"X-Client-Name: a", b"Max-Forwards: 3", b"Encapsulated: null-body=0"),
    ),
    case(
        "options-unknown-service",
        "4.3.3",
        MUST,
        "A service that does not exist is told by 404.",
        _at(b"@BASE@/no/such/service", _NOT_FOUND),
    ),
    case(
        "options-longer-path",
        "4.2",
        MUST,
        "A path that only begins like a service's is not it.",
        _at(b"@URI@-and-more", _NOT_FOUND),
    ),
    case(
        "respmod-unknown-service",
        "4.3.3",
        MUST,
        "A RESPMOD for a service that does not exist is told by 404.",
        respmod(uri=b"@BASE@/no/such/service", expect=_NOT_FOUND),
    ),
    case(
        "reqmod-unknown-service",
        "4.3.3",
        MUST,
        "A REQMOD for a service that does not exist is told by 404.",
        reqmod(uri=b"@BASE@/no/such/service", expect=_NOT_FOUND),
    ),
    case(
        "uri-query",
        "4.2",
        MUST,
        "Arguments behind `?` belong to the service, not to its name.",
        _at(b"@URI@?allow204=on&mode=simple"),
    ),
    case(
        "uri-query-respmod",
        "4.2",
        MUST,
        "RESPMOD takes arguments in its URI.",
        respmod(b"Allow: 204", uri=b"@URI@?allow204=on&mode=simple"),
    ),
    case(
        "uri-query-long",
        "4.2",
        SHOULD,
        "Arguments of 4 KB are taken.",
        _at(b"@URI@?a=" + b"x" * 4096),
    ),
    case(
        "uri-other-host",
        "practice",
        PRACTICE,
        "The path alone names the service: Traffic Server always says 127.0.0.1.",
        _at(b"icap://elsewhere.example/@PATH@"),
    ),
    case(
        "uri-other-host-field",
        "practice",
        PRACTICE,
        "A Host that is not ours does not matter: clients behind balancers send it.",
        _at(b"@URI@", host=b"elsewhere.example"),
    ),
    case(
        "uri-no-port",
        "4.2",
        MUST,
        "The port in the URI may be left out.",
        _at(b"icap://127.0.0.1/@PATH@", host=b"127.0.0.1"),
    ),
    case(
        "uri-scheme-case",
        "RFC 2396 3.1",
        SHOULD,
        "The scheme's letters may be large.",
        _at(b"ICAP://@HOST@/@PATH@"),
    ),
    case(
        "uri-empty-path",
        "practice",
        PRACTICE,
        "An empty path is a default service or 404: FortiGate asks for it.",
        _at(b"@BASE@/", Expect(refused=frozenset({404}))),
    ),
    case(
        "uri-no-path",
        "practice",
        PRACTICE,
        "A URI without any path is answered in the same way.",
        _at(b"@BASE@", Expect(refused=frozenset({400, 404}))),
    ),
)
