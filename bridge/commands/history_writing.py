"""What the records that were found are written as."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol


class Writer(Protocol):
    """Makes text of records, a page at a time."""

    def text(self, records: Sequence[dict[str, Any]]) -> str:
        """The next page, with its line ends."""


class JsonLines:
    """A JSON object a line, as it stands in the log: all outside ASCII is escaped."""

    def text(self, records: Sequence[dict[str, Any]]) -> str:
        """The next page."""
        return "".join(f"{json.dumps(each, separators=(',', ':'))}\n" for each in records)
