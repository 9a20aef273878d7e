"""Chunked bodies (RFC 2616 3.6.1 as RFC 3507 4.4 uses it)."""

from __future__ import annotations

from enum import Enum, auto

from icapd.protocol.errors import ProtocolError
from icapd.protocol.events import BodyEnd, Data
from icapd.protocol.grammar import (
    CRLF,
    PLAIN_CHUNK,
    ChunkLine,
    Limits,
    parse_chunk_line,
    parse_fields,
    refuse_stray,
)

_TRAILERS_END = CRLF + CRLF
LAST_CHUNK = b"0\r\n\r\n"
LAST_CHUNK_IEOF = b"0; ieof\r\n\r\n"
_MAX_PIECES = 1000  # in one go, so that a body of tiny chunks does not hold up other work


class _State(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILERS = auto()


class ChunkReader:
    """Takes one chunked body off the front of a buffer.

    `read` gives `Data` with all that is buffered of it, then `BodyEnd`, or None when it needs more.
    `lenient`: one blank line may stand before the first chunk size (Traffic Server).
    """

    def __init__(self, limits: Limits, *, lenient: bool = False) -> None:
        self._limits = limits
        self._searched = 0  # bytes of an incomplete line, or of trailers, that hold no end
        self._state = _State.SIZE
        self._left = 0
        self._last = ChunkLine(0)
        self._blank_allowed = lenient

    def read(self, buffer: bytearray) -> Data | BodyEnd | None:
        """Consume what can be consumed; raise `ProtocolError` for bad framing."""
        while self._state is not _State.TRAILERS:
            piece, at = self.take(buffer)
            del buffer[:at]
            if piece:
                return Data(piece)
            if not self._read_unusual(buffer):
                return None
        return self._read_trailers(buffer)

    def take(self, source: bytes | bytearray) -> tuple[bytes, int]:
        """The body's bytes of what stands at the front of some, and where the rest begins.

        The rest is whatever is not a plain chunk: for `read`, in a buffer.
        """
        at, end = 0, len(source)
        pieces: list[memoryview] = []
        view = memoryview(source)
        while at < end and len(pieces) < _MAX_PIECES:
            if self._state is _State.DATA:
                piece = view[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _State.DATA_END
            elif self._state is _State.DATA_END:
                if not source.startswith(CRLF, at):
                    break
                at, self._state = at + 2, _State.SIZE
            else:
                match = PLAIN_CHUNK.match(source, at)
                size = int(match[1], 16) if match is not None else 0
                if match is None or not size:
                    break
                at, self._left, self._state = match.end(), size, _State.DATA
                self._searched, self._blank_allowed = 0, False
        if len(pieces) == 1 and len(pieces[0]) == end and isinstance(source, bytes):
            return source, at  # the middle of a large chunk goes on as it came, without a copy
        return b"".join(pieces), at

    def _read_unusual(self, buffer: bytearray) -> bool:
        """What `take` has left: False when it takes more bytes to tell."""
        if self._state is _State.SIZE:
            return self._read_size(buffer)
        if self._state is _State.DATA_END and not CRLF.startswith(buffer[:2]):
            raise ProtocolError("A chunk is longer than its size says.")
        return False

    def _read_size(self, buffer: bytearray) -> bool:
        end = buffer.find(CRLF, self._searched, self._limits.chunk_line + 2)
        if end < 0:
            if len(buffer) > self._limits.chunk_line:
                raise ProtocolError("A chunk line is too long.")
            self._await(buffer, CRLF)
            return False
        self._searched = 0
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        if not line and self._blank_allowed:
            self._blank_allowed = False
            return True
        self._blank_allowed = False
        chunk = parse_chunk_line(line)
        if chunk.size:
            self._left, self._state = chunk.size, _State.DATA
        else:
            self._last, self._state = chunk, _State.TRAILERS
        return True

    def _await(self, buffer: bytearray, end: bytes) -> None:
        """Refuse early what can hold no end; each byte is looked at once."""
        refuse_stray(buffer, self._searched)
        self._searched = max(len(buffer) - len(end) + 1, 0)

    def _read_trailers(self, buffer: bytearray) -> BodyEnd | None:
        trailers: dict[str, str] = {}
        if buffer.startswith(CRLF):
            del buffer[:2]
        else:
            end = buffer.find(_TRAILERS_END, self._searched, self._limits.trailers)
            if end < 0:
                if len(buffer) >= self._limits.trailers:
                    raise ProtocolError("The trailers are too long.")
                self._await(buffer, _TRAILERS_END)
                return None
            self._searched = 0
            trailers = parse_fields(bytes(buffer[: end + 2]), self._limits.fields)
            del buffer[: end + 4]
        return BodyEnd(self._last.ieof, self._last.use_original_body, trailers)


def format_last_chunk(*, ieof: bool = False, use_original_body: int | None = None) -> bytes:
    """The last chunk; `use_original_body`: the offset where the client's own copy goes on."""
    if ieof:
        return LAST_CHUNK_IEOF
    if use_original_body is None:
        return LAST_CHUNK
    return b"0; use-original-body=%d\r\n\r\n" % use_original_body


def format_chunk(data: bytes) -> bytes:
    """One chunk as bytes; `data` must not be empty (that would end the body)."""
    if not data:
        raise ValueError("an empty chunk would end the body")
    return b"%x\r\n%b\r\n" % (len(data), data)
