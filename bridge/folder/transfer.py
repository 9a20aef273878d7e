"""One file's way: snapshot, verdict, delivery of that snapshot, record, removal of the source."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

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
from bridge.folder import files
from bridge.folder.files import BeingWrittenError, Metadata, NotStillError
from bridge.folder.left import LeftFiles, Why, format_note
from bridge.folder.settle import Look

_log = logging.getLogger(__name__)
_BLOCK = 1 << 18

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done:
    """How a file's way ended.

    `target` is the folder it was delivered to; `removed` is False where its source could not be
    removed, although its case has its record; `detail` says why it is held.
    """

    decision: Decision
    detail: str = ""
    target: Path | None = None
    removed: bool = True


class DeliveryError(Exception):
    """A target folder does not take a file; the file stays in input."""

    def __init__(self, target: Path, reason: str, outcome: Outcome) -> None:
        super().__init__(f"{target}: {reason}")
        self.folder = target.parent
        self.outcome = outcome


class Transfer:
    """Brings files of one folder to where they belong."""

    def __init__(
        self, core: Core, folder: FolderSettings, threads: ThreadPoolExecutor, left: LeftFiles
    ) -> None:
        """`left` is told of files that stay although their case has its record."""
        self._core = core
        self._left = left
        self._folder = folder
        self._threads = threads
        self._completing: set[asyncio.Task[Done]] = set()

    def new_case(self, look: Look) -> Case:
        """The case of a file. A folder always waits for the verdict, as `advanced` does."""
        context = {
            "folder": self._folder.name,
            "path": str(self._folder.input / look.name),
            "moved_to": None,
        }
        return Case(Door.FOLDER, Mode.ADVANCED, look.name, context, size=look.size)

    async def run(self, case: Case, look: Look) -> Done:
        """Judge and deliver one settled file; HOLD: it stays, without a record, for another try.

        NotStillError where it changed meanwhile, DeliveryError or OSError where a folder fails.
        """
        case.bypassed = False  # of an earlier try
        limit = self._core.settings.kata.max_object_size
        if look.size > limit:
            outcome = oversize(limit)
            if self._core.decide(case, outcome) is Decision.SKIP:
                await self._finish(
                    case,
                    None,
                    outcome,
                    Decision.SKIP,
                    format_note(self._folder.name, look, Why.LEFT),
                )
                await self.leave(case.id, look, Why.LEFT)
                return Done(Decision.SKIP)
        try:
            return await self._judge(case, look)
        except SpoolError as error:
            return Done(Decision.HOLD, str(error))

    async def finish_deliveries(self) -> None:
        """Wait for files whose delivery has begun: each ends delivered, recorded and removed."""
        await asyncio.gather(*self._completing, return_exceptions=True)

    async def withdrawn(self, case: Case) -> None:
        """Record the case of a file that went away before KATA could be asked."""
        outcome = unavailable("the file went away before KATA could be asked")
        await self._finish(case, None, outcome, Decision.HOLD, None)

    async def leave(self, case_id: str, look: Look, why: Why) -> None:
        """The case has its record, and the file is still there: remember why, also for later."""
        self._left.add(look, why)
        if await self._in_thread(self._left.save):  # else the journal remembers it
            await self._core.confirm(case_id)

    async def remove(self, look: Look) -> bool:
        """Remove the source of a delivered file; False where it cannot be removed."""
        try:
            gone = await self._in_thread(files.remove_still, self._folder.input, look)
        except (OSError, BeingWrittenError):
            return False
        if not gone:
            _log.info("%s changed while it was judged: its new content is judged next", look.name)
        return True

    async def _judge(self, case: Case, look: Look) -> Done:
        writer = self._core.spool.writer()
        try:
            file = await self._in_thread(files.open_still, self._folder.input, look)
            with file:
                kept = files.metadata(file)
                await self._copy(file, writer, look)
                await self._in_thread(files.check_still, file, look)
            item = Item(look.name, await writer.finish())
            outcome = await self._core.judge(case, item)
            decision = self._core.decide(case, outcome)
            if decision is Decision.HOLD:
                return Done(Decision.HOLD, outcome.detail)
            return await self._complete(case, look, item, kept, outcome, decision)
        finally:
            writer.discard()

    async def _copy(self, file: BinaryIO, writer: BodyWriter, look: Look) -> None:
        while block := await self._in_thread(file.read, _BLOCK):
            await writer.write(block)
            if writer.size > look.size:
                raise NotStillError

    async def _complete(  # noqa: PLR0913, PLR0917 - all that is known of the file
        self,
        case: Case,
        look: Look,
        item: Item,
        kept: Metadata,
        outcome: Outcome,
        decision: Decision,
    ) -> Done:
        """Deliver, record, remove: once begun it is done to the end, even when we are cancelled."""
        item.body.retain()

        async def work() -> Done:
            try:
                target = await self._deliver(case, item, kept, outcome, decision)
                why = Why.LEFT if decision is Decision.SKIP else Why.DELIVERED
                await self._finish(
                    case, item, outcome, decision, format_note(self._folder.name, look, why)
                )
            finally:
                item.body.release()
            removed = why is Why.LEFT or await self.remove(look)
            if why is Why.LEFT or not removed:
                await self.leave(case.id, look, why)
            else:
                await self._core.confirm(case.id)
            return Done(decision, "", target, removed)

        task = asyncio.create_task(work(), name="delivery")
        self._completing.add(task)
        task.add_done_callback(self._completing.discard)
        return await asyncio.shield(task)

    async def _deliver(
        self, case: Case, item: Item, kept: Metadata, outcome: Outcome, decision: Decision
    ) -> Path | None:
        if decision is Decision.SKIP:
            return None
        folder = self._folder.output
        if decision is not Decision.PASS:
            folder = self._folder.quarantine
            kept = Metadata(0o600, kept.atime_ns, kept.mtime_ns)
        draft = folder / files.draft_name(self._core.instance, case.id)

        def publish() -> None:
            with item.body.open() as content:
                files.publish(content, item.sha256, folder / item.name, draft, kept)

        try:
            await self._in_thread(publish)
        except OSError as error:
            reason = error.strerror or str(error)
            raise DeliveryError(folder / item.name, reason, outcome) from error
        case.context["moved_to"] = str(folder / item.name)
        return folder

    async def _finish(
        self,
        case: Case,
        item: Item | None,
        outcome: Outcome,
        decision: Decision,
        note: str | None,
    ) -> None:
        await self._core.finish(case, item, outcome, decision, note)
        _log.info(
            "folder %s: %s: %s (%s), %s, case %s",
            self._folder.name,
            case.name,
            outcome.kind,
            outcome.source,
            case.context["moved_to"] or "stays in input",
            case.id,
        )

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)
