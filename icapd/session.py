"""The requests of one connection, one after another."""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import Callable

from icapd.answer import CLOSE, Answer
from icapd.channel import Channel
from icapd.complaints import Complaints
from icapd.peer import Disconnected, Expired
from icapd.protocol import (
    AnswerState,
    Encapsulated,
    ProtocolError,
    RequestState,
    clean_value,
)
from icapd.service import Refusal, Services
from icapd.transaction import Transaction

_log = logging.getLogger(__name__)

_MOST_URI = 200  # characters of it in the log
REFUSED_SECONDS = 2.0  # whoever is not served does not hold a connection for long


async def serve(
    channel: Channel,
    services_now: Callable[[], Services],
    complaints: Complaints,
    refusal: Refusal | None = None,
) -> bool:
    """Serve a connection until it ends, or (True) has nothing to say.

    `services_now`: those in force; a request keeps those that it began with. `refusal`: what a peer
    gets that is not served.
    """
    rests = False
    try:
        if refusal is not None:
            await _refuse(channel, services_now(), refusal)
        else:
            while not rests and await _serve_one(channel, services_now, complaints):
                rests = channel.may_rest
    except Disconnected:
        if isinstance(channel.lost_by, ssl.SSLError):
            complaints.say(channel.peer, f"its TLS broke: {channel.lost_by.reason}")
    except Expired as late:
        _expired(channel, services_now(), complaints, late)
    except ProtocolError as error:
        if refusal is None:
            channel.proxy.refuse(error.status, error.sentence)
            complaints.say(channel.peer, error.sentence)
            _error(channel, services_now(), error.status, error.sentence)
        else:
            _error(channel, services_now(), refusal.status)
    except Exception:
        _log.exception("a fault of katabridge itself on a connection of %s", channel.peer)
        _error(channel, services_now(), 500)
    finally:
        if not rests:
            await channel.finish()
    return rests


async def _refuse(channel: Channel, services: Services, refusal: Refusal) -> None:
    """Tell a peer that is not served, once it has asked for something."""
    try:
        async with asyncio.timeout(REFUSED_SECONDS):
            await channel.next_request(math.inf, math.inf)
    except TimeoutError:
        raise Disconnected from None
    _error(channel, services, refusal.status)


async def _serve_one(
    channel: Channel, services_now: Callable[[], Services], complaints: Complaints
) -> bool:
    """One request; False where the connection must end after it."""
    channel.service = channel.case = ""
    request = await channel.next_request(channel.times.idle, channel.times.head)
    services = services_now()
    try:
        service = services.find(request.method, request.path)
    except Refusal as error:
        asked = f"{request.method} {request.uri[:_MOST_URI]}"
        complaints.say(channel.peer, f"{asked} gets {error.status}: {error}")
        channel.proxy.refuse(error.status, str(error), request.path if error.status == 404 else "")
        _error(channel, services, error.status)
        return False
    channel.service = service.path
    channel.closing |= request.wants_close
    passed = False
    if request.method == "OPTIONS":
        channel.proxy.asked_options()
        answer = Answer(channel, request, services.fields, services.host)
        answer.empty(200, services.options(service))
    else:
        channel.proxy.requests += 1
        passed = await Transaction(channel, request, services, service).run()
    await channel.drain()
    await _drop_rest(channel, channel.times.stream_lifetime if passed else channel.times.body)
    channel.icap.next_request()
    if channel.icap.buffered:
        await asyncio.sleep(0)  # who sends many at once does not keep the others waiting
    return not channel.closing


def _error(channel: Channel, services: Services, status: int, why: str = "") -> None:
    """An ICAP error, where no answer has begun; else the answer is cut.

    `why`: one sentence for whoever looks at the wire.
    """
    if channel.icap.answer_state is AnswerState.COMPLETE:
        return  # it has all of it, and the connection ends
    if channel.icap.answer_state is not AnswerState.IDLE:
        channel.abort()
        return
    fields = [*services.fields, CLOSE]
    if why:
        fields.append(("X-Response-Info", clean_value(why)))
    channel.write(channel.icap.send_head(status, fields, Encapsulated()))


def _expired(channel: Channel, services: Services, complaints: Complaints, late: Expired) -> None:
    # An idle connection is closed in silence: Squid would read 408 as its next answer.
    if not channel.icap.in_request:
        return
    begun = channel.icap.answer_state is not AnswerState.IDLE
    case = f" (case {channel.case})" if channel.case else ""
    end = "its answer is cut" if begun else "it gets 408"
    complaints.say(channel.peer, f"{late}; {end}{case}")
    _error(channel, services, 408)


async def _drop_rest(channel: Channel, seconds: float) -> None:
    """Read what is left of a request that was answered early; Disconnected where it is too long.

    What is let by may go on for as long as a stream may: the proxy may send all before it reads.
    """
    until = channel.time() + seconds
    while channel.icap.request_state is not RequestState.COMPLETE:
        await channel.next_event(until=until)
        if channel.time() >= until:
            raise Disconnected
