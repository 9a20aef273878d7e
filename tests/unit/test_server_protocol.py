"""Conversations as the server sees them, whole, byte by byte, and one after another."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icapd.protocol import (
    BodyEnd,
    BodyKind,
    Data,
    Encapsulated,
    Event,
    Limits,
    LocalProtocolError,
    NeedData,
    PreviewEnd,
    ProtocolError,
    Request,
    RequestState,
    ServerConnection,
    chunks,
)
from tests.support.seeds import CONVERSATION, GET, OK, respmod

BODY = Encapsulated(None, len(OK), BodyKind.RESPONSE)


def events(connection: ServerConnection) -> list[Request | Event]:
    found: list[Request | Event] = []
    while not isinstance(event := connection.next_event(), NeedData):
        found.append(event)
    return found


def body_of(found: list[Request | Event]) -> bytes:
    return b"".join(event.data for event in found if isinstance(event, Data))


def converse(pieces: list[bytes]) -> list[object]:
    """The first conversation: a preview, 100, the rest, and an OPTIONS behind it."""
    connection = ServerConnection()
    seen: list[object] = []
    for piece in pieces:
        connection.receive_data(piece)
        while not isinstance(event := connection.next_event(), NeedData):
            if isinstance(event, Data) and seen and isinstance(seen[-1], bytes):
                seen[-1] += event.data
            elif isinstance(event, Data):
                seen.append(event.data)
            elif isinstance(event, Request):
                seen.append((event.method, event.path, event.request_head, event.response_head))
            else:
                seen.append(event)
            if isinstance(event, PreviewEnd):
                assert connection.send_continue() == b"ICAP/1.0 100 Continue\r\n\r\n"
            if isinstance(event, BodyEnd):
                connection.send_head(204, [], Encapsulated())
                connection.next_request()
    return seen


EXPECTED = [
    ("RESPMOD", "av/respmod", GET, OK),
    b"abc",
    PreviewEnd(),
    b"de",
    BodyEnd(),
    ("OPTIONS", "av/respmod", b"", b""),
]


def test_a_conversation_in_whole_messages() -> None:
    assert converse(list(CONVERSATION)) == EXPECTED


def test_a_conversation_byte_by_byte() -> None:
    assert converse([bytes([byte]) for message in CONVERSATION for byte in message]) == EXPECTED


@given(st.lists(st.integers(1, 60), min_size=1))
def test_a_conversation_in_any_pieces(sizes: list[int]) -> None:
    stream, pieces = b"".join(CONVERSATION), []
    while stream:
        for size in sizes:
            pieces.append(stream[:size])
            stream = stream[size:]
    assert converse([piece for piece in pieces if piece]) == EXPECTED


def test_bytes_read_ahead_belong_to_the_next_request() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"0\r\n\r\n", b"Allow: 204"))
    connection.receive_data(respmod(b"1\r\nx\r\n0\r\n\r\n"))
    assert len(events(connection)) == 2
    connection.send_head(204, [], Encapsulated())
    connection.next_request()
    assert body_of(events(connection)) == b"x"


@pytest.mark.parametrize("last", [b"0; ieof", b"0;ieof"])
def test_ieof_ends_body_and_preview(last: bytes) -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"2\r\nab\r\n" + last + b"\r\n\r\n", preview=10))
    found = events(connection)
    assert found[1:] == [Data(b"ab"), BodyEnd(ieof=True)]
    with pytest.raises(LocalProtocolError, match="100 Continue"):
        connection.send_continue()


def test_a_null_body_with_preview_is_complete_at_once() -> None:
    connection = ServerConnection()
    head = b"REQMOD icap://h/r ICAP/1.0\r\nPreview: 0\r\nEncapsulated: req-hdr=0, null-body=%d\r\n"
    connection.receive_data(head % len(GET) + b"\r\n" + GET)
    assert len(events(connection)) == 1
    assert connection.request_state is RequestState.COMPLETE


def test_traffic_servers_blank_line_before_the_first_chunk_and_ieof_without_preview() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"\r\n2\r\nab\r\n0; ieof\r\n\r\n"))
    assert body_of(events(connection)) == b"ab"
    assert connection.request_state is RequestState.COMPLETE


def test_a_second_blank_line_is_refused() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"\r\n\r\n2\r\nab\r\n0\r\n\r\n"))
    with pytest.raises(ProtocolError, match="chunk size"):
        events(connection)


def test_trailers_come_with_the_end_of_the_body() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"1\r\nx\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"))
    assert events(connection)[1:] == [Data(b"x"), BodyEnd(trailers={"x-a": "1", "x-b": "2"})]


def test_an_answer_instead_of_100_ends_the_request() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"1\r\nx\r\n0\r\n\r\n", preview=1))
    events(connection)
    connection.send_head(204, [], Encapsulated())
    connection.next_request()
    assert connection.request_state is RequestState.IDLE


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("icap://h:1344/av/respmod", "av/respmod"),
        ("icap://h/av/respmod?allow204=on&mode=simple", "av/respmod"),
        ("icap://h:1344/", ""),
        ("icap://h:1344", ""),
        ("/av/respmod", "av/respmod"),
        ("av/respmod", "av/respmod"),
        ("icap://h/av/respmod/", "av/respmod"),
        ("icap://h:1344?mode=a/b", ""),
        ("/av/respmod?u=http://x/y", "av/respmod"),
        ("icap://h/av/respmod?u=http://x/y", "av/respmod"),
    ],
)
def test_only_the_path_counts(uri: str, path: str) -> None:
    assert Request("OPTIONS", uri, {}, Encapsulated()).path == path


def test_what_a_client_allows() -> None:
    assert Request("X", "", {"allow": "206, 204"}, Encapsulated()).allows("204")
    assert not Request("X", "", {"allow": "2040"}, Encapsulated()).allows("204")
    assert Request("X", "", {"connection": "Keep, Close"}, Encapsulated()).wants_close


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (b"RESPMOD icap://h/ ICAP/1.0\r\nHost: h\r\n\r\n", "without an Encapsulated"),
        (
            b"REQMOD icap://h/ ICAP/1.0\r\nEncapsulated: req-hdr=0, res-body=9\r\n\r\n",
            "REQMOD cannot carry a res-body",
        ),
        (
            b"REQMOD icap://h/ ICAP/1.0\r\nEncapsulated: res-hdr=0, req-body=9\r\n\r\n",
            "REQMOD cannot carry a res-hdr",
        ),
        (
            b"RESPMOD icap://h/ ICAP/1.0\r\nEncapsulated: req-hdr=0, req-body=9\r\n\r\n",
            "RESPMOD cannot carry a req-body",
        ),
        (
            b"RESPMOD icap://h/ ICAP/1.0\r\nTransfer-Encoding: gzip\r\n"
            b"Encapsulated: null-body=0\r\n\r\n",
            "chunked, nothing else",
        ),
        (b"OPTIONS icap://h/ ICAP/1.0\r\nX: " + b"a" * 70000, "head exceeds"),
        (
            b"RESPMOD icap://h/ ICAP/1.0\r\nEncapsulated: res-hdr=0, res-body=900000\r\n\r\n",
            "heads exceed",
        ),
        (respmod(b"5\r\nabcdefg\r\n"), "longer than its size"),
        (respmod(b"5" * 5000), "chunk line is too long"),
        (respmod(b"0\r\nX: " + b"a" * 20000), "trailers are too long"),
        (respmod(b"0\r\nX : y\r\n\r\n"), "malformed"),
    ],
)
def test_what_is_refused(message: bytes, sentence: str) -> None:
    connection = ServerConnection()
    connection.receive_data(message)
    with pytest.raises(ProtocolError, match=sentence):
        events(connection)


def test_limits_are_settings() -> None:
    connection = ServerConnection(Limits(head=50))
    connection.receive_data(b"OPTIONS icap://h/ ICAP/1.0\r\nX: " + b"a" * 50)
    with pytest.raises(ProtocolError, match="exceeds 50 bytes"):
        connection.next_event()


def test_the_answer_is_framed_right() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"0\r\n\r\n"))
    events(connection)
    head = connection.send_head(200, [("ISTag", '"x"')], BODY, OK)
    assert head == (
        b'ICAP/1.0 200 OK\r\nISTag: "x"\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n%b'
        % (len(OK), OK)
    )
    assert connection.send_data(b"hello") == b"5\r\nhello\r\n"
    assert connection.send_data(b"") == b""
    assert connection.send_end() == b"0\r\n\r\n"


def test_our_own_mistakes_are_found() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"0\r\n\r\n"))
    events(connection)
    with pytest.raises(LocalProtocolError, match="does not match"):
        connection.send_head(200, [], BODY, b"x")
    with pytest.raises(LocalProtocolError, match="outside a body"):
        connection.send_data(b"x")
    with pytest.raises(LocalProtocolError, match="the end of a body while the answer is idle"):
        connection.send_end()
    with pytest.raises(LocalProtocolError, match="before the end"):
        connection.next_request()
    connection.send_head(200, [], BODY, OK)
    with pytest.raises(LocalProtocolError, match="a head with a body while the answer is body"):
        connection.send_head(200, [], BODY, OK)


@given(st.binary(max_size=300), st.booleans())
def test_garbage_is_waited_for_or_refused_and_nothing_else(data: bytes, after_head: bool) -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(data) if after_head else data)
    try:
        events(connection)
    except ProtocolError as error:
        assert error.status in (400, 505)


def refused(message: bytes) -> str:
    connection = ServerConnection()
    connection.receive_data(message)
    with pytest.raises(ProtocolError) as caught:
        events(connection)
    assert connection.request_state is RequestState.FAILED
    with pytest.raises(ProtocolError):  # and never again is anything read
        connection.next_event()
    assert connection.send_head(400, [], Encapsulated()).startswith(b"ICAP/1.0 400 ")
    return caught.value.sentence


OPTIONS = b"OPTIONS icap://h/ ICAP/1.0\r\n"


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (b"OPTIONS icap://h/ ICAP/1.0\n", "without CRLF"),
        (OPTIONS + b"Host: h\nX: ", "without CRLF"),
        (OPTIONS + b"Host: h\0", "NUL"),
        (OPTIONS + b"Host: h\rX", "without CRLF"),
        (b"\r\n" * 4 + OPTIONS, "not an ICAP request line"),
        (OPTIONS + b"A: b\r\n" * 201 + b"\r\n", "more than 200 header lines"),
        (OPTIONS + b"Content-Length: 5\r\n\r\n", "Content-Length contradicts"),
        (OPTIONS + b"Transfer-Encoding: chunked\r\n\r\n", "Encapsulated none"),
        (OPTIONS + b"Content-Length: 0\r\nContent-Length: 1\r\n\r\n", "Two different"),
        (respmod(b"", b"Content-Length: 0"), "Content-Length contradicts"),
        (respmod(b"", b"Transfer-Encoding: chunked, chunked"), "chunked, nothing else"),
        (
            b"REQMOD icap://h/ ICAP/1.0\r\nContent-Length: 0\r\n"
            b"Encapsulated: req-hdr=0, null-body=9\r\n\r\n",
            "Content-Length contradicts",
        ),
        (respmod(b"1\r\nx\r\n\r\n1\r\ny\r\n"), "chunk size"),
        (respmod(b"1\r\nx\r\n\r\n0\r\n\r\n"), "chunk size"),
        (respmod(b"1\n"), "without CRLF"),
        (respmod(b"1\r\nxx"), "longer than its size"),
        (respmod(b"1; ieof\r\n"), "last chunk stands at another"),
        (respmod(b"0\r\nX: 1\n"), "without CRLF"),
    ],
)
def test_what_cannot_become_a_message_is_refused_at_once(message: bytes, sentence: str) -> None:
    assert sentence in refused(message)


def test_an_open_head_is_searched_once() -> None:
    connection = ServerConnection(Limits(head=1 << 22))
    connection.receive_data(OPTIONS)
    for _ in range(4000):  # a search from the start each time would look at 8 GB
        connection.receive_data(b"X: " + b"a" * 1000 + b"\r\n")
        assert isinstance(connection.next_event(), NeedData)


@pytest.mark.parametrize(
    ("allow", "preview", "last", "may_204", "may_206"),
    [
        (None, None, b"0", False, False),
        ("204", None, b"0", True, False),
        ("206", None, b"0", False, False),
        ("204, 206", None, b"0", True, True),
        ("206, trailers", 1, b"0", True, True),
        (None, 1, b"0", True, False),
        ("206", 9, b"0; ieof", True, True),
    ],
)
def test_where_204_and_206_are_legal(
    allow: str | None, preview: int | None, last: bytes, may_204: bool, may_206: bool
) -> None:
    fields = [f"Allow: {allow}".encode()] if allow else []
    connection = ServerConnection()
    connection.receive_data(respmod(b"1\r\nx\r\n" + last + b"\r\n\r\n", *fields, preview=preview))
    events(connection)
    assert (connection.may_204, connection.may_206) == (may_204, may_206)
    for status, may in ((206, may_206), (204, may_204)):
        if not may:
            with pytest.raises(LocalProtocolError, match="does not allow it"):
                connection.send_head(status, [], Encapsulated())


def test_after_100_an_offer_for_the_preview_is_over() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"1\r\nx\r\n0\r\n\r\n", b"Allow: 206", preview=1))
    events(connection)
    assert connection.may_204
    assert connection.may_206
    connection.send_continue()
    connection.receive_data(b"0\r\n\r\n")
    events(connection)
    assert not connection.may_204
    assert not connection.may_206


def test_206_is_never_for_a_message_without_a_body() -> None:
    connection = ServerConnection()
    head = b"REQMOD icap://h/r ICAP/1.0\r\nAllow: 204, 206\r\n"
    head += b"Encapsulated: req-hdr=0, null-body=%d\r\n\r\n" % len(GET)
    connection.receive_data(head + GET)
    events(connection)
    assert connection.may_204
    assert not connection.may_206


def test_206_goes_on_with_the_clients_own_copy() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"1\r\nx\r\n0\r\n\r\n", b"Allow: 206", preview=1))
    events(connection)
    assert connection.send_head(206, [], BODY, OK).startswith(b"ICAP/1.0 206 Partial Content\r\n")
    assert connection.send_end(use_original_body=0) == b"0; use-original-body=0\r\n\r\n"
    connection.next_request()
    assert connection.request_state is RequestState.IDLE


def test_an_offset_without_206_is_our_mistake() -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"0\r\n\r\n"))
    events(connection)
    connection.send_head(200, [], BODY, OK)
    with pytest.raises(LocalProtocolError, match="outside a 206"):
        connection.send_end(use_original_body=0)


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [(b"\r\n1\r\ny\r\n0\r\n\r\n", "chunk size"), (b"1\r\ny\r\n0; ieof\r\n\r\n", "behind 100")],
)
def test_what_traffic_server_is_forgiven_is_not_forgiven_after_100(
    rest: bytes, sentence: str
) -> None:
    connection = ServerConnection()
    connection.receive_data(respmod(b"1\r\nx\r\n0\r\n\r\n", preview=1))
    events(connection)
    connection.send_continue()
    connection.receive_data(rest)
    with pytest.raises(ProtocolError, match=sentence):
        events(connection)


@pytest.mark.parametrize("begun", [b"0\r\nX: ", b"5; x="])
def test_lines_that_drip_are_looked_at_once(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    def count(buffer: bytearray, start: int = 0) -> None:
        nonlocal looked
        looked += len(buffer) - start

    monkeypatch.setattr(chunks, "refuse_stray", count)
    connection = ServerConnection()
    connection.receive_data(respmod(begun))
    for _ in range(4000):
        assert isinstance(events(connection), list)
        connection.receive_data(b"a")
    assert looked < 6 * 4000


def test_what_nobody_reads_costs_little_more_than_its_bytes() -> None:
    connection = ServerConnection()
    for _ in range(100_000):
        connection.receive_data(b"x")
    assert connection.buffered == 100_000
    assert sum(map(sys.getsizeof, connection._reader._waiting)) < 200_000


def test_large_pieces_of_a_chunk_are_not_copied() -> None:
    connection = ServerConnection()
    piece = b"x" * 100_000
    connection.receive_data(respmod(b"7a120\r\n"))  # 500,000
    assert isinstance(events(connection), list)
    for _ in range(3):
        connection.receive_data(piece)
    connection.receive_data(piece + piece[:-10] + b"0123456789\r\n0\r\n\r\n")
    data = [event.data for event in events(connection) if isinstance(event, Data)]
    assert [each is piece for each in data[:3]] == [True] * 3
    assert b"".join(data)[-10:] == b"0123456789"
    assert len(b"".join(data)) == 500_000
