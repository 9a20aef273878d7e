"""Each leniency of the grammar does what it says for its client, and none is without a test."""

from __future__ import annotations

import pytest

from icapd.protocol import (
    DEPARTURES,
    BodyEnd,
    Data,
    Encapsulated,
    Event,
    HttpHead,
    NeedData,
    ProtocolError,
    Request,
    ServerConnection,
)
from tests.support.seeds import GET, OK, respmod

OPTIONS = b"OPTIONS icap://h/ ICAP/1.0\r\nHost: h\r\n\r\n"
REQUEST_LINE_IN_RES_HDR = (
    b"RESPMOD icap://h/s ICAP/1.0\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n" % len(GET) + GET
)

# what is sent, and the first thing that is one step too much
CASES: dict[str, tuple[bytes, bytes | None]] = {
    "up to two blank lines before a request line": (b"\r\n\r\n" + OPTIONS, b"\r\n" * 3 + OPTIONS),
    "without Preview: one blank line before the first chunk size": (
        respmod(b"\r\n2\r\nab\r\n0\r\n\r\n"),
        respmod(b"\r\n2\r\nab\r\n0\r\n\r\n", preview=2),
    ),
    "without Preview: `0; ieof` ends the body": (
        respmod(b"2\r\nab\r\n0; ieof\r\n\r\n"),
        respmod(b"2; ieof\r\nab\r\n0\r\n\r\n"),
    ),
    "bytes behind a request with `Connection: close` are dropped": (
        respmod(b"2\r\nab\r\n0\r\n\r\n", b"Connection: close") + b"0\r\n\r\n",
        None,  # tests/conformance holds what a keep-alive connection says to it
    ),
    "`Transfer-Encoding: chunked` in the ICAP head where a body follows": (
        respmod(b"2\r\nab\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
        respmod(b"2\r\nab\r\n0\r\n\r\n", b"Transfer-Encoding: identity"),
    ),
    "a field that is a list may be repeated (`Allow`)": (
        respmod(b"2\r\nab\r\n0\r\n\r\n", b"Allow: 204", b"Allow: 206"),
        respmod(b"2\r\nab\r\n0\r\n\r\n", b"Preview: 4", b"Preview: 5"),
    ),
    "encapsulated HTTP heads are not parsed before they are used": (
        REQUEST_LINE_IN_RES_HDR + b"2\r\nab\r\n0\r\n\r\n",
        None,
    ),
    "a Content-Length inside that is not the body's length": (
        respmod(b"2\r\nab\r\n0\r\n\r\n"),
        respmod(b"2\r\nab\r\n0\r\n\r\n", b"Content-Length: 2"),
    ),
    "OPTIONS without Encapsulated": (
        OPTIONS,
        b"RESPMOD icap://h/ ICAP/1.0\r\nHost: h\r\n\r\n",
    ),
    "no Host, or a false one: it decides nothing": (OPTIONS.replace(b"Host: h\r\n", b""), None),
}


def taken(message: bytes) -> list[Request | Event]:
    connection = ServerConnection()
    connection.receive_data(message)
    found: list[Request | Event] = []
    while not isinstance(event := connection.next_event(), NeedData):
        found.append(event)
    return found


def test_every_departure_is_tried() -> None:
    assert [departure.what for departure in DEPARTURES] == list(CASES)
    assert all(departure.client for departure in DEPARTURES)


@pytest.mark.parametrize("what", CASES)
def test_what_a_sloppy_client_sends_is_served(what: str) -> None:
    sent, _ = CASES[what]
    request, *body = taken(sent)
    assert isinstance(request, Request)
    if request.method == "OPTIONS":
        assert body == []
    else:
        assert body[0] == Data(b"ab")
        assert isinstance(body[1], BodyEnd)


@pytest.mark.parametrize("what", [what for what, (_, more) in CASES.items() if more is not None])
def test_one_step_further_is_refused(what: str) -> None:
    _, more = CASES[what]
    assert more is not None
    with pytest.raises(ProtocolError):
        taken(more)


def test_a_false_length_and_a_request_line_are_read_as_they_are() -> None:
    (request, *_) = taken(respmod(b"2\r\nab\r\n0\r\n\r\n"))
    assert isinstance(request, Request)
    assert HttpHead(request.response_head).content_length == 5
    assert request.response_head == OK
    (request, *_) = taken(CASES["encapsulated HTTP heads are not parsed before they are used"][0])
    assert isinstance(request, Request)
    assert HttpHead(request.response_head).status is None
    assert request.encapsulated != Encapsulated()
