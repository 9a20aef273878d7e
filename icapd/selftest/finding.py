"""What the self-test finds: the lines of `kata-bridge check`. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from bridge.core import printable

Status = Literal["ok", "warning", "failed", "skipped"]
AREA = "icap"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line; `advice`: what to do where it is not ok."""

    status: Status
    sentence: str
    advice: str = ""
    area: str = AREA

    def as_json(self) -> str:
        """An object in one line."""
        return json.dumps(asdict(self))

    def as_text(self) -> str:
        """For people."""
        text = f"{self.status:8}{self.area:12}{self.sentence}"
        return printable(f"{text} ({self.advice})" if self.advice else text)
