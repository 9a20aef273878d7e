"""Request bodies that are forms: read from the spool, their parts put back into it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from bridge.core import Body, Spool
from icapd.contents.forms import TAIL, FormReader, closing_end
from icapd.contents.parts import Part, Parts

T = TypeVar("T")

_INLINE = 64 * 1024
_LARGEST_FORM = 1 << 20
# possessive: a body made to be looked at for long is looked at once
_ENCODED = re.compile(
    rb"[\w*.~+%!'()-]{1,512}=(?:[\w*.~+!'()=&-]|%[0-9A-Fa-f]{2})*+(?:\r\n)?+", re.ASCII
)


async def split_form(spool: Spool, body: Body, boundary: bytes, max_parts: int) -> list[Part]:
    """The parts to be judged, each held once; MalformedError, TooManyPartsError, SpoolError."""
    last = await _closing(body, boundary)
    reader, parts = FormReader(boundary, max_parts), Parts(spool)
    at = 0
    try:
        async for data in body.chunks():
            piece, at = data[: max(0, last - at)], at + len(data)
            if not piece:
                break
            for event in await _work(spool, piece, reader.feed):
                await parts.take(event)
        for event in reader.finish():
            await parts.take(event)
    except BaseException:
        parts.discard()
        raise
    return parts.finish()


async def _closing(body: Body, boundary: bytes) -> int:
    """Where the last byte of the closing boundary is; MalformedError."""
    tail = b"".join([piece async for piece in body.chunks(max(0, body.size - TAIL))])
    return body.size - closing_end(tail, boundary) - 1


async def is_url_encoded(spool: Spool, body: Body) -> bool:
    """Whether a form encoder made this: names and values, all else as `%XX`, at most 1 MiB.

    By the URL standard's serializer and JavaScript's encodeURIComponent. Anything looser, or larger
    than people fill in, may be what only says so: curl calls any file a form.
    """
    if body.size > _LARGEST_FORM:
        return False
    data = b"".join([piece async for piece in body.chunks()])
    return await _work(spool, data, _is_encoded)


def _is_encoded(data: bytes) -> bool:
    return _ENCODED.fullmatch(data) is not None


async def _work(spool: Spool, data: bytes, function: Callable[[bytes], T]) -> T:
    """Look at some bytes; in a thread where that takes a while."""
    return function(data) if len(data) <= _INLINE else await spool.in_thread(function, data)
