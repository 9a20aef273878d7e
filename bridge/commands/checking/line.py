"""What was found of one thing, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bridge.core import printable

_MOST = 1000


class Status(StrEnum):
    """How it is; `SKIPPED` could not be looked at because of what failed before it."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Line:
    """One finding. `sentence` and `advice` have no line breaks, and are safe for terminals."""

    area: str
    status: Status
    sentence: str
    advice: str = ""

    def as_json(self) -> dict[str, str | None]:
        """For `--json`."""
        return {
            "area": self.area,
            "status": self.status.value,
            "sentence": self.sentence,
            "advice": self.advice or None,
        }


def ok(area: str, sentence: str) -> Line:
    """It is as it should be."""
    return Line(area, Status.OK, _said(sentence))


def warning(area: str, sentence: str, advice: str) -> Line:
    """It works, but somebody should know."""
    return Line(area, Status.WARNING, _said(sentence), _said(advice))


def failed(area: str, sentence: str, advice: str) -> Line:
    """It does not work."""
    return Line(area, Status.FAILED, _said(sentence), _said(advice))


def skipped(area: str, sentence: str) -> Line:
    """It could not be looked at."""
    return Line(area, Status.SKIPPED, _said(sentence))


def _said(text: str) -> str:
    """Servers and files may say anything, at any length."""
    return printable(text if len(text) <= _MOST else f"{text[:_MOST]}…")


def result(lines: Iterable[Line]) -> Status:
    """The worst of them."""
    found = {line.status for line in lines}
    return next((s for s in (Status.FAILED, Status.WARNING) if s in found), Status.OK)
