"""The quick way for the most common request: whole, ordinary, with a verdict in memory, let by.

It asks the same core the same questions as `icapd.transaction`, without waiting and without keeping
the body. Nothing but 100 Continue goes out until all is known; whatever is not quite ordinary is
left to the transaction, untouched. It never blocks: it passes what KATA judged, or it declines.

All that came in one turn of the loop goes through each step together: the processor has the code of
one step at hand then, and the records of all are one write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from bridge.core import Case, Core, Decision, Entry, KnownBytes, OutcomeKind
from icapd.asked import Asked, Came, Reading
from icapd.channel import Channel
from icapd.protocol import (
    CONTINUE,
    Encapsulated,
    HttpHead,
    Limits,
    allows,
    format_answer,
    read_rest,
)
from icapd.service import Services
from icapd.visitor import who

_log = logging.getLogger(__name__)

_HELD_SECONDS = 0.05  # so often it is seen whose rest does not come
_MOST = 64  # requests in one go: others have their turn, too
_LARGEST_READ = 64 << 10


class Held(NamedTuple):
    """A request whose preview was told to go on.

    `data`: all of it, as it came. `since`: loop seconds.
    """

    data: bytes
    asked: Asked
    since: float


class Express:
    """For all connections of one server."""

    def __init__(self, core: Core, services: Services, limits: Limits) -> None:
        self._core = core
        self.use(services, limits)
        self._loop = asyncio.get_running_loop()
        self._works = True  # until a fault of ours: then all goes the usual way
        self._came: dict[Channel, bytes] = {}  # one read of each
        self._is_due = False  # whether a turn is
        self._looks = False  # whether what is held is looked at now and then
        self._held: dict[Channel, None] = {}

    def use(self, services: Services, limits: Limits) -> None:
        """Go by these, and by what the core goes by, from now on."""
        self._services = services
        self._reading = Reading(self._core, services, limits)
        self._largest = self._core.settings.kata.max_object_size
        self._answer = format_answer(204, services.fields, Encapsulated())

    def put(self, channel: Channel, data: bytes) -> None:
        """What came on a connection at rest: it is answered, or given back, in a moment.

        More than one read, or a large one, is no ordinary request: it goes the usual way at once.
        """
        earlier = self._came.pop(channel, None)
        if earlier is not None:
            self._give_back(channel, earlier)
        if earlier is not None or len(data) > _LARGEST_READ:
            self._give_back(channel, data)
            return
        self._came[channel] = data
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._turn)

    def take_back(self, channel: Channel) -> bytes:
        """What was put and is not looked at yet; what was held goes another way, too."""
        self._held.pop(channel, None)
        return self._came.pop(channel, b"")

    def _give_back(self, channel: Channel, data: bytes) -> None:
        self._held.pop(channel, None)
        try:
            channel.receive(data)
        except Exception:
            _log.exception("a fault of katabridge itself: a connection of %s is cut", channel.peer)
            channel.abort()

    def _hand_over(self, channel: Channel) -> None:
        self._held.pop(channel, None)
        try:
            channel.hand_over()
        except Exception:
            _log.exception("a fault of katabridge itself: a connection of %s is cut", channel.peer)
            channel.abort()

    def _turn(self) -> None:
        came = [Came(*each) for each in islice(self._came.items(), _MOST)]
        for channel, _ in came:
            del self._came[channel]
        self._is_due = bool(self._came)
        if self._is_due:
            self._loop.call_soon(self._turn)
        done: set[Channel] = set()
        if self._works:
            try:
                self._serve(came, done)
            except Exception:
                _log.exception("a fault of katabridge itself: requests go the slower way now")
                self._works = False
                for channel in done:
                    self._hand_over(channel)
        for channel, data in came:
            if channel not in done:
                self._give_back(channel, data)

    def _serve(self, came: Sequence[Came], done: set[Channel]) -> None:
        """Answer, or ask for the rest: `done`. With what is not for here nothing is done."""
        fresh = [each for each in came if each.channel.held is None]
        due = self._go_on([each for each in came if each.channel.held is not None])
        for channel, asked, data in self._reading.read(fresh):
            if not asked.whole.is_begun:
                if asked.whole.preview or allows(asked.whole.fields, "204"):
                    due.append((channel, asked, asked.whole.body))
            elif self._may_hold(asked):
                done.add(channel)
                self._hold(channel, Held(data, asked, self._loop.time()))
        self._judge(due, done)

    # -- previews ------------------------------------------------------------------------------

    def _may_hold(self, asked: Asked) -> bool:
        """Whether the rest may be asked for: it must fit into one read, and be judged."""
        length = asked.seen.length
        if length is None or length > min(_LARGEST_READ, self._largest):
            return False
        if not allows(asked.whole.fields, "204") or self._is_remembered(asked):
            return False
        return len(asked.whole.body) <= length and self._core.excluded(asked.case) is None

    def _hold(self, channel: Channel, held: Held) -> None:
        channel.hold(held)
        channel.write(CONTINUE)
        self._held[channel] = None
        if not self._looks:
            self._looks = True
            self._loop.call_later(_HELD_SECONDS, self._look_at_held)

    def _go_on(self, came: Sequence[Came]) -> list[tuple[Channel, Asked, bytes]]:
        """What follows 100 Continue."""
        return [
            (channel, held.asked, held.asked.whole.body + rest)
            for channel, data in came
            if channel.may_go_express
            and (held := channel.held) is not None
            and (rest := read_rest(data)) is not None
        ]

    def _look_at_held(self) -> None:
        """Hand over whose rest does not come: it may have stopped for an answer."""
        before = self._loop.time() - _HELD_SECONDS
        for channel in list(self._held):
            if channel.held is None or channel.held.since <= before:
                self._hand_over(channel)
        self._looks = bool(self._held)
        if self._looks:
            self._loop.call_later(_HELD_SECONDS, self._look_at_held)

    # -- judging -------------------------------------------------------------------------------

    def _is_remembered(self, asked: Asked) -> bool:
        """Whether something is remembered of this client at this address."""
        visits = self._services.visits
        if not visits:
            return False
        whole, _, seen, case = asked
        head = HttpHead(whole.heads[: whole.request_head])
        is_response = whole.method == "RESPMOD"
        return visits.find(*who(case, head, seen.url, is_response=is_response)) is not None

    def _judge(self, due: Sequence[tuple[Channel, Asked, bytes]], done: set[Channel]) -> None:
        """Answer what is known to be clean; the rest is for the transaction."""
        fitting = [each for each in due if self._fits(each[1], len(each[2]))]
        known = [
            (channel, asked, KnownBytes(sha256(body).hexdigest(), len(body)))
            for channel, asked, body in fitting
        ]
        passing = [
            (channel, asked.service.path, entry)
            for channel, asked, content in known
            if (entry := self._passes(asked.case, content)) is not None
        ]
        if not passing:
            return
        entries = [entry for _, _, entry in passing]
        for channel, _, _ in passing:
            done.add(channel)
            self._held.pop(channel, None)
            channel.held = None
        try:
            self._core.finish_together(entries)
            self._services.log_verdicts(entries)
        except BaseException:
            for channel, _, _ in passing:
                channel.abort()
            raise
        for channel, service, _ in passing:
            channel.answer(self._answer, service, 204)

    def _fits(self, asked: Asked, size: int) -> bool:
        length = asked.seen.length
        is_short = length is not None and length > size
        return 0 < size <= self._largest and not is_short and not self._is_remembered(asked)

    def _passes(self, case: Case, content: KnownBytes) -> Entry | None:
        core = self._core
        outcome = core.known(case, content)
        if outcome is None or outcome.kind is not OutcomeKind.NOT_DETECTED:
            return None
        if core.decide(case, outcome) is not Decision.PASS:
            return None
        return Entry(case, content, outcome, Decision.PASS)
