"""Gives a body back while it may still be arriving.

A client may read nothing before it has sent all (Traffic Server), so reading goes on while it does
not read: what it does not take waits in the spool.
"""

from __future__ import annotations

from bridge.core import BodyWriter, Spool, SpoolError
from icapd.answer import Answer
from icapd.channel import Channel
from icapd.peer import Expired
from icapd.protocol import Data, RequestState

_PIECE = 256 * 1024


async def give_back(
    channel: Channel, answer: Answer, spool: Spool, writer: BodyWriter, *, may_spool: bool
) -> None:
    """Send what `writer` holds beyond what was sent, then what still arrives.

    Without `may_spool`, or while the spool is half full, reading waits for the client.
    Disconnected or Expired where the client leaves or stops, or sends for longer than
    `times.stream_lifetime`: then the answer is cut.
    """
    offset = answer.sent_bytes
    until = channel.time() + channel.times.stream_lifetime
    while True:
        complete = channel.icap.request_state is RequestState.COMPLETE
        wait = complete or not may_spool or spool.half_full
        if offset < writer.size and (wait or channel.writable):
            piece = await writer.read_at(offset, _PIECE)
            answer.data(piece)
            offset += len(piece)
            if wait:
                await channel.drain()
            continue
        if complete:
            return
        if channel.time() >= until:
            raise Expired("a body was not complete within icap.times.stream_lifetime")
        event = await channel.next_event(until=until, or_writable=offset < writer.size)
        if not isinstance(event, Data):
            continue
        if offset == writer.size and (wait or channel.writable):
            answer.data(event.data)
            if wait:
                await channel.drain()
            continue
        try:
            await writer.write(event.data)
        except SpoolError:
            may_spool = False  # this piece is still readable; further ones wait for the client
