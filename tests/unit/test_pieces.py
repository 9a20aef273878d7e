"""Bytes in pieces are the same bytes, and small ones do not cost an object each."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.pieces import Pieces

sizes = st.sampled_from([0, 1, 7, 4095, 4096, 5000, 70_000])


def filled(lengths: list[int]) -> tuple[Pieces, bytes]:
    pieces, whole = Pieces(), b""
    for number, length in enumerate(lengths):
        data = bytes([number % 256]) * length
        pieces.add(data)
        whole += data
    return pieces, whole


@settings(deadline=None, max_examples=100)
@given(st.lists(sizes, max_size=12), st.integers(0, 300_000), st.integers(1, 100_000))
def test_what_is_added_is_read(lengths: list[int], offset: int, size: int) -> None:
    pieces, whole = filled(lengths)
    assert pieces.size == len(whole)
    got = pieces.read_at(offset, size)
    assert whole[offset : offset + size].startswith(got)
    assert bool(got) is (offset < len(whole))
    read = b""
    while piece := pieces.read_at(len(read), size):
        read += piece
    assert read == whole
    assert pieces.joined() == whole
    pieces.add(b"more")
    assert pieces.joined() == whole + b"more"


def test_a_large_piece_is_not_copied() -> None:
    data = b"x" * 100_000
    pieces = Pieces()
    pieces.add(b"a" * 5000)
    pieces.add(data)
    assert pieces.read_at(5000, 1 << 20) is data


def test_tiny_pieces_cost_little_more_than_their_bytes() -> None:
    pieces = Pieces()
    for _ in range(200_000):
        pieces.add(b"x")
    held = sum(map(sys.getsizeof, pieces._pieces))
    assert held < 2 * pieces.size


def test_it_may_be_joined_while_others_read() -> None:
    pieces, whole = filled([5000, 3, 70_000, 10])
    with ThreadPoolExecutor(2) as threads:
        joining = [threads.submit(pieces.joined) for _ in range(200)]
        for offset in range(0, len(whole), 50):
            assert pieces.read_at(offset, 10) == whole[offset : offset + 10][:10] or offset > 4990
        assert {each.result() for each in joining} == {whole}
    assert len(pieces._pieces) == 4, "what others read was replaced"


def test_what_was_cleared_is_gone() -> None:
    pieces, _ = filled([5000, 3])
    pieces.clear()
    assert (pieces.size, pieces.joined(), pieces.read_at(0, 5)) == (0, b"", b"")
