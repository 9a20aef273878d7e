"""The zstd content coding (RFC 8878), fed so that no call gives more than one block.

The library decodes all that it is fed in one go, and four bytes of a block that repeats a sign
are 128 KiB. So the frames are walked here as far as to know where each block ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

import zstandard

from icapd.contents.decoders import UndecodableError

MAX_WINDOW = 8 << 20  # what a client has to support (RFC 9659), and what browsers take
_SKIPPABLE = b"\x2a\x4d\x18"  # after a byte 0x50 to 0x5f
_MAGIC_AND_DESCRIPTOR = 5
_SKIPPABLE_HEADER = 8
_BLOCK_HEADER = 3
_CHECKSUM = 4
_RLE = 1


class _Part(Enum):
    """Where in a frame the walk is."""

    MAGIC = auto()
    HEADER = auto()
    SKIPPABLE = auto()
    BLOCK_HEADER = auto()
    BLOCK = auto()
    REST = auto()  # a checksum, or what is skipped


class FrameWalk:
    """Knows how many bytes of a stream may be taken next: never more than one block."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._part = _Part.MAGIC
        self.wanted = _MAGIC_AND_DESCRIPTOR
        self._seen = b""
        self._last = self._checksum = False

    @property
    def is_between(self) -> bool:
        """Whether a frame may begin here, and the stream may end."""
        return self._part is _Part.MAGIC and not self._seen

    def took(self, data: bytes) -> bool:
        """At most `wanted` bytes were taken; whether they end a frame."""
        if self._part not in {_Part.BLOCK, _Part.REST}:
            self._seen += data
        self.wanted -= len(data)
        while not self.wanted:
            if self._next():
                self._begin()
                return True
        return False

    def _go(self, part: _Part, wanted: int) -> None:
        self._part, self.wanted = part, wanted

    def _next(self) -> bool:
        """The part at hand is over; whether the frame is, too."""
        seen = self._seen
        if self._part is _Part.MAGIC:
            self._magic(seen)
        elif self._part is _Part.HEADER:
            self._seen = b""
            self._go(_Part.BLOCK_HEADER, _BLOCK_HEADER)
        elif self._part is _Part.SKIPPABLE:
            self._go(_Part.REST, int.from_bytes(seen[4:8], "little"))
        elif self._part is _Part.BLOCK_HEADER:
            self._block(int.from_bytes(seen, "little"))
        elif self._part is _Part.BLOCK and not self._last:
            self._go(_Part.BLOCK_HEADER, _BLOCK_HEADER)
        elif self._part is _Part.BLOCK and self._checksum:
            self._go(_Part.REST, _CHECKSUM)
        else:
            return True
        return False

    def _magic(self, seen: bytes) -> None:
        if seen[1:4] == _SKIPPABLE and seen[0] >> 4 == 5:
            self._go(_Part.SKIPPABLE, _SKIPPABLE_HEADER - len(seen))
            return
        descriptor = seen[4]  # RFC 8878 3.1.1.1.1
        single = descriptor >> 5 & 1
        self._checksum = bool(descriptor & 4)
        window, dictionary = 1 - single, (0, 1, 2, 4)[descriptor & 3]
        self._go(_Part.HEADER, window + dictionary + (single, 2, 4, 8)[descriptor >> 6])

    def _block(self, header: int) -> None:
        self._seen = b""
        self._last = bool(header & 1)
        self._go(_Part.BLOCK, 1 if header >> 1 & 3 == _RLE else header >> 3)


class ZstdDecoder:
    """zstd: any number of frames one after another, with windows of at most 8 MiB."""

    def __init__(self) -> None:
        self._library = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._frame = self._library.decompressobj()
        self._walk = FrameWalk()
        self._frames = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """See `Decoder`."""
        at = 0
        while at < len(data):
            part = data[at : at + self._walk.wanted]
            at += len(part)
            try:
                piece = self._frame.decompress(part)
            except zstandard.ZstdError as error:
                raise UndecodableError from error
            if self._walk.took(part) is not self._frame.eof or self._frame.unused_data:
                raise UndecodableError
            if self._frame.eof:
                self._frame = self._library.decompressobj()
                self._frames += 1
            elif not piece:
                continue
            yield piece

    @property
    def is_whole(self) -> bool:
        """At the end of a frame."""
        return self._frames > 0 and self._walk.is_between
