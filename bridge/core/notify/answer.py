"""What a webhook answers, as far as we look at it: pure.

Sources: RFC 9112, sections 2 and 4 (the head), RFC 9110, sections 10.2.3 (Retry-After) and 15.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

MAX_RETRY_AFTER = 300.0

_HEAD = re.compile(rb"(.*?)\r?\n\r?\n", re.DOTALL)
_STATUS = re.compile(rb"HTTP/1\.[0-9] ([1-9][0-9]{2})(?![^ \r\n])")
_RETRY_AFTER = re.compile(rb"\nretry-after:[ \t]*([^\r\n]{1,64}?)[ \t]*(?=\r?\n|\Z)", re.IGNORECASE)
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*(?=\r?\n|\Z)", re.IGNORECASE)
_LATER = (408, 425, 429)  # of 4xx those that say nothing against the request itself


class Answer(NamedTuple):
    """A status, how many seconds the receiver wants to be left alone, and what is still to come.

    `left`: bytes of the body; None: until the receiver closes.
    """

    status: int
    retry_after: float = 0.0
    left: int | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has taken the record."""
        return 200 <= self.status < 300

    @property
    def is_refusal(self) -> bool:
        """Whether this record would be refused again."""
        return 400 <= self.status < 500 and self.status not in _LATER

    def __str__(self) -> str:
        """The status in words of ours: the receiver's own could quote a token."""
        try:
            text = f"HTTP status {self.status} ({HTTPStatus(self.status).phrase})"
        except ValueError:
            text = f"HTTP status {self.status}"
        return f"{text}, and no redirect is followed" if 300 <= self.status < 400 else text


def read_answer(data: bytes, now: datetime) -> Answer | None:
    """The answer that `data` begins with; None where its head is not whole yet.

    Interim answers (1xx) are passed over. `now` has a zone. ValueError where this is no HTTP/1.
    """
    while match := _HEAD.match(data):
        status = _STATUS.match(match[1])
        if status is None:
            raise ValueError("what it answers is no HTTP/1")
        if not status[1].startswith(b"1"):
            left = _left(match[1], int(status[1]), len(data) - match.end())
            return Answer(int(status[1]), _retry_after(match[1], now), left)
        data = data[match.end() :]
    return None


def _left(head: bytes, status: int, here: int) -> int | None:
    """Bytes of a body that are still to come, `here` of it having come (RFC 9112 6.3)."""
    length = _LENGTH.search(head)
    if status in (204, 304):
        return 0
    return max(int(length[1]) - here, 0) if length is not None else None


def _retry_after(head: bytes, now: datetime) -> float:
    """Seconds, five minutes at most; 0 where nothing is said, or nothing that can be read."""
    match = _RETRY_AFTER.search(head)
    text = match[1].decode("ascii", "replace") if match else ""
    if re.fullmatch(r"[0-9]+", text):
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        zoned = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (zoned - now).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)
