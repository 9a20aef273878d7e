"""Records as a table for people, as wide as the terminal; as lines where that is too narrow."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bridge.core import Decision, OutcomeKind, printable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

_ANY_WIDTH = 1 << 16  # not wrapped where it is no terminal
_NARROW = 150  # columns, below which a record takes several lines
_NARROWEST = 72  # columns, below which it is no table: nothing of a record may be lost
_STYLES = {
    OutcomeKind.DETECT.value: "bold red",
    OutcomeKind.NOT_DETECTED.value: "green",
    Decision.BLOCK.value: "bold",
}
_WIDE = ("time", "case", "door", "outcome", "decision", "name", "who", "where", "threat")
_STACKED = (("time", "case"), ("door", "decision"), ("outcome", "threat"), ("name", "who", "where"))
_LISTED = (("time", "case", "late"), ("door", "outcome", "decision", "threat"))
_ALONE = ("name", "who", "where")  # each on a line of its own
_HEADS = {"who": "client, user", "where": "url or file", "threat": "threat or reason"}
_WIDTHS = {"time": 19, "case": 16, "door": 8, "outcome": 16, "decision": 8, "late": 4}
_SHARES = {"name": 3, "who": 2, "where": 4, "threat": 2}


class Table:
    """Rows below their heads; the pages of one search stand below each other as one table."""

    def __init__(self, *, shows_late: bool) -> None:
        """`shows_late`: in a column of its own."""
        self._late = ("late",) if shows_late else ()
        self._is_first = True

    def text(self, records: Sequence[dict[str, Any]]) -> str:
        """The next page."""
        from rich.console import Console  # noqa: PLC0415 - only where it is shown

        is_terminal = sys.stdout.isatty()
        console = Console(width=None if is_terminal else _ANY_WIDTH)
        if is_terminal and console.width < _NARROWEST:
            with console.capture() as shown:
                for each in records:
                    console.print(_listed(cells_of(each)), soft_wrap=True)
            return shown.get()
        stacked = is_terminal and console.width < _NARROW
        columns = [*_STACKED] if stacked else [(each,) for each in _WIDE]
        if self._late:
            columns.insert(3 if stacked else 5, self._late)
        table = self._table(columns, fixed=is_terminal)
        for each in records:
            cells = cells_of(each)
            table.add_row(*(_styled([cells[key] for key in column]) for column in columns))
        self._is_first = False
        with console.capture() as shown:
            console.print(table)
        return shown.get()

    def _table(self, columns: Sequence[tuple[str, ...]], *, fixed: bool) -> RichTable:
        from rich.table import Table as RichTable  # noqa: PLC0415

        table = RichTable(box=None, pad_edge=False, show_header=self._is_first, expand=fixed)
        for column in columns:
            shares = max(_SHARES.get(key, 0) for key in column)
            width = max(_WIDTHS.get(key, 0) for key in column)
            table.add_column(
                "\n".join(_HEADS.get(key, key) for key in column),
                overflow="fold",
                width=width if fixed and (not shares or width) else None,
                ratio=shares if fixed and not width else None,
            )
        return table


def _styled(parts: Sequence[str]) -> Any:
    from rich.text import Text  # noqa: PLC0415

    lines = [Text(part, style=_STYLES.get(part, "")) for part in parts if part]
    return Text("\n").join(lines)


def _listed(cells: Mapping[str, str]) -> Any:
    """A record as lines, which the terminal breaks itself: so a URL can be copied whole."""
    from rich.text import Text  # noqa: PLC0415

    rows = [*_LISTED, *((key,) for key in _ALONE)]
    texts = [[Text(cells[k], _STYLES.get(cells[k], "")) for k in row if cells[k]] for row in rows]
    return Text("\n  ").join(Text("  ").join(row) for row in texts if row)


def cells_of(record: Mapping[str, Any]) -> dict[str, str]:
    """What a record shows, all of it harmless on a terminal."""
    context = record.get("context")
    context = context if isinstance(context, Mapping) else {}
    who = (context.get("client_ip") or context.get("proxy"), context.get("user"))
    shown = {
        "time": _short(record.get("time")),
        "case": record.get("case"),
        "door": record.get("door"),
        "outcome": record.get("outcome"),
        "decision": record.get("decision"),
        "late": "late" if record.get("late") is True else "",
        "name": record.get("name"),
        "who": " ".join(_text(each) for each in (*who, context.get("by")) if each),
        "where": context.get("url") or context.get("moved_to") or context.get("path"),
        "threat": record.get("threat") or record.get("rule") or record.get("detail"),
    }
    return {key: printable(_text(value)) for key, value in shown.items()}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _short(time: object) -> object:
    """A time in local time, to the second; what is none as it is."""
    try:
        moment = datetime.fromisoformat(time) if isinstance(time, str) else None
        return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else time
    except (ValueError, OverflowError):
        return time
