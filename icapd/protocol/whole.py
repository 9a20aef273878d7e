"""Recognises a whole request in one piece of bytes: what most of them are (RFC 3507 4.4, 4.5).

The reader of streams is the one who decides what a request is. This one knows its plainest forms
only, reads them by the same grammar, and leaves everything else, what is malformed above all, to
it: nothing is refused here.
"""

from __future__ import annotations

from typing import NamedTuple

from icapd.protocol.encapsulated import BodyKind, parse_encapsulated
from icapd.protocol.errors import ProtocolError
from icapd.protocol.grammar import (
    CRLF,
    PLAIN_CHUNK,
    Limits,
    parse_request_line,
    parse_single_fields,
)

_HEAD_END = b"\r\n\r\n"
_LAST = b"0\r\n\r\n"
_LAST_IEOF = b"0; ieof\r\n\r\n"
_MAX_CHUNKS = 64
_KEEP = "keep-alive"
_MAX_PREVIEW = 6  # digits
_BODIES = {"REQMOD": BodyKind.REQUEST, "RESPMOD": BodyKind.RESPONSE}
# What frames a message, or ends the connection behind it, is for the reader of streams.
_UNUSUAL = frozenset({"transfer-encoding", "content-length"})


class Whole(NamedTuple):
    """A request with its body, or with its preview where `is_begun`: more follows 100 Continue.

    `request_head`: bytes of `heads` that are the HTTP request's. `preview`: whether the body came
    as one.
    """

    method: str
    uri: str
    fields: dict[str, str]
    heads: bytes
    request_head: int
    body: bytes
    preview: bool
    is_begun: bool


def read_whole(data: bytes, limits: Limits) -> Whole | None:
    """A request with a body, if `data` is exactly one, or one with its preview; None in doubt."""
    end = data.find(_HEAD_END, 0, limits.head)
    first, *lines = data[: max(end, 0)].split(CRLF)
    try:
        method, uri = parse_request_line(first)
        fields = parse_single_fields(lines, limits.fields)
        request_head, response_head, kind = parse_encapsulated(fields["encapsulated"])
    except (ProtocolError, KeyError):
        return None
    if fields.get("connection", _KEEP).lower() != _KEEP:
        return None
    right = kind is _BODIES.get(method) and (response_head is None) is (method == "REQMOD")
    if not right or request_head is None or not _UNUSUAL.isdisjoint(fields):
        return None
    heads = data[end + 4 : end + 4 + request_head + (response_head or 0)]
    preview = fields.get("preview")
    goes_on = preview is not None and not data.endswith(_LAST_IEOF)
    last = _LAST if preview is None or goes_on else _LAST_IEOF
    body = _read_chunks(data, end + 4 + len(heads), last)
    fits = body is not None and (preview is None or _fits(body, preview))
    if not fits or body is None or len(heads) > limits.encapsulated_heads:
        return None
    return Whole(method, uri, fields, heads, request_head, body, preview is not None, goes_on)


def _fits(body: bytes, preview: str) -> bool:
    plain = preview.isascii() and preview.isdigit() and len(preview) <= _MAX_PREVIEW
    return plain and len(body) <= int(preview)


def read_rest(data: bytes) -> bytes | None:
    """What follows 100 Continue, if `data` is exactly that; None in doubt."""
    return _read_chunks(data, 0, _LAST)


def _read_chunks(data: bytes, start: int, last: bytes) -> bytes | None:
    """A body in plain chunks from `start` to the end, which is `last`; None in doubt."""
    stop = len(data) - len(last)
    if not data.endswith(last):
        return None
    pieces: list[bytes] = []
    while start < stop and len(pieces) < _MAX_CHUNKS:
        match = PLAIN_CHUNK.match(data, start, stop)
        if match is None:
            return None
        begin = match.end()
        end = begin + int(match[1], 16)
        if end == begin or end + 2 > stop or not data.startswith(CRLF, end):
            return None
        pieces.append(data[begin:end])
        start = end + 2
    return b"".join(pieces) if start == stop else None
