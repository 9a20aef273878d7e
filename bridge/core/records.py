"""What is left of every case: `log-history.log`, and of every detection: `log-detects.log`.

JSON lines with the same keys from both doors; only `context` differs. Everything outside ASCII is
escaped, so that a name can do no harm on a terminal.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from bridge.core.linelog import LineLog
from bridge.core.model import Case, Decision, Item, Outcome, OutcomeKind

HISTORY = "log-history.log"
DETECTS = "log-detects.log"

_encode = json.JSONEncoder(separators=(",", ":")).encode


def format_record(
    case: Case, item: Item | None, outcome: Outcome, decision: Decision, *, late: bool = False
) -> bytes:
    """One record as a line. `item` is None where the bytes never came in whole."""
    record = {
        "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "case": case.id,
        "door": case.door,
        "name": case.name,
        "size": item.size if item else case.size,
        "sha256": item.sha256 if item else None,
        "md5": outcome.md5,
        "outcome": outcome.kind,
        "source": outcome.source,
        "decision": decision,
        "late": late,
        "mode": case.mode,
        "rule": outcome.rule,
        "threat": outcome.threat,
        "technology": outcome.technology,
        "scan_id": outcome.scan_id,
        "waited_ms": case.waited_ms,
        "context": case.context,
    }
    return _encode(record).encode("ascii")


class Records:
    """Writes records; several processes may share the files."""

    def __init__(self, directory: Path) -> None:
        """Open both files; OSError where that fails."""
        self._history = LineLog(directory / HISTORY)
        self._detects = LineLog(directory / DETECTS)

    def write(self, case: Case, item: Item | None, outcome: Outcome, decision: Decision) -> None:
        """The one record of a case."""
        line = format_record(case, item, outcome, decision)
        self._history.write(line)
        if outcome.kind is OutcomeKind.DETECT:
            self._detects.write(line)

    def write_late(self, case: Case, item: Item, outcome: Outcome, decision: Decision) -> None:
        """A detection of a case that has its record already."""
        self._detects.write(format_record(case, item, outcome, decision, late=True))

    def close(self) -> None:
        """Close both files."""
        self._history.close()
        self._detects.close()
