"""One file's way: claim, snapshot, verdict, delivery of that snapshot, record, removal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from bridge.core import (
    BodyWriter,
    Case,
    Core,
    Decision,
    Door,
    FolderSettings,
    Item,
    Mode,
    Outcome,
    SpoolError,
    oversize,
    unavailable,
)
from bridge.folder.claim import Claims
from bridge.folder.deliver import Delivery, Judged
from bridge.folder.left import LeftFiles
from bridge.folder.notes import Note, Why, format_note
from bridge.folder.opened import BeingWrittenError
from bridge.folder.settle import Look
from bridge.folder.snapshot import take_snapshot

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done:
    """How a file's way ended.

    `removed`: whether the claimed file of a case that has its record is. `detail` says why it is
    held.
    """

    decision: Decision
    detail: str = ""
    removed: bool = True


class WithdrawnError(Exception):
    """Somebody took the claimed file away: it is not delivered."""


class SourceError(Exception):
    """Nobody can say whether the claimed file is still there: `error`."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class Parts:
    """What the files of one folder go through. `count` is told of each that is recorded."""

    folder: FolderSettings
    threads: ThreadPoolExecutor
    claims: Claims
    delivery: Delivery
    left: LeftFiles
    count: Callable[[Decision], None]


class Transfer:
    """Brings files of one folder to where they belong."""

    def __init__(self, core: Core, parts: Parts) -> None:
        self._core = core
        self._parts = parts
        self._folder = parts.folder
        self._claims = parts.claims
        self._completing: set[asyncio.Task[Any]] = set()
        self._working: set[Future[Any]] = set()
        self._given_up = False
        # case id -> what is left to do; kept here, where who waits for a file may be cancelled
        self.not_removed: dict[str, Note] = {}

    @property
    def folder_name(self) -> str:
        """The folder's name in the configuration."""
        return self._folder.name

    def new_case(self, look: Look) -> Case:
        """The case of a file. A folder always waits for the verdict, as `advanced` does."""
        context = {
            "folder": self._folder.name,
            "path": str(self._folder.input / look.path),
            "moved_to": None,
        }
        return Case(Door.FOLDER, Mode.ADVANCED, look.name, context, size=look.size)

    async def run(self, case: Case, look: Look) -> Done:
        """Judge and deliver one settled file; HOLD: it stays, without a record, for another try.

        NotStillError where it changed meanwhile, WithdrawnError where it went away, DeliveryError
        or OSError where a folder fails: it then lies in input again.
        """
        case.bypassed = False  # of an earlier try
        rules = self.rules  # they may change while it is judged
        stays = self._by_rule(case, look)
        if stays is not None:
            await self.in_thread(self._claims.check_idle, look)
            return await self._to_the_end(self._stay(case, look, stays, rules))
        claimed = await self._claim(case, look)
        writer = self._core.spool.writer()
        try:
            judged = await self._judged(case, claimed, writer)
            if isinstance(judged, Done):
                return judged
            # once begun it is done to the end, even when we are cancelled
            return await self._to_the_end(self._complete(judged, rules))
        finally:
            writer.discard()

    async def _stay(self, case: Case, look: Look, outcome: Outcome, rules: str) -> Done:
        note = Note(self._folder.name, look, Why.LEFT, rules=rules)
        await self._finish(case, None, outcome, Decision.SKIP, format_note(note))
        self.leave(case.id, look, rules)
        return Done(Decision.SKIP)

    async def _claim(self, case: Case, look: Look) -> Look:
        """Claim the file; where we are cancelled meanwhile it is put back."""
        taking = asyncio.create_task(self.in_thread(self._claims.take, look, case.id))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            self._begin(self._undo(taking, case.id))
            raise

    async def _undo(self, taking: asyncio.Task[Look], case_id: str) -> None:
        await asyncio.wait({taking})
        if taking.exception() is None:
            await self.put_back(case_id, taking.result())

    def _by_rule(self, case: Case, look: Look) -> Outcome | None:
        """The outcome of a file that is to stay as it is, and is not even touched."""
        limit = self._core.settings.kata.max_object_size
        outcome = oversize(limit) if look.size > limit else self._core.excluded(case)
        if outcome is not None and self._core.decide(case, outcome) is Decision.SKIP:
            return outcome
        return None

    async def _judged(self, case: Case, look: Look, writer: BodyWriter) -> Judged | Done:
        """The verdict of a claimed file; where there is none it is put back."""
        try:
            kept = await take_snapshot(self._claims, case.id, look, writer, self.in_thread)
            item = Item(look.name, await writer.finish())
            outcome = await self._core.judge(case, item)
        except SpoolError as error:
            await self.put_back(case.id, look)
            return Done(Decision.HOLD, str(error))
        except BaseException:
            await self.put_back(case.id, look)
            raise
        decision = self._core.decide(case, outcome)
        if decision is Decision.HOLD:
            await self.put_back(case.id, look)
            return Done(Decision.HOLD, outcome.detail)
        return Judged(case, look, item, kept, outcome, decision)

    async def _complete(self, judged: Judged, rules: str) -> Done:
        """Deliver, record, remove."""
        case, look, decision = judged.case, judged.look, judged.decision
        why = Why.LEFT if decision is Decision.SKIP else Why.DELIVERED
        left_by, mounted_on = (rules, "") if why is Why.LEFT else (None, self._claims.mounted_on)
        note = Note(self._folder.name, look, why, judged.item.sha256, left_by, mounted_on)
        judged.item.body.retain()
        try:
            if why is Why.DELIVERED:  # what lies beside a threat says its name
                outcome = await self._core.named(judged.item, judged.outcome)
                judged = replace(judged, outcome=outcome)
            await self._deliver(judged)
            await self._finish(case, judged.item, judged.outcome, decision, format_note(note))
        except BaseException:
            await self.put_back(case.id, look)
            raise
        finally:
            judged.item.body.release()
        if why is Why.LEFT:
            self.leave(case.id, await self.put_back(case.id, look) or look, rules)
            return Done(decision)
        removed = await self.remove(case.id, note)
        if not removed:
            self.not_removed[case.id] = note
        return Done(decision, removed=removed)

    async def _deliver(self, judged: Judged) -> None:
        if judged.decision is Decision.SKIP:
            return

        def still() -> None:
            if self._given_up:
                raise SourceError(OSError(errno.ECANCELED, "the service ends"))
            try:
                self._claims.require(judged.case.id, judged.look)
            except FileNotFoundError:
                raise WithdrawnError from None
            except OSError as error:  # of the input: the target must not be blamed
                raise SourceError(error) from None

        path = await self.in_thread(self._parts.delivery.deliver, judged, still)
        judged.case.context["moved_to"] = str(path)

    async def put_back(self, case_id: str, look: Look) -> Look | None:
        """Give a claimed file its place in input again; None where it cannot be done now."""
        with contextlib.suppress(OSError):
            # it was not delivered, so it may get a number where its name is taken by now
            put_back = partial(self._claims.put_back, case_id, look.path, number=True)
            return await self._to_the_end(self.in_thread(put_back))
        return None

    async def remove(self, case_id: str, note: Note) -> bool:
        """Remove the source of a delivered file; False where that must be tried again."""
        look = note.look
        try:
            gone = await self.in_thread(self._claims.remove, case_id, look, note.sha256)
        except (OSError, BeingWrittenError):
            return False
        if not gone:
            if await self.put_back(case_id, look) is None:
                return False
            _log.info("%s changed while it was judged: that is judged next", look.path)
        await self._core.confirm(case_id)
        return True

    async def removed(self, case_id: str) -> None:
        """The case has its record, and nothing is left to do."""
        await self._core.confirm(case_id)

    @property
    def rules(self) -> str:
        """A mark of the rules in force by which a file may be left."""
        return self._parts.left.rules

    def leave(self, case_id: str, look: Look, rules: str | None) -> None:
        """The case has its record, and the file stays by `rules` (None: those in force):
        remembered, also for later.

        Until that is saved (`removed`), the journal remembers it.
        """
        self._parts.left.add(look.lasting, case_id, rules)

    async def withdrawn(self, case: Case, known: Outcome | None = None) -> None:
        """Record the case of a file that went away before it was delivered, with what is known."""
        outcome = known or unavailable("the file went away before it was delivered")
        await self._to_the_end(self._finish(case, None, outcome, Decision.HOLD, None))

    async def finish_deliveries(self) -> None:
        """Wait for files whose delivery has begun: each ends delivered, recorded and removed.

        CancelledError where they are given up.
        """
        while self._completing:
            with contextlib.suppress(asyncio.CancelledError):  # a second one cuts off nothing
                await asyncio.wait(self._completing)  # unlike gather, it cancels none of them
        self._go_on()

    async def _finish(
        self,
        case: Case,
        item: Item | None,
        outcome: Outcome,
        decision: Decision,
        note: str | None,
    ) -> None:
        await self._core.finish(case, item, outcome, decision, note)
        self._parts.count(decision)
        _log.info(
            "folder %s: %s: %s (%s), %s, case %s",
            self._folder.name,
            case.name,
            outcome.kind,
            outcome.source,
            case.context["moved_to"] or "stays in input",
            case.id,
        )

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(self._begin(work))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work, name="delivery")
        self._completing.add(task)
        task.add_done_callback(self._completed)
        return task

    def _completed(self, task: asyncio.Task[Any]) -> None:
        self._completing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it, or has gone

    async def in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        """Run file work in a thread of this folder's own; CancelledError where it is given up."""
        self._go_on()
        work = self._parts.threads.submit(function, *arguments)
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        try:
            return await asyncio.wrap_future(work)
        finally:
            self._go_on()

    def give_up(self) -> None:
        """Have nothing that is under way go on, as if the process had been killed just now.

        A thread that hangs may wake up: what it does then has no consequence. The next start
        finds what is claimed, and what the journal says of it.
        """
        self._given_up = True
        self._parts.threads.shutdown(wait=False, cancel_futures=True)

    def _go_on(self) -> None:
        if self._given_up:
            raise asyncio.CancelledError

    async def quiet(self) -> None:
        """Return when no thread works any more, for whoever was cancelled meanwhile either."""
        for work in list(self._working):
            await asyncio.wait({asyncio.wrap_future(work)})
