"""What monitor gives back while a body still arrives."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from icapd.early import Early, Plan
from icapd.protocol import HttpHead, RequestState
from icapd.stall import Stallers

PIECE = b"x" * 40_000


class FakeAnswer:
    """Takes what is given."""

    sent_bytes = 0

    def head(self, edit: object) -> None:
        """The head."""
        assert edit is None

    def data(self, piece: bytes) -> None:
        """Some of the body."""
        self.sent_bytes += len(piece)


class FakeWriter:
    """A body on its way in."""

    size = 0

    async def read_at(self, offset: int, count: int) -> bytes:
        """Some of what came."""
        return b"x" * min(count, self.size - offset)


def given(length: str, pieces: int, *, silent: bool = False) -> int:
    """Bytes that are out after so many pieces of a body whose head says `length`."""
    icap = SimpleNamespace(request_state=RequestState.BODY)
    channel = SimpleNamespace(icap=icap, writable=True, time=lambda: 0.0, peer="p")
    answer, writer = FakeAnswer(), FakeWriter()
    head = HttpHead(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
    plan = Plan(echo=True)
    parts: tuple[Any, ...] = (channel, answer, writer, head, plan, Stallers())
    early = Early(*cast(Any, parts))

    async def come() -> None:
        for _ in range(pieces):
            writer.size += len(PIECE)
            await early.arrived(PIECE)
        if silent:
            await early.silent(1.0)

    asyncio.run(come())
    return answer.sent_bytes


@pytest.mark.parametrize(
    ("length", "pieces", "out"),
    [
        ("", 3, 120_000),  # the end of the chunks is the end for its user, too
        ("Content-Length: 200000\r\n", 3, 120_000),
        ("Content-Length: 120000\r\n", 3, 80_000),
        ("Content-Length: 80000\r\n", 3, 120_000),  # it lies: its user has had enough long ago
    ],
)
def test_the_end_waits_until_the_case_cannot_be_lost(length: str, pieces: int, out: int) -> None:
    assert given(length, pieces) == out


def test_a_silence_gives_what_is_there_but_not_the_end() -> None:
    assert given("Content-Length: 60000\r\n", 1, silent=True) == 40_000
    assert given("Content-Length: 40000\r\n", 1, silent=True) == 0
