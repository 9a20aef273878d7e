"""The benchmark's load takes right answers however they are cut, and refuses wrong ones."""

from __future__ import annotations

import pytest

from tests.bench.answers import AnswerReader, WrongAnswerError

BODY = b"0123456789" * 40
EMPTY = b'ICAP/1.0 204 No Content\r\nISTag: "a"\r\nEncapsulated: null-body=0\r\n\r\n'
CONTINUE = b"ICAP/1.0 100 Continue\r\n\r\n"
HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n"
HEAD = b'ICAP/1.0 200 OK\r\nISTag: "a"\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n' % len(HTTP)
CHUNKS = b"64\r\n%b\r\n12c\r\n%b\r\n" % (BODY[:100], BODY[100:])
WHOLE = HEAD + HTTP + CHUNKS + b"0\r\n\r\n"
ALL = frozenset((100, 200, 204))


def reader(statuses: frozenset[int] = ALL, body: bytes | None = BODY) -> AnswerReader:
    one = AnswerReader()
    one.expect(statuses, len(BODY), body)
    return one


@pytest.mark.parametrize(("answer", "status"), [(EMPTY, 204), (CONTINUE, 100), (WHOLE, 200)])
def test_an_answer_ends_with_its_last_byte(answer: bytes, status: int) -> None:
    assert reader().feed(answer) == status
    for cut in range(1, len(answer)):
        one = reader()
        assert one.feed(answer[:cut]) == 0
        assert one.feed(answer[cut:]) == status


@pytest.mark.parametrize(("answer", "status"), [(EMPTY, 204), (CONTINUE, 100), (WHOLE, 200)])
def test_byte_by_byte(answer: bytes, status: int) -> None:
    one = reader()
    assert {one.feed(answer[at : at + 1]) for at in range(len(answer) - 1)} == {0}
    assert one.feed(answer[-1:]) == status


def test_one_answer_after_another() -> None:
    one = reader()
    assert one.feed(CONTINUE) == 100
    one.expect(frozenset((200,)), len(BODY), BODY)
    assert one.feed(WHOLE) == 200
    one.expect(frozenset((204,)), len(BODY))
    assert one.feed(EMPTY) == 204


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(EMPTY + b"\r\n", id="bytes behind a 204"),
        pytest.param(WHOLE + b"x", id="bytes behind the end"),
        pytest.param(CONTINUE + EMPTY, id="two at once"),
        pytest.param(EMPTY.replace(b"204", b"500"), id="another status"),
        pytest.param(EMPTY.replace(b"ICAP", b"HTTP"), id="another protocol"),
        pytest.param(EMPTY.replace(b"ISTag:", b"ISTag"), id="a line that is no field"),
        pytest.param(EMPTY.replace(b"null-body=0", b"res-hdr=0, res-body=9"), id="204 with a body"),
        pytest.param(WHOLE.replace(b"res-body=", b"null-body="), id="200 without a body"),
        pytest.param(WHOLE.replace(b"res-body=40", b"res-body=41"), id="an offset too far"),
        pytest.param(WHOLE.replace(b"res-body=40", b"res-body=39"), id="an offset too near"),
        pytest.param(WHOLE.replace(b"64\r\n", b"65\r\n"), id="a chunk said to be longer"),
        pytest.param(WHOLE.replace(b"64\r\n", b"63\r\n"), id="a chunk said to be shorter"),
        pytest.param(WHOLE.replace(b"64\r\n", b"-4\r\n"), id="a size that is none"),
        pytest.param(WHOLE.replace(CHUNKS, b""), id="no body"),
        pytest.param(WHOLE.replace(CHUNKS, CHUNKS + b"1\r\nx\r\n"), id="a longer body"),
        pytest.param(WHOLE.replace(b"12c\r\n", b"12b\r\n"), id="a last chunk said to be shorter"),
        pytest.param(WHOLE.replace(b"\r\n0\r\n", b"xx0\r\n"), id="a chunk without its end"),
        pytest.param(WHOLE[:-2] + b"xx", id="an end that is none"),
        pytest.param(WHOLE.replace(CHUNKS, CHUNKS[:106]), id="a shorter body"),
        pytest.param(
            WHOLE.replace(b"400\r\n\r\n", b"400\r\nX:"), id="an HTTP head without its end"
        ),
        pytest.param(WHOLE.replace(b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n"), id="trailers"),
        pytest.param(b"ICAP/1.0 204 " + b"x" * 20_000, id="a head without an end"),
        pytest.param(HEAD + HTTP + b"0" * 200, id="a size without an end"),
    ],
)
def test_what_is_wrong_is_refused(wrong: bytes) -> None:
    with pytest.raises(WrongAnswerError):
        reader(body=None).feed(wrong)
    one = reader(body=None)
    with pytest.raises(WrongAnswerError):
        for at in range(len(wrong)):
            assert one.feed(wrong[at : at + 1]) in (0, 100, 204, 200)


def test_a_status_that_the_work_does_not_allow() -> None:
    with pytest.raises(WrongAnswerError, match="204"):
        reader(frozenset((200,))).feed(EMPTY)


def test_an_answer_that_is_cut_off_is_none() -> None:
    assert reader().feed(WHOLE[:-1]) == 0
    assert reader().feed(EMPTY[:-1]) == 0


def test_bytes_are_compared_only_where_that_is_asked() -> None:
    other = WHOLE.replace(b"0123", b"9123", 1)
    assert reader(body=None).feed(other) == 200
    with pytest.raises(WrongAnswerError, match="bytes"):
        reader().feed(other)
