"""Encapsulated HTTP heads: read with tolerance, edited without touching what is not meant.

Clients put odd things here (ownCloud a request line into res-hdr, Nextcloud a false
Content-Length), so nothing in this module refuses a head: what cannot be read is absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# A head that can be searched for "\r\nname:": no folds, no blanks before a colon, no odd line ends.
_PLAIN = re.compile(rb"[^\r\n]*+\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\r\n]*+\r\n)*+\r\n")


class HttpHead:
    """One HTTP head as it was sent: start line, fields, and the blank line that ends it."""

    __slots__ = ("_cut", "_low", "_plain", "_started", "_url", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._low: bytes | None = None  # lower-case, made when it is first asked for
        self._plain = False
        self._cut: list[bytes] | None = None
        self._started: list[str] | None = None
        self._url: str | None = None

    @property
    def low(self) -> bytes:
        """All of it in lower case, to be searched."""
        if self._low is None:
            self._low = self.raw.lower()
            self._plain = _PLAIN.fullmatch(self.raw) is not None
        return self._low

    @property
    def _lines(self) -> list[bytes]:
        if self._cut is None:
            self._cut = self.raw.rstrip(b"\r\n").split(b"\r\n")
        return self._cut

    @property
    def _start(self) -> list[str]:
        if self._started is None:
            line = self.raw.partition(b"\r\n")[0].rstrip(b"\r\n")
            self._started = line.decode("latin-1").split(" ", 2)
        return self._started

    @property
    def method(self) -> str:
        """The request method, or the empty string."""
        start = self._start
        return start[0] if len(start) == 3 and not start[0].startswith("HTTP/") else ""

    @property
    def target(self) -> str:
        """The request target as sent, or the empty string."""
        return self._start[1] if self.method else ""

    @property
    def status(self) -> int | None:
        """The response status, or None where this is no response head."""
        start = self._start
        if len(start) >= 2 and start[0].startswith("HTTP/"):
            return _number(start[1], 3)
        return None

    @property
    def url(self) -> str:
        """The absolute URL of a request, put together from target and Host."""
        if self._url is None:
            self._url = self._make_url()
        return self._url

    def _make_url(self) -> str:
        target = self.target
        if "://" in target or not target.startswith("/"):
            return target
        host = self.field("host")
        return f"http://{host}{target}" if host else target

    def field(self, name: str) -> str | None:
        """The first field of that name, or None."""
        values = self.all(name)
        return values[0] if values else None

    def joined(self, name: str) -> str | None:
        """All fields of that name as one (RFC 9110 5.3), or None."""
        return ", ".join(self.all(name)) or None

    def all(self, name: str) -> list[str]:
        """The values of all fields of that name, in order."""
        wanted = name.lower().encode("ascii")
        low = self.low
        if wanted not in low:
            return []
        return self._search(low, wanted) if self._plain else self._look_through(wanted)

    def _search(self, low: bytes, wanted: bytes) -> list[str]:
        values, sought = [], b"\r\n%b:" % wanted
        at = low.find(sought)
        while at >= 0:
            end = low.find(b"\r\n", start := at + len(sought))
            values.append(self.raw[start:end].strip(b" \t").decode("latin-1"))
            at = low.find(sought, end)
        return values

    def _look_through(self, wanted: bytes) -> list[str]:
        values = []
        for line in self._lines[1:]:
            key, colon, value = line.partition(b":")
            if colon and key.strip().lower() == wanted:
                values.append(value.strip(b" \t").decode("latin-1"))
        return values

    @property
    def content_length(self) -> int | None:
        """Content-Length in bytes where it is a plain number of a size that can be."""
        return _number(self.field("content-length") or "", 15)

    @property
    def announces_body(self) -> bool:
        """Whether any framing field says that a body follows (RFC 9112 6); in doubt it does."""
        lengths = self.all("content-length")
        return any(value.strip("0") for value in lengths) or bool(self.all("transfer-encoding"))

    def edited(self, drop: Iterable[str], add: Iterable[tuple[str, str]] = ()) -> bytes:
        """The head without some fields and with others at its end, all else as it was sent."""
        dropped = {name.lower().encode("ascii") for name in drop}
        kept, keep = [self._lines[0]], True
        for line in self._lines[1:]:
            if not line.startswith((b" ", b"\t")):  # a folded line shares its field's fate
                keep = line.partition(b":")[0].strip().lower() not in dropped
            if keep:
                kept.append(line)
        kept += [f"{name}: {value}".encode("latin-1") for name, value in add]
        return b"\r\n".join(kept) + b"\r\n\r\n"


def _number(text: str, digits: int) -> int | None:
    plain = text.isascii() and text.isdigit() and len(text) <= digits
    return int(text) if plain else None


def format_response(status: int, reason: str, fields: list[tuple[str, str]]) -> bytes:
    """An HTTP/1.1 response head of our own."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status} {reason}\r\n{lines}\r\n".encode("latin-1")
