"""The shapes of KATA's scan API, without I/O.

Calls and answers are those of Kaspersky's help pages 176838 (submit), 176830 (results) and 176836
(forget), and of what is seen in the field.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any
from urllib.parse import quote


class ScanState(StrEnum):
    """States of a scan, as KATA writes them; only `PROCESSING` is not final."""

    DETECT = "detect"
    NOT_DETECTED = "not detected"
    PROCESSING = "processing"
    ERROR = "error"
    TIMEOUT = "timeout"

    @property
    def is_final(self) -> bool:
        """Whether KATA is done with the scan."""
        return self is not ScanState.PROCESSING


class Answer(Enum):
    """What an answer of KATA means for us."""

    OK = auto()
    NOT_ACCEPTED = auto()  # 401: an administrator has not accepted this system, or no longer does
    TOO_LARGE = auto()  # 413
    BUSY = auto()  # 429
    FAULT = auto()  # 5xx, and whatever the help pages do not name
    UNREACHABLE = auto()  # no answer at all


@dataclass(frozen=True, slots=True)
class CallResult:
    """How one call went. `detail` is for people, `retry_after` in seconds, `md5` of what was sent,
    `states` by scanId for the state call."""

    answer: Answer
    detail: str
    retry_after: float | None = None
    md5: str | None = None
    states: dict[str, ScanState] | None = None


_ANSWERS = {
    200: Answer.OK,
    401: Answer.NOT_ACCEPTED,
    413: Answer.TOO_LARGE,
    429: Answer.BUSY,
}
_SCAN_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class WireError(Exception):
    """KATA's answer has a shape that nobody documented."""


def classify(status: int) -> Answer:
    """The meaning of an HTTP status of any call."""
    return _ANSWERS.get(status, Answer.FAULT)


def new_scan_id() -> str:
    """An id for a scan: no spaces, no special characters, never a file name."""
    return str(uuid.uuid4())


def base_url(central_node: str, sensor_id: str) -> str:
    """Where the calls of one external system live."""
    return f"{central_node}/kata/scanner/v1/sensors/{quote(sensor_id, safe='')}"


def submit_url(base: str, instance: str) -> str:
    """POST: a file to scan."""
    return f"{base}/scans?sensorInstanceId={quote(instance, safe='')}"


def state_url(base: str, instance: str) -> str:
    """GET: the states of all scans of one instance."""
    states = ",".join(quote(state.value) for state in ScanState)
    return f"{base}/scans/state?sensorInstanceId={quote(instance, safe='')}&state={states}"


def delete_url(base: str, scan_id: str) -> str:
    """DELETE: one scan. An empty id would delete all of them, so anything odd is a ValueError."""
    if _SCAN_ID.fullmatch(scan_id) is None:
        raise ValueError(f"{scan_id!r} is no scanId of ours")
    return f"{base}/scans/{scan_id}"


def parse_states(body: bytes) -> dict[str, ScanState]:
    """scanId -> state from the body of the state call; WireError where it is no list of scans.

    Takes a bare array or `{"scans": [...]}` (null or absent: none), integer ids, and a state that
    is an array of one. An entry that cannot be read says nothing of its scan and is left out.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise WireError("the state answer is not JSON") from None
    if isinstance(data, dict):
        data = data.get("scans") or []
    if not isinstance(data, list):
        raise WireError("the state answer is no list of scans")
    states: dict[str, ScanState] = {}
    for entry in data:
        parsed = _parse_entry(entry)
        if parsed is None:
            continue
        scan_id, state = parsed
        if states.get(scan_id, state) is not state:
            state = ScanState.ERROR  # an answer that contradicts itself says nothing good
        states[scan_id] = state
    return states


def _parse_entry(entry: Any) -> tuple[str, ScanState] | None:
    if not isinstance(entry, dict):
        return None
    scan_id, state = entry.get("scanId"), entry.get("state")
    if isinstance(state, list) and len(state) == 1:
        state = state[0]
    if isinstance(scan_id, bool) or not isinstance(scan_id, str | int):
        return None
    try:
        return str(scan_id), ScanState(str(state))
    except ValueError:
        return None


def parse_retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header; a date is not read."""
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return float(min(int(value[:6]), 3600))
