"""What one side of a connection says, cut into heads and bodies without losing a byte. No I/O.

It is read by the reader that the door itself reads with, so both agree on what is a head.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Generic, NamedTuple, TypeVar

from icapd.protocol import BodyEnd, Data, Limits, ProtocolError, Request, Response
from icapd.protocol.reader import MessageReader

HeadT = TypeVar("HeadT", Request, Response)
_CRLF = b"\r\n"
# by the grammar that the reader holds to; neither can be taken for the other
_TRAILER = re.compile(rb"[^\s:;]+:[^\r\n]*")
_LAST_CHUNK = re.compile(rb"0+(?:;[^\r\n]*)?")
_LAST_CHUNK_THERE = re.compile(rb"(?:\A|\r\n)(0+(?:;[^\r\n]*)?\r\n)")
# in what is broken the ends of lines may be, too
_LINE_END = rb"(?>\r\n|\r|\n)"
_HEAD_END = re.compile(rb"[\r\n]*[^\r\n](?s:.*?)(?:" + _LINE_END + rb"[ \t]*" + _LINE_END + rb")")
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

    @property
    def waiting(self) -> int:
        """Bytes that are kept until more of them come."""
        return len(self._raw)

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
        if self._in_body and (read := self._of_body):
            yield self._take(read, Kind.BODY)

    def rest(self) -> Iterator[Piece[HeadT]]:
        """What came and is nothing whole; no message follows."""
        was_broken, self._is_broken = self._is_broken, True
        if not was_broken and self._raw:
            yield from self._what_broke()
        if self._raw:
            yield self._take(len(self._raw), Kind.REST)

    def _what_broke(self) -> Iterator[Piece[HeadT]]:
        if not self._in_body:
            head = _HEAD_END.match(self._raw[:_BROKEN_MAX])
            size = min(len(self._raw), _BROKEN_MAX) if head is None else head.end()
            yield self._take(size, Kind.BROKEN)
            return
        # what may be trailers is no body that may be shown
        last = _last_match(_LAST_CHUNK_THERE, self._raw)
        if size := len(self._raw) if last is None else last.start(1):
            yield self._take(size, Kind.BODY)

    @property
    def _read(self) -> int:
        """Bytes of what is not given out that the reader has done with."""
        return len(self._raw) - self._reader.buffered

    @property
    def _of_body(self) -> int:
        """Of these what can be no last chunk: that waits for its trailers."""
        read = self._read
        end = read - len(_CRLF)
        if self._raw[max(end, 0) : read] != _CRLF:
            return read
        line = self._raw.rfind(_CRLF, 0, end)
        begin = 0 if line < 0 else line + len(_CRLF)
        return read if _LAST_CHUNK.fullmatch(self._raw, begin, end) is None else begin

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
        """The last chunk by itself, and what stands behind it."""
        came = bytes(self._raw[: self._read])
        begin, size = _last_chunk(came, bool(end.trailers))
        if begin:
            yield self._take(begin, Kind.BODY)
        if not end.trailers:
            yield self._take(len(came) - begin, Kind.LAST_CHUNK, ends=True)
            return
        yield self._take(size, Kind.LAST_CHUNK)
        yield self._take(len(came) - begin - size, Kind.TRAILERS, ends=True)

    def _take(
        self, size: int, kind: Kind, head: HeadT | None = None, *, ends: bool = False
    ) -> Piece[HeadT]:
        data = bytes(self._raw[:size])
        del self._raw[:size]
        reads, self._reads = self._reads, bool(self._raw)
        return Piece(kind, data, head, max(reads, 1), ends)


def _last_chunk(came: bytes, has_trailers: bool) -> tuple[int, int]:
    """Where the line of the last chunk begins in what ends with it, and its size."""
    end = len(came) - len(_CRLF)  # of lines; an empty one follows
    while True:
        begin = came.rfind(_CRLF, 0, end - len(_CRLF)) + len(_CRLF)
        begin = 0 if begin < len(_CRLF) else begin
        if not has_trailers or not begin or not _TRAILER.fullmatch(came, begin, end - len(_CRLF)):
            return begin, end - begin
        end = begin


def _last_match(pattern: re.Pattern[bytes], data: bytearray) -> re.Match[bytes] | None:
    found = deque(pattern.finditer(data), maxlen=1)
    return found[0] if found else None
