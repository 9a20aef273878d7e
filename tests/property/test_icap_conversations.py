"""Broken conversations: an answer, a refusal and the end, or waiting for more; nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.driver import Broken, finals, run
from tests.support.seeds import OK, REQUESTS

BITS = [b"\r\n", b"\n", b"\0", b"0\r\n\r\n", b"ffff\r\n", b"; ieof", b"-1", b" ", b"0x", b"_"]

Mutation = tuple[float, int, bytes]
mutations = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 20), st.sampled_from(BITS) | st.binary(max_size=4)),
    max_size=4,
)


def mutated(stream: bytes, changes: list[Mutation]) -> bytes:
    for place, cut, put in changes:
        at = int(place * len(stream))
        stream = stream[:at] + put + stream[at + cut :]
    return stream


def in_pieces(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at, turn = [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        pieces.append(stream[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=5),
    mutations,
    st.lists(st.integers(1, 80), min_size=1, max_size=6),
)
def test_a_mutated_conversation_in_any_pieces(
    parts: list[bytes], changes: list[Mutation], sizes: list[int]
) -> None:
    stream = mutated(b"".join(parts), changes)
    split = run(in_pieces(stream, sizes))
    whole = run([stream])
    assert bytes(split.said) == bytes(whole.said)  # how it is cut changes nothing
    assert split.closed == whole.closed


def test_whole_conversations_are_answered_one_by_one() -> None:
    answered = [finals(bytes(run([request]).said)) for request in REQUESTS]
    assert answered == [[204], [204], [204], [206], [204], [200], [200]]
    assert finals(bytes(run([b"".join(REQUESTS)]).said)) == [204, 204, 204, 206, 204, 200, 200]


@pytest.mark.parametrize(
    "said",
    [
        b"ICAP/1.0 400 Bad Request\r\n\r\nICAP/1.0 204 No Content\r\n\r\n",
        b"ICAP/1.0 204 No Content\r\n\r\nx",
        b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n%b5\r\nab" % (len(OK), OK),
        b"ICAP/1.0 200 OK\r\n\r\n",
    ],
)
def test_what_no_server_may_say_is_found(said: bytes) -> None:
    with pytest.raises(Broken):
        finals(said)
