"""A multipart/form-data body (RFC 7578) as a stream of parts, without I/O."""

from __future__ import annotations

import re

from multipart import (
    MultipartError,
    MultipartSegment,
    ParserError,
    PushMultipartParser,
)

from icapd.contents.fields import MalformedError, PartHead, part_head

_BLANK = b" \t\r\n"
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*")
TAIL = 1024  # bytes of blanks that may follow the last boundary

Event = PartHead | bytes | None
"""What a part consists of: its head, pieces of its body, and None at its end."""


class TooManyPartsError(Exception):
    """More parts than may be."""


def closing_end(tail: bytes, boundary: bytes) -> int:
    """How many bytes follow the closing boundary in the last bytes of a body; MalformedError."""
    kept = tail.rstrip(_BLANK)
    if not kept.endswith(b"--" + boundary + b"--"):
        raise MalformedError("the form does not end with its boundary")
    return len(tail) - len(kept)


class _Parser(PushMultipartParser):  # type: ignore[misc]
    """Refuses what the library would strip from the name of a field: others may not."""

    def _on_segment_headerline(self, line: bytes) -> None:
        if _FIELD.fullmatch(line) is None:
            raise ParserError("an odd field of a part")
        super()._on_segment_headerline(line)


class FormReader:
    """Reads a form from its first byte to the last of its closing boundary.

    `feed` all but that last byte, which `finish` knows: a parser that had come to an end before
    would be silent about the rest of its piece, but never about another one.
    """

    def __init__(self, boundary: bytes, max_parts: int) -> None:
        self._parser = _Parser(boundary, header_charset="latin-1", strict=True)
        self._mark = b"--" + boundary
        self._max_parts = max_parts
        self._parts = 0
        self._marks = 0
        self._carry: bytes | None = None

    def feed(self, data: bytes) -> list[Event]:
        """What the next bytes, at least one, say; MalformedError, TooManyPartsError.

        After an error the reader is of no use.
        """
        self._count_marks(data)
        events: list[Event] = []
        try:
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    self._parts += 1
                    if self._parts > self._max_parts:
                        raise TooManyPartsError
                    event = part_head(event.headerlist)  # noqa: PLW2901 - ours for theirs
                events.append(event)
        except MultipartError as error:
            raise MalformedError(str(error)) from error
        return events

    def finish(self) -> list[Event]:
        """The last byte; MalformedError where the form is not whole, or has boundaries inside."""
        events = self.feed(b"-")
        try:
            self._parser.close()
        except MultipartError as error:
            raise MalformedError(str(error)) from error
        if self._marks != self._parts + 1:
            raise MalformedError("a boundary where only some would see one")
        return events

    def _count_marks(self, data: bytes) -> None:
        """Every boundary is to be one for the parser, too: some readers need no CRLF before it."""
        if self._carry is None:
            if data[: data.find(self._mark)].strip(_BLANK):
                raise MalformedError("bytes before the first boundary")
            self._carry = b""
        seen = self._carry + data
        self._marks += seen.count(self._mark)
        after = seen.rfind(self._mark) + len(self._mark) if self._mark in seen else 0
        self._carry = seen[max(after, len(seen) - len(self._mark) + 1) :]
