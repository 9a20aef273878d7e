"""Reads ICAP messages one after another off a byte stream, for both roles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Generic, Protocol, TypeVar

from icapd.protocol.chunks import ChunkReader
from icapd.protocol.encapsulated import Encapsulated
from icapd.protocol.errors import ProtocolError
from icapd.protocol.events import BodyEnd, Data
from icapd.protocol.grammar import CRLF, Limits, refuse_stray

_HEAD_END = b"\r\n\r\n"
_BLANK_LINES = 2
_MOST_BLANK = 64  # bytes; more than that are something else, or refused
_LARGE = 4096


class Head(Protocol):
    """A parsed ICAP head, to be completed with the HTTP heads it announces."""

    encapsulated: Encapsulated
    heads: bytes

    @property
    def preview(self) -> int | None:
        """How much of the body comes first; None: all of it."""


HeadT = TypeVar("HeadT", bound=Head)


class _State(Enum):
    HEAD = auto()
    ENCAPSULATED = auto()
    CHUNKS = auto()
    DONE = auto()


class MessageReader(Generic[HeadT]):
    """Yields a head with its encapsulated HTTP heads, then the pieces of its body.

    What is read ahead of a message's end stays buffered for the next one.
    """

    def __init__(self, parse_head: Callable[[bytes, Limits], HeadT], limits: Limits) -> None:
        self._parse_head = parse_head
        self._limits = limits
        self._buffer = bytearray()
        self._waiting: deque[bytes | bytearray] = deque()  # not in the buffer yet
        self._size_waiting = 0
        self._needs_more = True  # nothing more is in the buffer as it is
        self._state = _State.HEAD
        self._searched = 0  # bytes of an incomplete head that hold no end
        self._blank_lines = 0
        self._head: HeadT | None = None
        self._chunks = ChunkReader(limits)

    def use(self, limits: Limits) -> None:
        """Keep to these from the next head, or body, on."""
        self._limits = limits

    def feed(self, data: bytes) -> None:
        """Add bytes from the peer."""
        self._size_waiting += len(data)
        last = self._waiting[-1] if self._waiting else None
        if len(data) >= _LARGE:
            self._waiting.append(data)
        elif isinstance(last, bytearray) and len(last) < _LARGE:
            last += data  # each object has its own overhead
        else:
            self._waiting.append(bytearray(data))

    @property
    def buffered(self) -> int:
        """Bytes that wait to be read."""
        return len(self._buffer) + self._size_waiting

    @property
    def in_message(self) -> bool:
        """Whether a message has begun: its end is owed."""
        if self._state is not _State.HEAD:
            return self._state is not _State.DONE
        return self.buffered > _MOST_BLANK or bool(
            self._buffer.strip(CRLF) or b"".join(self._waiting).strip(CRLF)
        )

    def next(self) -> HeadT | Data | BodyEnd | None:
        """The next part of the message, or None when more bytes are needed or it is done."""
        part = None
        while part is None and self._state is not _State.DONE:
            if self._waiting and (self._needs_more or not self._buffer):
                if self._state is _State.CHUNKS and not self._buffer:
                    piece = self._take_large()
                    if piece:
                        return Data(piece)
                self._fill()
            part = self._next_in_buffer()
            self._needs_more = part is None
            if not self._waiting:
                break
        return part

    def _take_large(self) -> bytes:
        """Body bytes of a large read, without a way through the buffer; the rest goes there."""
        data = self._waiting[0]
        if not isinstance(data, bytes):
            return b""
        self._waiting.popleft()
        self._size_waiting -= len(data)
        piece, at = self._chunks.take(data)
        self._buffer += memoryview(data)[at:]
        return piece

    def _fill(self) -> None:
        size = 0
        while self._waiting and size < _LARGE:
            data = self._waiting.popleft()
            size += len(data)
            self._buffer += data
        self._size_waiting -= size

    def _next_in_buffer(self) -> HeadT | Data | BodyEnd | None:
        if self._state is _State.HEAD:
            self._read_head()
        if self._state is _State.ENCAPSULATED:
            return self._read_encapsulated()
        if self._state is _State.CHUNKS:
            part = self._chunks.read(self._buffer)
            if isinstance(part, BodyEnd):
                self._state = _State.DONE
            return part
        return None

    def continue_body(self) -> None:
        """Expect a second run of chunks: what follows the preview."""
        self._expect_chunks(lenient=False)

    def _expect_chunks(self, *, lenient: bool) -> None:
        self._chunks = ChunkReader(self._limits, lenient=lenient)
        self._state = _State.CHUNKS

    def next_message(self) -> None:
        """Expect a new head."""
        self._state = _State.HEAD
        self._blank_lines = 0

    def _read_head(self) -> None:
        buffer = self._buffer
        while buffer.startswith(CRLF) and self._blank_lines < _BLANK_LINES:
            self._blank_lines += 1
            del buffer[:2]
        most = self._limits.head
        end = buffer.find(_HEAD_END, self._searched, most + len(_HEAD_END))
        if end < 0:
            self._await_head_end(buffer, most)
            return
        self._searched = 0
        block = bytes(buffer[: end + 2])
        del buffer[: end + 4]
        self._head = self._parse_head(block, self._limits)
        if self._head.encapsulated.heads_size > self._limits.encapsulated_heads:
            limit = self._limits.encapsulated_heads
            raise ProtocolError(f"The encapsulated heads exceed {limit} bytes.")
        self._state = _State.ENCAPSULATED

    def _await_head_end(self, buffer: bytearray, most: int) -> None:
        """Refuse early what can become no head; each byte is looked at once."""
        refuse_stray(buffer, self._searched)
        if len(buffer) > most:
            raise ProtocolError(f"The ICAP head exceeds {most} bytes.")
        self._searched = max(len(buffer) - len(_HEAD_END) + 1, 0)

    def _read_encapsulated(self) -> HeadT | None:
        assert self._head is not None  # noqa: S101 - the state says so
        head, size = self._head, self._head.encapsulated.heads_size
        if len(self._buffer) < size:
            return None
        head.heads = bytes(self._buffer[:size])
        del self._buffer[:size]
        if head.encapsulated.has_body:
            self._expect_chunks(lenient=head.preview is None)
        else:
            self._state = _State.DONE
        return head
