"""Decodes a body of the spool into another one, off the loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridge.core import Body, BodyWriter, Spool
from icapd.contents.chain import Bound, Chain

STEP = 256 * 1024  # bytes of work at a time: what the spool writes at a time, too
_INLINE = 64 * 1024  # encoded bytes whose first step is not worth a thread
_FIRST_STEP = 128 * 1024


async def decode(spool: Spool, body: Body, codings: Sequence[str], bound: Bound) -> Body:
    """The decoded body, held once for the caller; DecodingError, SpoolError.

    Less than 1 MiB is in memory beside what the spool keeps, and the windows of the decoders.
    """
    chain = Chain(codings, bound)
    writer = spool.writer()
    try:
        inline = body.path is None and body.size <= _INLINE
        async for data in body.chunks():
            await _decode(spool, chain, data, writer, inline=inline)
            inline = False
        chain.finish()
        return await writer.finish()
    except BaseException:
        writer.discard()
        raise


async def _decode(
    spool: Spool, chain: Chain, data: bytes, writer: BodyWriter, *, inline: bool
) -> None:
    pieces = chain.feed(data)
    over = False
    if inline:
        decoded, over = _step(chain, pieces, _FIRST_STEP)
        await writer.write(decoded)
    while not over:
        decoded, over = await spool.in_thread(_step, chain, pieces, STEP)
        await writer.write(decoded)


def _step(chain: Chain, pieces: Iterator[bytes], work: int) -> tuple[bytes, bool]:
    """What comes next with so much work, and whether that is all."""
    until = chain.work + work
    decoded = []
    for piece in pieces:
        decoded.append(piece)
        if chain.work >= until:
            return b"".join(decoded), False
    return b"".join(decoded), True
