"""What the HTTP heads of an ordinary message say, at a glance; in doubt nothing.

Most messages have nothing in their heads that changes what is done with them. This knows those
only, and says of them the same as `icapd.message` and `icapd.context` do.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from icapd.context import HOST, SIGNS
from icapd.names import NO_NAMES, UNNAMED
from icapd.protocol import Whole

_NAME = SIGNS.replace("/", "").replace("%", "")  # a last part that needs no decoding
_URL = rf"(?:https?://{HOST})?/(?:{SIGNS}*/)?({_NAME}*)(?:\?(?:{SIGNS}|\?)+)?"
_REQUEST_LINE = re.compile(rf"([A-Za-z]+) ({_URL}) HTTP/1\.[01]\r\n".encode("ascii"))
_HOST = re.compile(HOST)
_STATUS_LINES = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_PART = b"206"
_MOST_DIGITS = 15
_LONGEST_NAME = 200


class Glance(NamedTuple):
    """`length`: the Content-Length of what is judged, in bytes; None: it has none."""

    method: str
    url: str
    name: str
    length: int | None


def glance(whole: Whole) -> Glance | None:
    """See above; None for everything that is not ordinary."""
    heads, end = whole.heads, whole.request_head
    low, start = heads.lower(), 0
    if whole.method == "RESPMOD":
        start = end
        if heads[end : end + 9] not in _STATUS_LINES or heads[end + 9 : end + 12] == _PART:
            return None
    elif b"range" in low or b"form-" in low:  # a part is asked for; the types of forms
        return None
    line = _REQUEST_LINE.match(heads, 0, end)
    if line is None or b"content-encoding" in low or b"content-disposition" in low:
        return None
    length = _value(low, low, b"content-length", start, len(low))
    if length is not None and not (length.isdigit() and len(length) <= _MOST_DIGITS):
        return None
    method, url, name = line.groups()
    address = _with_host(url.decode("ascii"), heads, low, end)
    if address is None or len(name) > _LONGEST_NAME:
        return None
    file = name.decode("ascii")
    file = UNNAMED if file in NO_NAMES else file
    return Glance(method.decode("ascii"), address, file, None if length is None else int(length))


def _value(heads: bytes, low: bytes, name: bytes, start: int, end: int) -> bytes | None:
    """The first field of that name; None without one; `?` where it is odd.

    Odd is a name that stands anywhere else than at the beginning of a line, or not before a colon,
    and a line that does not end.
    """
    at = low.find(name, start, end)
    if at < 0:
        return None
    colon = at + len(name)
    line_end = low.find(b"\r\n", colon, end)
    if low[at - 2 : at] != b"\r\n" or low[colon : colon + 1] != b":" or line_end < 0:
        return b"?"
    return heads[colon + 1 : line_end].strip(b" \t")


def _with_host(url: str, heads: bytes, low: bytes, end: int) -> str | None:
    """The URL of a request whose head ends at `end`; it may name its host apart."""
    if not url.startswith("/"):
        return url
    host = (_value(heads, low, b"host", 0, end) or b"").decode("latin-1")
    return f"http://{host}{url}" if _HOST.fullmatch(host) and "://" not in url else None
