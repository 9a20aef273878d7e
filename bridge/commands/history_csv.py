"""Records as CSV (RFC 4180) that a spreadsheet can open without harm."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.core import printable

KEYS = (
    *("time", "case", "door", "name", "size", "sha256", "md5", "outcome", "source", "decision"),
    *("late", "mode", "rule", "detail", "threat", "technology", "importance", "scan_id"),
    "waited_ms",
)
CONTEXT_KEYS = (
    *("service", "proxy", "client_ip", "user", "method", "url", "note"),
    *("folder", "path", "moved_to", "by", "quarantined_as"),
)
OTHER = "other"  # what has no column, as JSON
# spreadsheets take such a cell for a formula; those that part cells at semicolons look behind each
_FORMULA = re.compile(r"(^|;)([\"\s]*[=+\-@\uff1d\uff0b\uff0d\uff20])")


class CsvLines:
    """A line for each record, below one that names the columns."""

    def __init__(self) -> None:
        self._is_first = True

    def text(self, records: Sequence[dict[str, Any]]) -> str:
        """The next page."""
        page = io.StringIO()
        lines = csv.writer(page)
        if self._is_first:
            lines.writerow([*KEYS, *(f"context.{key}" for key in CONTEXT_KEYS), OTHER])
        self._is_first = False
        for each in records:
            lines.writerow(_row(each))
        return page.getvalue()


def _row(record: Mapping[str, Any]) -> list[str]:
    rest = dict(record)
    values = [rest.pop(key, None) for key in KEYS]
    context = rest.pop("context", None)
    inner = dict(context) if isinstance(context, dict) else {}
    values += [inner.pop(key, None) for key in CONTEXT_KEYS]
    if inner or (context is not None and not isinstance(context, dict)):
        rest["context"] = inner or context
    return [_cell(each) for each in (*values, rest or None)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return _FORMULA.sub(r"\1'\2", printable(text))
