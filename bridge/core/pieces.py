"""Bytes in memory that arrive in pieces: large ones are kept as they came, without a copy."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

_SMALL = 4096  # smaller ones are gathered: each object has its own overhead
_GATHERED = 65536


class Pieces:
    """Some bytes, added at the end, read anywhere."""

    __slots__ = ("_pieces", "_starts", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray] = []
        self._starts: list[int] = []
        self.size = 0

    def add(self, data: bytes) -> None:
        """Some bytes more."""
        last = self._pieces[-1] if self._pieces else None
        if len(data) >= _SMALL or not isinstance(last, bytearray) or len(last) >= _GATHERED:
            self._starts.append(self.size)
            self._pieces.append(data if len(data) >= _SMALL else bytearray(data))
        else:
            last += data
        self.size += len(data)

    @property
    def parts(self) -> Sequence[bytes | bytearray]:
        """All of them, as they are kept. Nothing may be added while others read them."""
        return tuple(self._pieces)

    def joined(self) -> bytes:
        """All of them. Others may read meanwhile."""
        pieces = self._pieces
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def read_at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on: fewer where a piece ends, none at the end."""
        if offset >= self.size:
            return b""
        number = bisect_right(self._starts, offset) - 1
        start = offset - self._starts[number]
        piece = self._pieces[number]
        if not start and len(piece) <= size and isinstance(piece, bytes):
            return piece
        return bytes(piece[start : start + size])

    def clear(self) -> None:
        """Let go of them."""
        self._pieces, self._starts, self.size = [], [], 0
