"""Conversations as the client sees them."""

from __future__ import annotations

import pytest

from icapd.protocol import (
    BodyEnd,
    BodyKind,
    ClientConnection,
    Data,
    Encapsulated,
    LocalProtocolError,
    NeedData,
    ProtocolError,
    RequestState,
    Response,
)

POST = b"POST / HTTP/1.1\r\n\r\n"
POSTED = Encapsulated(len(POST), None, BodyKind.REQUEST)
PAGE = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n"


def asked(preview: int | None = None) -> ClientConnection:
    """A client that has sent a request and its body, or the preview of it."""
    connection = ClientConnection()
    fields = [] if preview is None else [("Preview", str(preview))]
    connection.send_request("REQMOD", "icap://h/r", fields, POSTED, POST)
    connection.send_data(b"x" * (preview or 1))
    connection.send_end()
    return connection


def test_100_then_a_page_then_the_next_answer() -> None:
    connection = asked(preview=1)
    connection.receive_data(b"ICAP/1.0 100 Continue\r\n\r\n")
    connection.receive_data(
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n%b2\r\nno\r\n0\r\n\r\n"
        % (len(PAGE), PAGE)
    )
    first, second = connection.next_event(), connection.next_event()
    assert isinstance(first, Response)
    assert isinstance(second, Response)
    assert connection.request_state is RequestState.BODY
    assert (first.status, second.status) == (100, 200)
    assert second.http_head == PAGE
    connection.send_end()
    assert connection.next_event() == Data(b"no")
    assert connection.next_event() == BodyEnd()
    connection.next_response()
    connection.send_request("OPTIONS", "icap://h/r", [])
    connection.receive_data(b"ICAP/1.0 204 No Content\r\n\r\n")
    third = connection.next_event()
    assert isinstance(third, Response)
    assert third.status == 204


def test_206_names_the_offset_of_the_clients_own_copy() -> None:
    connection = asked()
    connection.receive_data(
        b"ICAP/1.0 206 Partial Content\r\nEncapsulated: res-body=0\r\n\r\n"
        b"1\r\nx\r\n0; use-original-body=7\r\n\r\n"
    )
    assert isinstance(connection.next_event(), Response)
    assert connection.next_event() == Data(b"x")
    assert connection.next_event() == BodyEnd(use_original_body=7)


def test_a_200_without_encapsulated_is_refused() -> None:
    connection = asked()
    connection.receive_data(b"ICAP/1.0 200 OK\r\n\r\n")
    with pytest.raises(ProtocolError, match="without an Encapsulated"):
        connection.next_event()


def test_a_200_to_options_may_carry_nothing() -> None:
    connection = ClientConnection()
    connection.send_request("OPTIONS", "icap://h/r", [])
    connection.receive_data(b"ICAP/1.0 200 OK\r\n\r\n")
    assert isinstance(connection.next_event(), Response)
    connection.next_response()


def test_half_an_answer_is_waited_for() -> None:
    connection = ClientConnection()
    connection.receive_data(b"ICAP/1.0 200 O")
    assert isinstance(connection.next_event(), NeedData)


def test_requests_are_framed_right() -> None:
    connection = ClientConnection()
    head = b"GET / HTTP/1.1\r\n\r\n"
    what = Encapsulated(len(head), None, BodyKind.REQUEST)
    assert connection.send_request("REQMOD", "icap://h/r", [("Host", "h")], what, head) == (
        b"REQMOD icap://h/r ICAP/1.0\r\nHost: h\r\nEncapsulated: req-hdr=0, req-body=18\r\n\r\n"
        + head
    )
    assert connection.send_data(b"ab") + connection.send_end() == b"2\r\nab\r\n0\r\n\r\n"


def test_a_preview_that_is_all_there_is() -> None:
    connection = ClientConnection()
    connection.send_request("REQMOD", "icap://h/r", [("Preview", "9")], POSTED, POST)
    assert connection.send_end(ieof=True) == b"0; ieof\r\n\r\n"
    with pytest.raises(LocalProtocolError, match="outside a body"):
        connection.send_data(b"x")


def test_bytes_before_100_are_a_fault_of_ours() -> None:
    connection = asked(preview=1)
    with pytest.raises(LocalProtocolError, match="outside a body"):
        connection.send_data(b"x")


@pytest.mark.parametrize(
    ("before", "answer", "sentence"),
    [
        (None, b"ICAP/1.0 100 Continue\r\n\r\n", "100 Continue while the request is complete"),
        (1, b"ICAP/1.0 100 Continue\r\n\r\n" * 2, "100 Continue while the request is body"),
        (1, b"ICAP/1.0 204 No\r\nEncapsulated: req-body=0\r\n\r\n", "204 that announces a body"),
        (
            None,
            b"ICAP/1.0 200 OK\r\nEncapsulated: res-body=0\r\n\r\n0; use-original-body=1\r\n\r\n",
            "outside a 206",
        ),
        (
            None,
            b"ICAP/1.0 206 P\r\nEncapsulated: res-body=0\r\n\r\n0; use-original-body=-1\r\n\r\n",
            "no offset",
        ),
    ],
)
def test_what_a_server_must_not_say(before: int | None, answer: bytes, sentence: str) -> None:
    connection = asked(preview=before)
    connection.receive_data(answer)
    for _again in range(2):
        with pytest.raises(ProtocolError, match=sentence):
            while not isinstance(connection.next_event(), NeedData):
                pass


def test_an_answer_to_nothing() -> None:
    connection = ClientConnection()
    connection.receive_data(b"ICAP/1.0 204 No Content\r\n\r\n")
    with pytest.raises(ProtocolError, match="before a request"):
        connection.next_event()


def test_answers_to_requests_that_were_sent_by_other_means() -> None:
    connection = ClientConnection(reads_only=True)
    connection.receive_data(b"ICAP/1.0 100 Continue\r\n\r\nICAP/1.0 204 No Content\r\n\r\n")
    connection.receive_data(b"ICAP/1.0 404 Not Found\r\n\r\n")
    statuses = []
    while isinstance(answer := connection.next_event(), Response):
        statuses.append(answer.status)
        if answer.status != 100:
            connection.next_response()
    assert statuses == [100, 204, 404]
