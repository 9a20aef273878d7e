"""Encapsulated HTTP heads: read with tolerance, edited without touching what is not meant.

Clients put odd things here (ownCloud a request line into res-hdr, Nextcloud a false
Content-Length), so nothing in this module refuses a head: what cannot be read is absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property


class HttpHead:
    """One HTTP head as it was sent: start line, fields, and the blank line that ends it."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def _lines(self) -> list[bytes]:
        return self.raw.rstrip(b"\r\n").split(b"\r\n")

    @cached_property
    def _start(self) -> list[str]:
        return self._lines[0].decode("latin-1").split(" ", 2)

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
        target = self.target
        if "://" in target or not target.startswith("/"):
            return target
        host = self.field("host")
        return f"http://{host}{target}" if host else target

    def field(self, name: str) -> str | None:
        """The first field of that name, or None."""
        return next(iter(self.all(name)), None)

    def joined(self, name: str) -> str | None:
        """All fields of that name as one (RFC 9110 5.3), or None."""
        return ", ".join(self.all(name)) or None

    def all(self, name: str) -> list[str]:
        """The values of all fields of that name, in order."""
        wanted = name.lower().encode("ascii")
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
