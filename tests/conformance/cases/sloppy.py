"""Clients in use that bend the rules, each with what it really sends."""

from __future__ import annotations

from tests.conformance.build import (
    GET,
    IEOF,
    LAST,
    OK,
    PRACTICE,
    PUT,
    SERVED,
    TEXT,
    case,
    chunk,
    icap,
    raw,
    reqmod,
    respmod,
    served,
)
from tests.conformance.model import Case, Expect, Request

_CLOSE = served(closes=True)
_DEFAULT = Expect(refused=frozenset({404}))


def _client(name: str, requirement: str, *requests: Request) -> Case:
    return case(f"client-{name}", "practice", PRACTICE, requirement, *requests)


CASES = (
    _client(
        "traffic-server",
        "Traffic Server: a blank line before the first chunk, ieof without a "
        "preview, a second end, and Connection: close.",
        respmod(b"Connection: close", wire=b"\r\n" + chunk(TEXT) + IEOF + LAST, expect=_CLOSE),
    ),
    _client(
        "traffic-server-blank-line",
        "A blank line before the first chunk size is passed over.",
        respmod(wire=b"\r\n" + chunk(TEXT) + LAST),
    ),
    _client(
        "traffic-server-ieof",
        "ieof without a preview ends a body as any last chunk does.",
        respmod(wire=chunk(TEXT) + IEOF),
    ),
    _client(
        "traffic-server-second-end",
        "A second last chunk behind the end of a request that closes is passed over.",
        respmod(b"Connection: close", wire=chunk(TEXT) + LAST + LAST, expect=_CLOSE),
    ),
    _client(
        "traffic-server-host",
        "Traffic Server names 127.0.0.1 whatever the server's address.",
        respmod(b"Connection: close", uri=b"icap://127.0.0.1/@PATH@", expect=_CLOSE),
    ),
    _client(
        "squid-options",
        "Squid asks OPTIONS with Host and Allow alone.",
        raw(icap(b"OPTIONS", b"Allow: 206"), SERVED),
    ),
    _client(
        "squid-get",
        "Squid asks about a GET with `Preview: 0` and its client's address.",
        reqmod(
            b"Date: Mon, 06 Jan 2025 10:00:00 GMT",
            b"X-Client-IP: 10.0.0.1",
            b"Preview: 0",
            b"Allow: 204",
            body=None,
        ),
    ),
    _client(
        "squid-small",
        "Squid offers 204 and 206 for a small response.",
        respmod(b"Preview: 1024", b"Allow: 204, 206, trailers", wire=chunk(TEXT) + IEOF),
    ),
    _client(
        "c-icap-client",
        "c-icap-client repeats Allow and puts a false length inside.",
        respmod(
            b"User-Agent: C-ICAP-Client-Library/0.5.10",
            b"Allow: 204",
            b"Allow: 206",
            b"Preview: 1024",
            wire=chunk(TEXT) + IEOF,
            heads=(GET, OK[:-2] + b"Content-Length: 24\r\nContent-Length: 9\r\n\r\n"),
        ),
    ),
    _client(
        "c-icap-client-options",
        "c-icap-client asks OPTIONS with null-body=0 and a User-Agent.",
        raw(
            icap(
                b"OPTIONS",
                b"User-Agent: C-ICAP-Client-Library/0.5.10",
                b"Encapsulated: null-body=0",
            ),
            SERVED,
        ),
    ),
    _client(
        "nextcloud",
        "Nextcloud says Transfer-Encoding: chunked in the ICAP head.",
        respmod(b"Transfer-Encoding: chunked", b"Allow: 204"),
    ),
    _client(
        "nextcloud-reqmod",
        "Nextcloud says so for uploads, with a false length inside.",
        reqmod(b"Transfer-Encoding: chunked", heads=(PUT[:-2] + b"Content-Length: 7\r\n\r\n", b"")),
    ),
    _client(
        "chunked-upper-case",
        "The word chunked in the ICAP head has no case.",
        respmod(b"Transfer-Encoding: Chunked"),
    ),
    _client(
        "owncloud",
        "ownCloud puts a request line where the response head is due.",
        respmod(b"Allow: 204", b"Preview: 1024", heads=(b"", PUT), wire=chunk(TEXT) + IEOF),
    ),
    _client(
        "fortigate",
        "FortiGate asks without preview and Allow at an empty path.",
        respmod(uri=b"@BASE@/", expect=_DEFAULT),
    ),
    _client(
        "fortigate-upload",
        "FortiGate sends uploads to an empty path, too.",
        reqmod(uri=b"@BASE@/", expect=_DEFAULT),
    ),
    _client(
        "g3proxy-options",
        "g3proxy asks OPTIONS with Max-Forwards and no Encapsulated.",
        raw(icap(b"OPTIONS", b"Max-Forwards: 0"), SERVED),
    ),
    _client(
        "rspamd",
        "rspamd sends a mail without a request head and closes.",
        respmod(
            b"Connection: close",
            b"Allow: 204",
            heads=(b"", b"HTTP/1.0 200 OK\r\n\r\n"),
            body=b"From: a@b.example\r\n\r\nHello.\r\n",
            expect=_CLOSE,
        ),
    ),
    _client(
        "query-string",
        "Clients give their wishes in a query string.",
        respmod(b"Allow: 204", uri=b"@URI@?allow204=on&sizelimit=off&mode=simple"),
    ),
    _client(
        "user-base64",
        "Names and groups come in Base64.",
        respmod(
            b"X-Client-IP: 10.1.2.3",
            b"X-Authenticated-User: V2luTlQ6Ly9ET01BSU4vaXZhbm92",
            b"X-Authenticated-Groups: TERBUDovL2dyb3Vwcw==",
        ),
    ),
    _client(
        "user-garbage",
        "A name that does not decode, and an address that is none, do no harm.",
        respmod(
            b"X-Client-IP: not-an-address",
            b"X-Authenticated-User: %%%=\xff\xfe",
            b"X-Server-IP: 999.1.1.1",
        ),
    ),
    _client(
        "proxysg",
        "ProxySG adds fields of its own.",
        respmod(
            b"X-Scan-Progress-Interval: 10",
            b"X-Bluecoat-Transaction-UUID: 6f1c-000000000000-0000000000000001",
            b"Allow: 204",
            b"Preview: 0",
            body=b"",
            wire=LAST,
            rest=TEXT,
        ),
    ),
    _client(
        "no-user-agent-no-host-uri",
        "A client behind a balancer names the balancer.",
        respmod(uri=b"icap://icap.balancer.example:1344/@PATH@"),
    ),
)
