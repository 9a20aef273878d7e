"""Judges a whole body by what is in it, while its client is kept waiting."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Protocol

from bridge.core import (
    PENDING,
    Case,
    Core,
    Decision,
    Item,
    JournalError,
    Mode,
    Outcome,
    OutcomeKind,
    SpoolError,
    new_case_id,
    unavailable,
)
from icapd.contents import Found, needs_unpacking, unpack
from icapd.early import Begun, Early
from icapd.judged import Judged
from icapd.message import Message
from icapd.peer import Disconnected
from icapd.service import Service

_log = logging.getLogger(__name__)

_LOOK = 1.0  # seconds between looks whether anybody is still there


class Asker(Protocol):
    """Who asked for the object."""

    @property
    def can_put_off(self) -> bool:
        """Whether it can be shown a page and comes again by itself."""

    @property
    def is_restless(self) -> bool:
        """Whether it gets another body each time it comes, so that no page helps."""

    def waits_since(self, sha256: str) -> float | None:
        """When it was first put off for these bytes (loop seconds); None: it was not."""


class Judging:
    """Judges one body; `release` lets go of what was unpacked."""

    def __init__(  # noqa: PLR0913, PLR0917 - what one request brings along
        self,
        core: Core,
        service: Service,
        message: Message,
        case: Case,
        early: Early,
        asker: Asker,
    ) -> None:
        self._core = core
        self._service = service
        self._message = message
        self._case = case
        self._early = early
        self._asker = asker
        self._found: list[Found] = []
        self.accepted = False  # whether the case that was there is judged later

    def release(self) -> None:
        """Let go of the bodies."""
        for found in self._found:
            found.item.body.release()
        self._found = []

    async def judge(self, item: Item) -> list[Judged]:
        """The cases of a body that is not empty, with their outcomes: at least one."""
        whole = await self._unpack(item)
        if whole is not None:
            return [Judged(self._case, item, whole)]
        pairs = self._pairs()
        known = [self._core.known(case, each) for case, each in pairs]
        outcomes = [outcome for outcome in known if outcome is not None]
        if len(outcomes) < len(known):
            outcomes = await self._wait(pairs)
        return [Judged(*pair, each) for pair, each in zip(pairs, outcomes, strict=True)]

    async def accept(self, item: Item) -> list[Judged]:
        """The same for a user who is served at once: what is not known is judged later."""
        whole = await self._unpack(item)
        if whole is not None:
            return [Judged(self._case, item, whole)]
        return [await self._accept(case, each) for case, each in self._pairs()]

    async def _accept(self, case: Case, item: Item) -> Judged:
        # a threat that was known is not found late, and what is known need not be kept
        known = await self._core.known_before(case, item)
        if known is not None:
            return Judged(case, item, known)
        try:
            await self._core.accept(case, item)
        except (SpoolError, JournalError) as error:
            _log.error("%s; case %s passes unjudged", error, case.id)
            return Judged(case, item, unavailable(str(error)))
        self.accepted |= case is self._case
        return Judged(case, item, PENDING, later=True)

    async def _unpack(self, item: Item) -> Outcome | None:
        """Fill `_found`; or the outcome of the whole."""
        carrying, settings = self._message.carrying, self._core.settings
        if not needs_unpacking(carrying):
            item.body.retain()
            self._found = [Found(item)]
            return None
        limits, most = settings.icap.contents, settings.kata.max_object_size
        found = await unpack(self._core.spool, item, carrying, limits=limits, max_size=most)
        if isinstance(found, Outcome):
            if found.kind is OutcomeKind.UNAVAILABLE:
                _log.error("%s; case %s is unavailable", found.detail, self._case.id)
            return self._core.excluded(self._case) or found
        self._found = found
        return None

    def _pairs(self) -> list[tuple[Case, Item]]:
        """A case for each thing that was found: the first is the one that is there."""
        template = self._case
        more = [
            replace(template, id=new_case_id(), context=dict(template.context))
            for _ in self._found[1:]
        ]
        pairs = []
        for case, found in zip([template, *more], self._found, strict=True):
            case.name = found.item.name  # the message's own where nothing was unpacked
            notes = (case.context.get("note"), found.note)
            if any(notes):
                case.context["note"] = "; ".join(note for note in notes if note)
            pairs.append((case, found.item))
        return pairs

    # -- waiting -------------------------------------------------------------------------------

    async def _wait(self, pairs: list[tuple[Case, Item]]) -> list[Outcome]:
        wait = await self._patience()
        work = asyncio.create_task(self._judge_all(pairs, wait))
        try:
            while not work.done():
                pause = self._early.until_trickle() if self._gives else None
                await asyncio.wait({work}, timeout=_LOOK if pause is None else min(pause, _LOOK))
                if work.done():
                    break
                if self._early.is_lost:
                    raise Disconnected
                if self._gives:
                    await self._early.trickle()
            return work.result()
        finally:
            work.cancel()
            await asyncio.wait({work})

    async def _judge_all(self, pairs: list[tuple[Case, Item]], wait: float | None) -> list[Outcome]:
        """Until all are judged, or one is found for which the whole is blocked."""
        judging = [
            asyncio.create_task(
                self._core.judge(case, item, wait=wait, since=self._asker.waits_since(item.sha256))
            )
            for case, item in pairs
        ]
        try:
            for each in asyncio.as_completed(judging):
                outcome = await each
                if self._core.decide(self._case, outcome) is Decision.BLOCK:
                    break
            return [task.result() if task.done() else PENDING for task in judging]
        finally:
            for task in judging:
                task.cancel()
            await asyncio.wait(judging)

    @property
    def _gives(self) -> bool:
        """Whether bytes may be given meanwhile: not where a page is the better answer."""
        return self._early.begun is Begun.HEAD or not self._asker.can_put_off

    async def _patience(self) -> float | None:
        """Seconds until the case goes on without a verdict; None: as long as a verdict may take.

        Where an answer has begun, or can begin, there is nothing better to tell than the verdict.
        """
        hold = self._service.settings.hold_seconds
        policy = self._core.rules_for(self._case).policy
        holds = policy[OutcomeKind.PENDING] is Decision.HOLD
        if self._case.mode is not Mode.ADVANCED or not self._message.is_response or not holds:
            return hold
        if self._early.begun is Begun.PAGE:
            return hold
        if self._early.begun is Begun.HEAD or self._asker.is_restless:
            return None
        if self._asker.can_put_off or not await self._early.trickles():
            return hold
        self._early.hasten(hold)
        return None
