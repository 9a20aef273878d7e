"""How the emulator judges: EICAR, or what the first line of the content asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

State = Literal["detect", "not detected", "processing", "error", "timeout"]
Fault = Literal["429", "413", "500", "drop"]

# In two halves, so that no scanner takes this file for the test file (eicar.org).
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + b"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"

_DIRECTIVE = re.compile(rb"#kata((?: [a-z]+=[A-Za-z0-9._]+)+)[ \t]*\r?")
_STATES = ("detect", "not detected", "processing", "error", "timeout")
_FAULTS = ("429", "413", "500", "drop")
_MAX_LINE = 200


@dataclass(frozen=True, slots=True)
class Script:
    """What happens to one content.

    `delay` in seconds (None: the emulator's own); `fault` instead of an answer, for the first
    `times` submissions of this content (None: always). ValueError where KATA has no such state or
    the emulator no such fault: it would never answer.
    """

    state: State = "not detected"
    delay: float | None = None
    fault: Fault | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        """Refuse what the emulator would not understand when it is asked."""
        if self.state not in _STATES:
            raise ValueError(f"{self.state!r} is no state of a scan; these are: {_named(_STATES)}.")
        if self.fault is not None and self.fault not in _FAULTS:
            raise ValueError(f"{self.fault!r} is no fault; these are: {_named(_FAULTS)}.")


def read_script(content: bytes) -> Script:
    """The script of a content, from `#kata state=… delay=… http=… times=…` in its first line.

    States are written with `_` for a space. A line that is not understood asks for nothing.
    """
    line = content[:_MAX_LINE].split(b"\n", 1)[0]
    match = _DIRECTIVE.fullmatch(line)
    if match is None:
        return Script(state="detect" if EICAR in content else "not detected")
    words = dict(pair.split("=", 1) for pair in match[1].decode("ascii").split())
    state = words.get("state", "not_detected").replace("_", " ")
    fault = words.get("http")
    return Script(
        cast(State, state) if state in _STATES else "not detected",
        _number(words.get("delay")),
        cast(Fault, fault) if fault in _FAULTS else None,
        int(words["times"]) if words.get("times", "").isdigit() else None,
    )


def _named(words: Sequence[str]) -> str:
    return ", ".join(map(repr, words))


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None
