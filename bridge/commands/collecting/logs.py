"""The logs of a period, newest lines first until it is enough."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bridge.commands.collecting.archive import Archive, Change
from bridge.commands.collecting.patience import STEP_SECONDS, patiently
from bridge.commands.collecting.portions import begin_of, lines_between, shares
from bridge.commands.collecting.progress import Advance, Begin
from bridge.commands.terminal import reason
from bridge.commands.words import first_words
from bridge.core import (
    DETECTS,
    EVENTS,
    HISTORY,
    VERDICT_LOG,
    WATCH_LOG,
    foreign_files,
    rotated_files,
)

NAMES = (
    EVENTS,
    DETECTS,
    WATCH_LOG,
    VERDICT_LOG,
    HISTORY,
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of one file that lies in the period."""

    path: Path
    file: BinaryIO
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


class Logs:
    """Puts logs into an archive; what cannot be read, or has no place, is named there."""

    def __init__(self, archive: Archive, change: Change, begin: Begin, advance: Advance) -> None:
        """`change`: what is made of each line. `begin` is told of all bytes, `advance` of those
        that are done."""
        self._archive = archive
        self._change = change
        self._begin = begin
        self._advance = advance

    def add(self, folder: Path, since: float, service_log: Path | None = None) -> None:
        """Those in `folder`, and that one, from that time on (epoch). OSError: the archive's.
        Blocks: disk."""
        paths = {name: folder / name for name in NAMES}
        if service_log is not None:
            paths[service_log.name] = service_log
        with contextlib.ExitStack() as stack:
            try:
                pieces = patiently(STEP_SECONDS, self._all_pieces, paths, since, stack)
            except OSError as error:
                self._archive.leave_out(f"logs of {folder}", reason(error))
                return
            sizes = {name: sum(piece.size for piece in found) for name, found in pieces.items()}
            given = shares(sizes, self._archive.left)
            self._begin("logs", sum(given.values()))
            for name in paths:
                self._add_newest(pieces[name], given[name])

    def _all_pieces(
        self, paths: Mapping[str, Path], since: float, stack: contextlib.ExitStack
    ) -> dict[str, list[_Piece]]:
        return {name: list(self._pieces(path, since, stack)) for name, path in paths.items()}

    def _pieces(self, path: Path, since: float, stack: contextlib.ExitStack) -> Iterator[_Piece]:
        """The parts of a log and of its rotated files in the period, newest first."""
        seen: set[int] = set()
        older = 0
        for each in self._newest_first(path):
            try:
                file = stack.enter_context(_open(each))
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    self._leave_out(each, "it is no regular file")
                    continue
                if status.st_ino in seen:  # rotated while we looked
                    continue
                seen.add(status.st_ino)
                if status.st_mtime < since:
                    older += 1
                    continue
                yield _Piece(each, file, *begin_of(file, since))
            except OSError as error:
                self._leave_out(each, reason(error))
        if older:
            self._leave_out(path, f"{older} files of it, older than --since")

    def _newest_first(self, path: Path) -> Iterator[Path]:
        yield path  # opened before the folder is listed: a rotation in between hides nothing
        try:
            yield from reversed(rotated_files(path))
            foreign = [each.name for each in foreign_files(path)]
        except OSError as error:
            self._leave_out(path, f"its rotated files: {reason(error)}")
        else:
            if foreign:
                why = "another program has rotated or packed that, and it is not read"
                self._archive.leave_out(f"logs/{first_words(foreign)}", why)

    def _add_newest(self, pieces: list[_Piece], budget: int) -> None:
        for piece in pieces:
            start = max(piece.start, piece.end - budget)
            budget -= piece.end - start
            if start == piece.end:
                full = "--max-size is reached"
                self._leave_out(piece.path, full if piece.size else "nothing of the period in it")
                continue
            if start > piece.start:
                left = start - piece.start
                self._leave_out(piece.path, f"its oldest {left} bytes: --max-size is reached")
            self._add_piece(piece, start)

    def _add_piece(self, piece: _Piece, start: int) -> None:
        fault: OSError | None = None

        def lines() -> Iterator[bytes]:
            nonlocal fault
            try:
                for line in lines_between(piece.file, start, piece.end):
                    self._advance(len(line))
                    yield line
            except OSError as error:  # of the log; those of the archive's disk are not caught
                fault = error

        self._archive.add_lines(f"logs/{piece.path.name}", lines(), self._change, "a log")
        if fault is not None:
            self._leave_out(piece.path, f"its end: {reason(fault)}")

    def _leave_out(self, path: Path, why: str) -> None:
        self._archive.leave_out(f"logs/{path.name}", why)


def _open(path: Path) -> BinaryIO:
    # a pipe in its place would be waited for without end
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
