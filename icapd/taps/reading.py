"""What one side of a connection says, cut into heads and bodies without losing a byte. No I/O.

It is read by the reader that the door itself reads with, so both agree on what is a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Generic, NamedTuple, TypeVar

from icapd.protocol import BodyEnd, Data, Limits, ProtocolError, Request, Response
from icapd.protocol.reader import MessageReader

HeadT = TypeVar("HeadT", Request, Response)
_LINE_END = b"\r\n"
_HEAD_END = _LINE_END * 2
_LAST_CHUNK_MAX = 64  # bytes of a last chunk worth showing by itself
_BROKEN_MAX = 4096  # bytes of what is broken that are worth showing


class Kind(Enum):
    """What bytes are. `BROKEN`: no head that anybody understands, or the beginning of one;
    `REST`: what stands behind it.
    """

    HEAD = auto()
    BODY = auto()
    LAST_CHUNK = auto()
    TRAILERS = auto()
    BROKEN = auto()
    REST = auto()


class Piece(NamedTuple, Generic[HeadT]):
    """`head`: with `HEAD` the message that begins. `reads`: in how many pieces it came. `ends`:
    the message is whole with this.
    """

    kind: Kind
    data: bytes
    head: HeadT | None = None
    reads: int = 1
    ends: bool = False


class Hearing(Generic[HeadT]):
    """One direction of a connection. `put` bytes, then take `pieces`."""

    def __init__(self, parse: Callable[[bytes, Limits], HeadT], limits: Limits) -> None:
        self._reader: MessageReader[HeadT] = MessageReader(parse, limits)
        self._raw = bytearray()  # what is not given out yet
        self._reads = 0
        self._in_body = False
        self._is_broken = False

    def put(self, data: bytes) -> None:
        """Add bytes that came."""
        self._raw += data
        self._reads += 1
        if not self._is_broken:
            self._reader.feed(data)

    def next_message(self) -> None:
        """What follows is a new message: the last one is whole, and so is what it was about."""
        self._reader.next_message()
        self._in_body = False

    def continue_body(self) -> None:
        """What follows is the rest of a body, behind its preview."""
        self._reader.continue_body()
        self._in_body = True

    def pieces(self) -> Iterator[Piece[HeadT]]:
        """All that can be told of what came."""
        if self._is_broken:
            yield from self.rest()
            return
        try:
            while (part := self._reader.next()) is not None:
                yield from self._piece(part)
        except ProtocolError:
            yield from self.rest()
            return
        if self._in_body and (read := self._read):
            yield self._take(read, Kind.BODY)

    def rest(self) -> Iterator[Piece[HeadT]]:
        """What came and is nothing whole; no message follows."""
        was_broken, self._is_broken = self._is_broken, True
        if not was_broken and not self._in_body and self._raw:
            head = self._raw[:_BROKEN_MAX].find(_HEAD_END) + len(_HEAD_END)
            size = head if head >= len(_HEAD_END) else _BROKEN_MAX
            yield self._take(min(size, len(self._raw)), Kind.BROKEN)
        if self._raw:
            yield self._take(
                len(self._raw), Kind.REST if was_broken or not self._in_body else Kind.BODY
            )

    @property
    def _read(self) -> int:
        """Bytes of what is not given out that the reader has done with."""
        return len(self._raw) - self._reader.buffered

    def _piece(self, part: HeadT | Data | BodyEnd) -> Iterator[Piece[HeadT]]:
        if isinstance(part, Data):
            return  # it is given out with all that came with it
        if isinstance(part, BodyEnd):
            self._in_body = False
            yield from self._end(part)
        else:
            self._in_body = part.encapsulated.has_body
            yield self._take(self._read, Kind.HEAD, part, ends=not self._in_body)

    def _end(self, end: BodyEnd) -> Iterator[Piece[HeadT]]:
        """The last chunk by itself, where that can be told."""
        came = bytes(self._raw[: self._read])
        if end.trailers:
            yield self._take(len(came), Kind.TRAILERS, ends=True)
            return
        begin = came[:-4].rfind(_LINE_END) + 2 if _LINE_END in came[:-4] else 0
        if len(came) - begin > _LAST_CHUNK_MAX or len(came) < 4:
            begin = len(came)
        if begin:
            yield self._take(begin, Kind.BODY)
        yield self._take(len(came) - begin, Kind.LAST_CHUNK, ends=True)

    def _take(
        self, size: int, kind: Kind, head: HeadT | None = None, *, ends: bool = False
    ) -> Piece[HeadT]:
        data = bytes(self._raw[:size])
        del self._raw[:size]
        reads, self._reads = self._reads, bool(self._raw)
        return Piece(kind, data, head, max(reads, 1), ends)
