"""What is given of a response before its verdict: to free it, or so that its client waits on.

Once an answer has begun it can only go on, or be cut. So nothing is begun without need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from bridge.core import BodyWriter, TrickleSettings
from icapd import stall
from icapd.answer import Answer
from icapd.channel import Channel
from icapd.edits import Edit
from icapd.pages import OpenPage
from icapd.protocol import HttpHead, RequestState
from icapd.stall import Gift, Stallers, StallGuard
from icapd.trickle import HEAD_BYTES, MIN_SIZE, allowance, may_trickle

_ECHO_AT_ONCE = 64 << 10  # a smaller body is waited for, if it comes without a pause
_ECHO_SILENCE = 0.05  # seconds
_HALF_CLOSED = 5.0  # seconds for which a client that sends no more may still wait for its answer


class Begun(Enum):
    """What the answer began with."""

    NOTHING = auto()
    HEAD = auto()  # the origin's
    PAGE = auto()  # a wait page that is held open


@dataclass(frozen=True, slots=True)
class Plan:
    """What may be given of one response, or request.

    `echo`: everything, as it comes. `edit`: of a head that is given before the verdict. `page`:
    what is begun instead of the origin's head. `trickle`: None where nothing is trickled.
    """

    echo: bool = False
    may_stall: bool = False
    edit: Edit | None = None
    page: Callable[[], OpenPage] | None = None
    trickle: TrickleSettings | None = None


class Early:
    """What one message gets before its verdict. Times are loop seconds."""

    def __init__(  # noqa: PLR0913, PLR0917 - what one request brings along
        self,
        channel: Channel,
        answer: Answer,
        writer: BodyWriter,
        carrying: HttpHead,
        plan: Plan,
        stallers: Stallers,
    ) -> None:
        """`carrying`: the HTTP head that the body belongs to."""
        self._channel = channel
        self._answer = answer
        self._writer = writer
        self._carrying = carrying
        self._plan = plan
        self._stallers = stallers
        self._guard = StallGuard()
        self._gift_at: float | None = None
        self._trickles: bool | None = None  # None: not looked at yet
        after = plan.trickle.after if plan.trickle is not None else 0.0
        self._trickle_at = channel.time() + after
        self.begun = Begun.NOTHING

    @property
    def is_lost(self) -> bool:
        """Whether the client is gone, or has said nothing more for so long that it must be."""
        return self._channel.has_left(_HALF_CLOSED)

    @property
    def _may_answer(self) -> bool:
        """Within a preview nothing is answered: the client would take it for what follows 100."""
        return self._channel.icap.request_state in (RequestState.BODY, RequestState.COMPLETE)

    # -- while the body arrives ----------------------------------------------------------------

    def silence(self) -> float | None:
        """How long a silence is to be told of; None: however long."""
        if self._channel.icap.request_state is not RequestState.BODY:
            return None
        if self._plan.echo:
            begins = self.begun is Begun.NOTHING and not self._is_whole
            return _ECHO_SILENCE if begins else None
        waits = [self.until_trickle()]
        if self._plan.may_stall and self._guard.due(self._writer.size):
            waits.append(stall.SILENCE)
        return min((wait for wait in waits if wait is not None), default=None)

    async def silent(self, seconds: float) -> None:
        """Nothing came for so long."""
        if self._plan.echo:
            await self._echo()
            return
        await self.trickle()
        if self._plan.may_stall and seconds >= stall.SILENCE:
            await self._free()

    async def arrived(self, data: bytes) -> None:
        """Bytes came, and are kept."""
        if not self._may_answer:
            return
        if self._plan.echo:
            if self.begun is not Begun.NOTHING or self._writer.size >= _ECHO_AT_ONCE:
                await self._echo(data)
            return
        if self._gift_at is not None:
            self._stallers.freed(self._channel.peer, *self._since_gift())
        if self._plan.may_stall and self.begun is Begun.NOTHING and self._is_stopped_anyway():
            await self._free()
        await self.trickle()

    def _since_gift(self) -> tuple[float, float]:
        now = self._channel.time()
        after, self._gift_at = now - (self._gift_at or now), None
        return after, now

    def _is_stopped_anyway(self) -> bool:
        """Whether a body would stop soon, so that no silence need be waited for."""
        if not stall.is_large(self._carrying.content_length):
            return False
        enough = self._guard.due(self._writer.size) is Gift.HEAD
        return enough and self._stallers.knows(self._channel.peer, self._channel.time())

    async def _free(self) -> None:
        """Begin the answer, then give a byte of the body for each further stop."""
        received = self._writer.size
        gift = self._guard.due(received)
        if gift is None:
            return
        self._guard.gave(received)
        self._gift_at = self._channel.time()
        if gift is Gift.HEAD and self.begun is Begun.NOTHING:
            self._begin()
        elif self.begun is Begun.PAGE:
            self._answer.page_bytes(b"\n")
        else:
            await self._give(1)

    def _begin(self) -> None:
        if self._plan.page is not None:
            self.begun = Begun.PAGE
            self._answer.open_page(self._plan.page())
        else:
            self._begin_head()

    def _begin_head(self) -> None:
        self.begun = Begun.HEAD
        self._answer.head(self._plan.edit)

    async def _give(self, count: int) -> None:
        """Some more bytes of the body."""
        self._answer.data(await self._writer.read_at(self._answer.sent_bytes, count))

    @property
    def _is_whole(self) -> bool:
        """Whether all is here that the head announces."""
        return self._writer.size == self._carrying.content_length

    async def _echo(self, data: bytes = b"") -> None:
        """Everything that is here, while the client takes it: the rest is given at the end.

        `data`: the last bytes that came. Those that make a body whole wait, too: who has all of it
        must not be without a record if we are killed.
        """
        if self._is_whole:
            return
        if self.begun is Begun.NOTHING:
            self._begin_head()
        size = self._writer.size
        if self._answer.sent_bytes == size - len(data) and self._channel.writable:
            self._answer.data(data)
        while self._answer.sent_bytes < size and self._channel.writable:
            await self._give(HEAD_BYTES)

    # -- trickling -----------------------------------------------------------------------------

    def until_trickle(self) -> float | None:
        """Seconds until something is to be trickled; None: nothing is, as things are."""
        if self._plan.trickle is None or not self._allowed():
            return None
        return max(self._trickle_at - self._channel.time(), 0.0)

    def hasten(self, seconds: float) -> None:
        """Do not trickle later than so many seconds from now."""
        self._trickle_at = min(self._trickle_at, self._channel.time() + seconds)

    def _allowed(self) -> int:
        """Bytes that may still be trickled; one for a head that is still to be sent."""
        if self.begun is Begun.PAGE or self._writer.size < MIN_SIZE or self._trickles is False:
            return 0
        head_first = self.begun is Begun.NOTHING
        return max(allowance(self._writer.size) - self._answer.sent_bytes, 1 if head_first else 0)

    async def trickles(self) -> bool:
        """Whether a body like this may be given in part."""
        if self._plan.trickle is None or self._writer.size < MIN_SIZE:
            return False
        if self._trickles is None:
            head = b""
            while len(head) < HEAD_BYTES and (more := await self._writer.read_at(len(head), 4096)):
                head += more
            self._trickles = may_trickle(self._carrying, head)
        return self._trickles

    async def trickle(self) -> None:
        """Give the next few bytes, if it is time and they may be given."""
        if self._plan.trickle is None or not self._may_answer:
            return
        now = self._channel.time()
        if now < self._trickle_at or not self._allowed() or not await self.trickles():
            return
        if self.begun is Begun.NOTHING:
            self._begin_head()
        await self._give(min(self._plan.trickle.chunk, self._allowed()))
        self._trickle_at = now + self._plan.trickle.every
