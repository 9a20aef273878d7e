"""The shapes of KATA's scan API, without I/O.

Calls and answers are those of Kaspersky's help pages 176838 (submit), 176830 (results) and 176836
(forget), and of what is seen in the field.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
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
class Alert:
    """What KATA says of an object beyond its state. Hashes in lower hex."""

    sha256: str | None
    md5: str | None
    threat: str | None
    technology: str | None
    importance: str | None


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Some alerts, oldest first. `token` leads to the next; `read` counts the others, too."""

    alerts: list[Alert]
    token: str | None
    read: int


@dataclass(frozen=True, slots=True)
class CallResult:
    """How one call went. `detail` is for people, `retry_after` in seconds, `md5` of what was sent,
    `states` by scanId, `max_object_size` in bytes, `alerts`: what the call of that name gave.
    `date`: of a state call's answer, KATA's clock (seconds since the epoch)."""

    answer: Answer
    detail: str
    retry_after: float | None = None
    md5: str | None = None
    states: dict[str, ScanState] | None = None
    max_object_size: int | None = None
    alerts: AlertPage | None = None
    missing: bool = False  # 404 for one scan
    date: float | None = None


_ANSWERS = {
    200: Answer.OK,
    401: Answer.NOT_ACCEPTED,
    413: Answer.TOO_LARGE,
    429: Answer.BUSY,
}
ALERTS_A_PAGE = 1000
_TECHNOLOGIES = "am,sb,yara,url_reputation,ids"
_MAX_TEXT = 1000  # no name of a threat is longer
_MAX_DATE = 60
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


def filters_url(base: str) -> str:
    """GET: KATA's own limits."""
    return f"{base}/scans/filters"


def alerts_url(base: str, token: str | None) -> str:
    """GET: alerts of every technology, at most `ALERTS_A_PAGE`, from `token` on."""
    more = f"&token={quote(token, safe='')}" if token else ""
    return f"{base}/detects?detect_type={_TECHNOLOGIES}&limit={ALERTS_A_PAGE}{more}"


def parse_filters(body: bytes) -> int | None:
    """`maxObjectSize` of the limits; None where it says none that makes sense."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    size = data.get("maxObjectSize") if isinstance(data, dict) else None
    return size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else None


def parse_alerts(body: bytes) -> AlertPage:
    """The alerts about external systems' objects; WireError where it is no page of alerts."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise WireError("the alerts answer is not JSON") from None
    detects = data.get("detects") if isinstance(data, dict) else None
    if not isinstance(detects, list | None):
        raise WireError("the alerts answer is no list of alerts")
    token = data.get("token") if isinstance(data, dict) else None
    found = [_parse_alert(entry) for entry in detects or []]
    alerts = [alert for alert in found if alert is not None]
    return AlertPage(alerts, str(token) if token else None, len(found))


def _parse_alert(entry: Any) -> Alert | None:
    if _text(entry, "objectSource") != "external":
        return None
    return Alert(
        _hash(_text(entry, "object", "processedObject", "SHA256"), 64),
        _hash(_text(entry, "object", "processedObject", "MD5"), 32),
        _names(entry),
        _text(entry, "technology"),
        _text(entry, "importance"),
    )


def _inner(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: Any, *keys: str) -> str | None:
    found = _inner(value, *keys)
    return found[:_MAX_TEXT] if isinstance(found, str) and found else None


def _hash(text: str | None, digits: int) -> str | None:
    lower = (text or "").lower()
    return lower if re.fullmatch(f"[0-9a-f]{{{digits}}}", lower) else None


def _names(entry: Any) -> str | None:
    names = _inner(entry, "detection", "detect")
    if isinstance(names, str):
        names = [names]
    texts = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return ", ".join(texts)[:_MAX_TEXT] or None


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


def parse_date(value: str | None) -> float | None:
    """Seconds since the epoch of a Date header; None where there is none, or it is no date."""
    if value is None or len(value) > _MAX_DATE:
        return None
    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, LookupError, OverflowError):
        return None


def parse_retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header; a date is not read."""
    if value is None or not (value.isascii() and value.isdigit()):
        return None
    return float(min(int(value[:6]), 3600))
