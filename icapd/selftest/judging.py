"""What an answer of icapd means, by the mode of its service. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from icapd.selftest.finding import Finding

_KATA = "see the lines about kata, and the service log of icapd"
_UNSEEN = "why is not known: log-history.log has no record of it that this user may read"
_SEE = "run this as the service's user, and see the lines about logs, bypass and policy"
_SLACK = 2.0  # seconds that an answer may take beyond `hold`
_RESTART = "see in its log that icapd was reloaded since the configuration was changed (SIGHUP)"


class End(Enum):
    """What became of a body."""

    PASSED = auto()
    BLOCKED = auto()
    LATER = auto()  # a wait page, or "try again in a moment"
    REFUSED = auto()  # an ICAP error
    LOST = auto()  # no answer


@dataclass(frozen=True, slots=True)
class Tried:
    """One body that was sent. `hold` and `waited` in seconds; `record`: what the history has of it,
    if that could be read; `words`: why it was refused or lost."""

    service: str
    mode: str
    hold: float
    threat: bool
    end: End
    record: Mapping[str, Any] | None = None
    words: str = ""
    waited: float = 0.0

    @property
    def what(self) -> str:
        """What was sent where."""
        return f"{'EICAR' if self.threat else 'a clean body'} through {self.service}"

    @property
    def outcome(self) -> str:
        """The record's outcome, with what else it says."""
        record = self.record or {}
        more = record.get("detail") or record.get("rule")
        return f"{record.get('outcome', 'unknown')}{f' ({more})' if more else ''}"

    def has(self, outcome: str) -> bool:
        """Whether the record says so."""
        return self.record is not None and self.record.get("outcome") == outcome


def judge(tried: Tried) -> Finding:
    """One line about one body."""
    if tried.end is End.REFUSED:
        return Finding("failed", f"{tried.what} is refused: {tried.words}", _RESTART)
    if tried.end is End.LOST:
        return _lost(tried)
    if tried.mode == "monitor":
        return _monitored(tried)
    if tried.end is End.LATER:
        return _put_off(tried)
    if tried.end is End.PASSED:
        return _passed_threat(tried) if tried.threat else _passed_clean(tried)
    return _blocked(tried)


def _lost(tried: Tried) -> Finding:
    sentence = f"{tried.what} got no answer: {tried.words}"
    if 0 < tried.waited <= tried.hold + _SLACK:
        held = f"without a verdict it is held for {tried.hold:.0f} s"
        return Finding("warning", f"{sentence}; {held}", _KATA)
    return Finding("failed", sentence, _KATA)


def _monitored(tried: Tried) -> Finding:
    if tried.end is End.PASSED:
        return Finding("ok", f"{tried.what} passes, as mode monitor says, and is judged after")
    return Finding("failed", f"{tried.what} does not pass, though the mode is monitor", _RESTART)


def _put_off(tried: Tried) -> Finding:
    if tried.record is None:
        return Finding("warning", f"{tried.what} is put off; {_UNSEEN}", _SEE)
    if tried.has("pending"):
        sentence = f"{tried.what} had no verdict within {tried.hold:.0f} s, and is put off"
        return Finding("warning", sentence, "see KATA's load, and try again in a minute")
    return Finding("failed", f"{tried.what} is put off: {tried.outcome}", _KATA)


def _passed_clean(tried: Tried) -> Finding:
    if tried.record is None:
        return Finding("warning", f"{tried.what} passes; {_UNSEEN}", _SEE)
    if tried.has("not_detected"):
        return Finding("ok", f"{tried.what} passes")
    return _unjudged(tried)


def _passed_threat(tried: Tried) -> Finding:
    if tried.record is None:
        return Finding("failed", f"{tried.what} PASSES; {_UNSEEN}", _SEE)
    if tried.record.get("rule") == "allowed by hand":
        advice = "kata-bridge known forget, with its sha256, has it judged anew"
        return Finding("warning", f"{tried.what} passes: it is allowed by hand", advice)
    if tried.has("not_detected"):
        sentence = f"{tried.what} PASSES: it was not found"
        return Finding("failed", sentence, "see whether KATA's engines and databases work")
    return _unjudged(tried)


def _unjudged(tried: Tried) -> Finding:
    sentence = f"{tried.what} passes, but not because KATA said so: {tried.outcome}"
    return Finding("warning", sentence, "see bypass, policy and exclusions above, and KATA's load")


def _blocked(tried: Tried) -> Finding:
    if tried.threat and (tried.record is None or tried.has("detect")):
        return Finding("ok", f"{tried.what} is blocked")
    return Finding("failed", f"{tried.what} is blocked: {tried.outcome}", _KATA)
