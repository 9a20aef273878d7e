"""Chunked bodies in reads of any size: cut as they may be, they say the same."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from icapd.protocol import BodyEnd, Data, Limits, NeedData, ProtocolError, ServerConnection
from tests.support.seeds import respmod

unhurried = settings(deadline=None, max_examples=100)
LIMITS = Limits()
NOISE = Random(3).randbytes(70_000)
STRAY = [b"\r\n", b"x", b"0\r\n\r\n", b"-1\r\n", b"\n", b"", b"5;a=\x00\r\n"]

sizes = st.integers(1, 40) | st.integers(1_000, 20_000) | st.sampled_from([4095, 4096, 65_536])
lines = st.sampled_from(["%x\r\n", "%X\r\n", "00%x\r\n", "%x;a=b\r\n", '%x; n="v"\r\n'])
chunks = st.lists(st.tuples(sizes, lines), max_size=12)
cuts = st.lists(st.integers(1, 50) | st.integers(4_000, 30_000), min_size=1, max_size=6)


def encoded(parts: list[tuple[int, str]]) -> tuple[bytes, bytes]:
    """The body, and how it is sent."""
    body = sent = b""
    for number, (size, line) in enumerate(parts):
        piece = NOISE[number : number + size]
        body += piece
        sent += (line % size).encode() + piece + b"\r\n"
    return body, sent + b"0\r\n\r\n"


def said(stream: bytes, reads: list[int]) -> tuple[bytes, object]:
    """The body's bytes, and how it ended: BodyEnd, what was wrong with it, or None."""
    connection, body, at, turn = ServerConnection(LIMITS), b"", 0, 0
    try:
        while at < len(stream):
            connection.receive_data(stream[at : at + reads[turn % len(reads)]])
            at, turn = at + reads[turn % len(reads)], turn + 1
            while not isinstance(event := connection.next_event(), NeedData):
                if isinstance(event, BodyEnd):
                    return body, event
                body += event.data if isinstance(event, Data) else b""
    except ProtocolError as error:
        return body, error.sentence
    return body, None


@unhurried
@given(chunks, cuts)
def test_a_body_is_the_same_however_it_is_cut(
    parts: list[tuple[int, str]], reads: list[int]
) -> None:
    body, sent = encoded(parts)
    assert said(respmod(sent), reads) == (body, BodyEnd())


@unhurried
@given(chunks, cuts, st.floats(0, 1), st.integers(0, 5), st.sampled_from(STRAY))
def test_what_is_wrong_with_it_is_the_same_too(
    parts: list[tuple[int, str]], reads: list[int], place: float, cut: int, put: bytes
) -> None:
    _, sent = encoded(parts)
    at = int(place * len(sent))
    stream = respmod(sent[:at] + put + sent[at + cut :])
    body, end = said(stream, reads)
    expected, expected_end = said(stream, [1 << 20])
    # which of two faults is named first depends on how much was there
    assert end == expected_end or (isinstance(end, str) and isinstance(expected_end, str))
    assert body[: len(expected)] == expected[: len(body)]
    assert len(body) == len(expected) or isinstance(end, str)


def test_tiny_chunks_in_one_read_do_not_hold_up_other_work() -> None:
    connection = ServerConnection(LIMITS)
    connection.receive_data(respmod(b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"))
    connection.next_event()
    pieces = []
    while isinstance(event := connection.next_event(), Data):
        pieces.append(len(event.data))
    assert max(pieces) <= 1000
    assert sum(pieces) == 20_000
    assert isinstance(event, BodyEnd)
