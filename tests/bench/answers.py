"""Reads the answers of a server that is measured, and refuses what is wrong with them."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

CONTINUE = 100
_HEAD_END = b"\r\n\r\n"
_HEAD_MAX = 16 << 10
_LINE_MAX = 64
_STATUS = re.compile(rb"ICAP/1\.0 ([0-9]{3}) [^\r\n]*\r\n")
_ENCAPSULATED = re.compile(rb"\r\nEncapsulated: *res-hdr=0, *res-body=([0-9]+)\r\n", re.I)
_NULL_BODY = re.compile(rb"\r\nEncapsulated: *null-body=0\r\n", re.I)
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?")
_State = Callable[[bytes, int], int | None]
_FIELD_LINES = re.compile(rb"\r\n(?:[!-9;-~]+:[^\r\n]*\r\n)*\r\n")


class WrongAnswerError(Exception):
    """What a server sent is no answer to what it was asked; the text is one sentence."""


class AnswerReader:
    """One answer after another on a connection, where each is awaited before the next request.

    So whatever follows an answer is wrong, too. `expect` says what comes, `feed` takes it.
    """

    __slots__ = ("_held", "_kept", "_left", "_length", "_state", "_statuses", "body", "status")

    def __init__(self) -> None:
        self.status = 0
        self.expect(frozenset(), 0)

    def expect(self, statuses: frozenset[int], length: int, body: bytes | None = None) -> None:
        """The next answer has one of `statuses`; with a body, it has `length` bytes.

        `body`: its bytes, where they are to be compared. 100 is expected by naming it.
        """
        self._statuses = statuses
        self._length = length
        self.body = body
        self._state: _State | None = self._head  # None: the answer has ended
        self._held = b""
        self._left = 0
        self._kept: list[bytes] = []

    def feed(self, data: bytes) -> int:
        """The status of the answer that ends with these bytes, 0 where more is to come.

        WrongAnswerError for what is malformed, not expected, or longer than its answer.
        """
        if self._held:
            data, self._held = self._held + data, b""
        at: int | None = 0
        while at is not None:
            if self._state is None:
                if at != len(data):
                    raise WrongAnswerError(f"{len(data) - at} bytes follow its end")
                return self.status
            at = self._state(data, at)
        return 0

    # Each state returns where it stopped, or None where it needs more than there is.

    def _head(self, data: bytes, at: int) -> int | None:
        end = data.find(_HEAD_END, at) + len(_HEAD_END)
        if end < len(_HEAD_END):
            return self._hold(data, at, _HEAD_MAX)
        self.status, self._left = _read_head(data[at:end])
        if self.status not in self._statuses:
            raise WrongAnswerError(f"status {self.status} is not legal here")
        self._state = self._http_head if self._left else None
        return end

    def _http_head(self, data: bytes, at: int) -> int | None:
        end = at + self._left
        if end > len(data):
            return self._hold(data, at, self._left)
        head = data[at:end]
        _check_http_head(head)
        self._state = self._chunks
        return end

    def _chunks(self, data: bytes, at: int) -> int | None:
        """Sizes, and chunks that are here whole; the rest is for others."""
        available = len(data)
        while True:
            end = data.find(b"\r\n", at, at + _LINE_MAX)
            if end < 0:
                return self._hold(data, at, _LINE_MAX)
            size = _read_size(data[at:end])
            begin = end + 2
            self._length -= size
            if self._length < 0:
                raise WrongAnswerError(f"its body is {-self._length} bytes too long or more")
            at = begin + size + 2
            if not size or at > available:
                self._left = size
                self._state = self._data if size else self._end
                return begin
            if data[at - 2 : at] != b"\r\n":
                raise WrongAnswerError("a chunk is longer than it says")
            if self.body is not None:
                self._kept.append(data[begin : at - 2])

    def _data(self, data: bytes, at: int) -> int | None:
        end = min(at + self._left, len(data))
        if self.body is not None:
            self._kept.append(data[at:end])
        self._left -= end - at
        if self._left:
            return None
        self._state = self._data_end
        return end

    def _data_end(self, data: bytes, at: int) -> int | None:
        if at + 2 > len(data):
            return self._hold(data, at, 2)
        if data[at : at + 2] != b"\r\n":
            raise WrongAnswerError("a chunk is longer than it says")
        self._state = self._chunks
        return at + 2

    def _end(self, data: bytes, at: int) -> int | None:
        if at + 2 > len(data):
            return self._hold(data, at, 2)
        if data[at : at + 2] != b"\r\n":
            raise WrongAnswerError("its last chunk is not the end")
        if self._length:
            raise WrongAnswerError(f"its body is {self._length} bytes too short")
        if self.body is not None and b"".join(self._kept) != self.body:
            raise WrongAnswerError("its body has other bytes than the request's")
        self._state = None
        return at + 2

    def _hold(self, data: bytes, at: int, most: int) -> int | None:
        """Keep what is not whole, up to `most` bytes."""
        if len(data) - at > most:
            raise WrongAnswerError(f"{data[at : at + 80]!r} goes on for ever")
        self._held = data[at:]
        return None


# What was found right is right again: most heads of a server are alike, to the byte.


@functools.lru_cache(1024)
def _read_head(head: bytes) -> tuple[int, int]:
    """Status, and bytes of the HTTP head that follows, 0 where the answer ends."""
    found = _STATUS.match(head)
    if found is None or not _FIELD_LINES.fullmatch(head, found.end() - 2):
        raise WrongAnswerError(f"{head[:80]!r} is no head of an ICAP answer")
    status = int(found[1])
    if status in (CONTINUE, 204):
        if b"\r\nencapsulated:" in head.lower() and not _NULL_BODY.search(head):
            raise WrongAnswerError(f"a {status} has no body: {head!r}")
        return status, 0
    where = _ENCAPSULATED.search(head)
    if where is None or not int(where[1]):
        raise WrongAnswerError(f"{head!r} has no head and body of a response")
    return status, int(where[1])


@functools.lru_cache(1024)
def _check_http_head(head: bytes) -> None:
    if not (head.startswith(b"HTTP/1.") and head.find(_HEAD_END) == len(head) - 4):
        raise WrongAnswerError(f"{head[:80]!r} is no HTTP head of {len(head)} bytes")


@functools.lru_cache(1024)
def _read_size(line: bytes) -> int:
    found = _SIZE.fullmatch(line)
    if found is None:
        raise WrongAnswerError(f"{line!r} is no size of a chunk")
    return int(found[1], 16)
