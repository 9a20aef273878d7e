"""One file's way: snapshot, verdict, delivery of that snapshot, record, removal of the source."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from bridge.folder.files import Metadata
from bridge.folder.settle import Look

_log = logging.getLogger(__name__)
_BLOCK = 1 << 18

T = TypeVar("T")


class Transfer:
    """Brings files of one folder to where they belong."""

    def __init__(self, core: Core, folder: FolderSettings, threads: ThreadPoolExecutor) -> None:
        self._core = core
        self._folder = folder
        self._threads = threads

    async def run(self, case: Case, look: Look) -> Decision:
        """Judge and deliver one settled file; HOLD: it stays, without a record, to be tried again.

        NotStillError where it changed meanwhile, OSError where a folder fails.
        """
        limit = self._core.settings.kata.max_object_size
        if look.size > limit:
            outcome = oversize(limit)
            decision = self._core.decide(case, outcome)
            if decision is Decision.SKIP:
                self._finish(case, None, outcome, decision)
                return decision
        try:
            return await self._judge(case, look)
        except SpoolError as error:
            return self._keep(case, unavailable(str(error)))

    def new_case(self, look: Look) -> Case:
        """The case of a file. A folder always waits for the verdict, as `advanced` does."""
        context = {
            "folder": self._folder.name,
            "path": str(self._folder.input / look.name),
            "moved_to": None,
        }
        return Case(Door.FOLDER, Mode.ADVANCED, look.name, context, size=look.size)

    async def _judge(self, case: Case, look: Look) -> Decision:
        writer = self._core.spool.writer()
        try:
            file = await self._in_thread(files.open_still, self._folder.input, look)
            with file:
                kept = files.metadata(file)
                await self._copy(file, writer)
                await self._in_thread(files.check_still, file, look)
            item = Item(look.name, await writer.finish())
            outcome = await self._core.judge(case, item)
            decision = self._core.decide(case, outcome)
            if decision is Decision.HOLD:
                return self._keep(case, outcome)
            await self._deliver(case, item, kept, decision)
            self._finish(case, item, outcome, decision)
        finally:
            writer.discard()
        if decision is not Decision.SKIP and not await self._in_thread(
            files.remove_still, self._folder.input, look
        ):
            _log.info("%s changed while it was judged: its new content is judged next", look.name)
        return decision

    async def _copy(self, file: BinaryIO, writer: BodyWriter) -> None:
        while block := await self._in_thread(file.read, _BLOCK):
            await writer.write(block)

    async def _deliver(self, case: Case, item: Item, kept: Metadata, decision: Decision) -> None:
        if decision is Decision.SKIP:
            return
        if decision is Decision.PASS:
            target = self._folder.output / item.name
        else:
            target = self._folder.quarantine / item.name
            kept = Metadata(0o600, kept.atime_ns, kept.mtime_ns)
        draft = target.parent / files.draft_name(self._core.instance, case.id)

        def publish() -> None:
            with item.body.open() as content:
                files.publish(content, target, draft, kept)

        item.body.retain()  # the thread reads it even when this task is cancelled
        loop = asyncio.get_running_loop()
        delivery = loop.run_in_executor(self._threads, publish)
        delivery.add_done_callback(lambda _: item.body.release())
        await asyncio.shield(delivery)
        case.context["moved_to"] = str(target)

    def _keep(self, case: Case, outcome: Outcome) -> Decision:
        level = logging.INFO if self._core.kata_works else logging.DEBUG  # else KATA's line says it
        _log.log(level, "%s stays in input: %s", case.name, outcome.detail)
        return Decision.HOLD

    def _finish(self, case: Case, item: Item | None, outcome: Outcome, decision: Decision) -> None:
        self._core.finish(case, item, outcome, decision)
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
