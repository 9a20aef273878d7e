"""What is read in one piece is what the reader of streams reads; in doubt it is left to that."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icapd.protocol import (
    BodyEnd,
    Data,
    Limits,
    PreviewEnd,
    Request,
    ServerConnection,
    Whole,
    allows,
    read_rest,
    read_whole,
)
from tests.support.seeds import CONVERSATION, REQUESTS, mutated, respmod, seeds

unhurried = settings(deadline=None, max_examples=400)
LIMITS = Limits()
WHOLE = [
    CONVERSATION[0],
    REQUESTS[2],
    respmod(b"2\r\nab\r\n0; ieof\r\n\r\n", b"Allow: 204, 206", preview=1024),
    respmod(b"2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", b"Allow: 204", b"X-Client-IP: 10.0.0.1"),
    respmod(b"0\r\n\r\n", preview=0),
    respmod(b"0; ieof\r\n\r\n", preview=0),
    respmod(b"A\r\n0123456789\r\n0\r\n\r\n"),
    respmod(b"1\r\na\r\n0\r\n\r\n", b"Connection: Keep-Alive"),
]


def as_a_stream(data: bytes) -> tuple[Request, bytes, bool]:
    """The same by the reader of streams: the request, its body, whether 100 is due."""
    connection = ServerConnection(LIMITS)
    connection.receive_data(data)
    request = connection.next_event()
    assert isinstance(request, Request)
    body = b""
    while isinstance(event := connection.next_event(), Data):
        body += event.data
    assert isinstance(event, BodyEnd | PreviewEnd)
    assert not connection.buffered, "bytes are left over"
    return request, body, isinstance(event, PreviewEnd)


def check(data: bytes) -> Whole | None:
    whole = read_whole(data, LIMITS)
    if whole is None:
        return None
    request, body, is_begun = as_a_stream(data)
    assert (whole.method, whole.uri, whole.fields) == (request.method, request.uri, request.fields)
    assert whole.heads[: whole.request_head] == request.request_head
    assert whole.heads[whole.request_head :] == request.response_head
    assert (whole.body, whole.is_begun) == (body, is_begun)
    assert whole.preview == (request.preview is not None)
    assert not request.wants_close
    assert allows(whole.fields, "204") == request.allows("204")
    return whole


def test_what_is_plain_is_read() -> None:
    for data in WHOLE:
        assert check(data) is not None, data
        assert read_whole(data[:-1], LIMITS) is None
        assert read_whole(data + b"O", LIMITS) is None
        assert read_whole(data + data, LIMITS) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"RESPMOD ", b"REQMOD "),
        (b"RESPMOD ", b"OPTIONS "),
        (b"res-body", b"req-body"),
        (b"Host: h", b"Connection: close"),
        (b"Host: h", b"Connection: keep-alive, close"),
        (b"Host: h", b"Transfer-Encoding: chunked"),
        (b"Host: h", b"Content-Length: 5"),
        (b"Preview: 1024", b"Preview: +1024"),
        (b"Preview: 1024", b"Preview: 1_024"),
        (b"Preview: 1024", b"Preview:"),
        (b"Preview: 1024", b"Preview: 1"),
        (b"Preview: 1024", b"Preview: 1024\r\nPreview: 1024"),
        (b"ICAP/1.0", b"ICAP/1.1"),
        (b"res-hdr", b"req-hdr"),
    ],
)
def test_what_frames_or_ends_otherwise_is_left(old: bytes, new: bytes) -> None:
    data = respmod(b"2\r\nab\r\n0; ieof\r\n\r\n", b"Allow: 204", preview=1024)
    assert read_whole(data, LIMITS) is not None
    assert read_whole(data.replace(old, new, 1), LIMITS) is None


def test_what_is_not_plain_is_left() -> None:
    for data in (*REQUESTS[:2], *REQUESTS[4:], CONVERSATION[2], b"", b"\r\n\r\n"):
        assert read_whole(data, LIMITS) is None, data


@unhurried
@given(st.sampled_from([*WHOLE, *seeds()]), st.integers(0, 1 << 30))
def test_what_is_broken_is_read_alike_or_left(message: bytes, chance: int) -> None:
    check(mutated(Random(chance), message))


@unhurried
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4), st.none() | st.integers(0, 200))
def test_bodies_in_chunks(chunks: list[bytes], preview: int | None) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    for last in (b"0\r\n\r\n", b"0; ieof\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"00\r\n\r\n"):
        whole = check(respmod(body + last, preview=preview))
        assert whole is None or whole.body == b"".join(chunks)
    size = len(b"".join(chunks))
    fits = preview is None or size <= preview
    assert (read_whole(respmod(body + b"0\r\n\r\n", preview=preview), LIMITS) is not None) is fits


@unhurried
@given(st.integers(0, 1 << 30))
def test_what_follows_100(chance: int) -> None:
    first, rest, _ = CONVERSATION
    data = mutated(Random(chance), rest) if chance % 8 else rest
    body = read_rest(data)
    if body is None:
        assert chance % 8, "a plain rest was not read"
        return
    connection = ServerConnection(LIMITS)
    connection.receive_data(first)
    while not isinstance(connection.next_event(), PreviewEnd):
        pass
    connection.send_continue()
    connection.receive_data(data)
    got = b""
    while isinstance(event := connection.next_event(), Data):
        got += event.data
    assert isinstance(event, BodyEnd)
    assert (got, connection.buffered) == (body, 0)


def test_more_than_the_limits_is_left() -> None:
    data = respmod(b"0\r\n\r\n", *[b"X-%d: y" % number for number in range(30)])
    assert check(data) is not None
    for limits in (Limits(fields=20), Limits(head=100), Limits(encapsulated_heads=20)):
        assert read_whole(data, limits) is None
