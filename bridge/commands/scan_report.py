"""What `scan` shows: progress on stderr, a table or JSON lines on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.commands.scan_files import context_of
from bridge.commands.terminal import complain, show
from bridge.core import Case, Decision, Item, Outcome, OutcomeKind, printable

_ANY_WIDTH = 1 << 16  # not wrapped where it is no terminal
_STYLES = {OutcomeKind.NOT_DETECTED: "green", OutcomeKind.DETECT: "bold red"}


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one path. `case` is None where there was no file to make one of, `item`
    where its bytes were not taken."""

    path: Path
    outcome: Outcome
    case: Case | None = None
    item: Item | None = None

    @property
    def size(self) -> int | None:
        """Bytes, where they are known."""
        return self.item.size if self.item else self.case.size if self.case else None


def as_json(result: Result) -> str:
    """One line with the keys of a record where they exist, and `detail`."""
    case, outcome = result.case, result.outcome
    record: dict[str, Any] = {
        "case": case.id if case else None,
        "name": result.path.name,
        "size": result.size,
        "sha256": result.item.sha256 if result.item else None,
        "md5": outcome.md5,
        "outcome": outcome.kind,
        "source": outcome.source,
        "decision": Decision.SKIP,
        "rule": outcome.rule,
        "threat": outcome.threat,
        "technology": outcome.technology,
        "importance": outcome.importance,
        "scan_id": outcome.scan_id,
        "waited_ms": case.waited_ms if case else None,
        "context": case.context if case else context_of(result.path),
        "detail": outcome.detail,
    }
    return json.dumps(record, separators=(",", ":"))


class Report:
    """Collects results; `exit_code`: 0 all clean, 1 a detection, 2 something was not judged."""

    def __init__(self, *, as_lines: bool, on_broken: Callable[[], None]) -> None:
        """`as_lines`: JSON; `on_broken` is told that stdout takes no more."""
        self._as_lines = as_lines
        self._on_broken = on_broken
        self._results: list[Result] = []
        self.missing = 0  # files that were not come to

    def add(self, result: Result) -> None:
        """One result more."""
        self._results.append(result)
        kind, detail = result.outcome.kind, result.outcome.detail
        if kind not in (OutcomeKind.NOT_DETECTED, OutcomeKind.DETECT):
            complain("scan", f"{result.path} was not judged: {kind}: {detail}.")
        if self._as_lines:
            self._show(f"{as_json(result)}\n")

    @property
    def exit_code(self) -> int:
        """A detection goes before what was not judged."""
        if self._count(OutcomeKind.DETECT):
            return 1
        clean = self._count(OutcomeKind.NOT_DETECTED) == len(self._results)
        return 0 if clean and not self.missing else 2

    def close(self, left_out: int) -> None:
        """The table, and a line that sums up on stderr."""
        if not self._as_lines and self._results:
            self._show(self._table())
        clean, detected = self._count(OutcomeKind.NOT_DETECTED), self._count(OutcomeKind.DETECT)
        files = len(self._results) + self.missing
        words = f"files: {files}, not detected: {clean}, detected: {detected}"
        complain("scan", f"{words}, not judged: {files - clean - detected}.")
        if left_out:
            complain("scan", f"{left_out} links and special files inside of folders are left out.")

    def _count(self, kind: OutcomeKind) -> int:
        return sum(result.outcome.kind is kind for result in self._results)

    def _show(self, text: str) -> None:
        if not show(text):
            self._on_broken()

    def _table(self) -> str:
        from rich.console import Console  # noqa: PLC0415 - only where it is shown
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = Console(width=None if sys.stdout.isatty() else _ANY_WIDTH)
        table = Table(box=None, pad_edge=False)
        table.add_column("name", overflow="fold")
        table.add_column("size", justify="right")
        for name in ("outcome", "source", "threat"):
            table.add_column(name)
        for result in self._results:
            outcome = result.outcome
            table.add_row(
                Text(printable(str(result.path))),
                "" if result.size is None else str(result.size),
                Text(outcome.kind, style=_STYLES.get(outcome.kind, "yellow")),
                Text(outcome.source),
                Text(printable(outcome.threat or "")),
            )
        with console.capture() as shown:
            console.print(table)
        return shown.get()
