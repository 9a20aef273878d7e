"""Who was refused by icapd in the last hour: traffic arrives, and nothing is judged. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.commands.checking.line import Line, warning
from bridge.commands.words import clock_words

_MOST = 10
_NOT_FOUND, _STRANGER = 404, 403
_PATH = "have the proxy ask for one of the services here (icap.services): {}"
_ADDRESS = "if it is a proxy add it to icap.allow_from, and reload icapd (SIGHUP)"
_SEE = "the log of icapd has a line of it (`proxy {}: …`); mend that at the proxy, or in icap"


@dataclass(frozen=True, slots=True)
class _Refused:
    """One proxy, and the last of its refusals (`last`: epoch; `status` 0: there was no ICAP)."""

    address: str
    times: int
    last: float
    status: int
    why: str
    asked: str


def describe_refusals(
    told: Mapping[str, Any], services: Iterable[str], since: float
) -> Iterator[Line]:
    """By what /api/live tells, the last first. `services`: the paths that there are; `since`:
    (epoch) older ones do not count."""
    found = sorted(_found(told, since), key=lambda each: -each.last)
    known = ", ".join(services)
    for each in found[:_MOST]:
        yield _line(each, known)
    if len(found) > _MOST:
        advice = "see the list of proxies on the status page of icapd"
        yield warning("proxies", f"{len(found) - _MOST} more are refused", advice)


def _line(refused: _Refused, services: str) -> Line:
    name, times = refused.address, refused.times
    often = f"{'once' if times == 1 else f'{times} times'}, last at {clock_words(refused.last)}"
    if refused.status == _NOT_FOUND and refused.asked:
        sentence = f"{name} asked for '{refused.asked}', which is no service here (404), {often}"
        return warning("proxies", sentence, _PATH.format(services))
    if refused.status == _STRANGER:
        sentence = f"{name} is refused (403): it is not in icap.allow_from, {often}"
        return warning("proxies", sentence, _ADDRESS)
    status = f" ({refused.status})" if refused.status else ""
    why = refused.why.removesuffix(".")
    return warning("proxies", f"{name} is refused{status}: {why}, {often}", _SEE.format(name))


def _found(told: Mapping[str, Any], since: float) -> Iterator[_Refused]:
    entries = told.get("proxies")
    for entry in entries if isinstance(entries, list) else []:
        try:
            last = entry["refusal"]
            texts = (str(last["why"]), str(last["asked"]))
            refused = _Refused(
                str(entry["address"]), int(entry["refused"]), float(last["time"]),
                int(last["status"]), *texts,
            )  # fmt: skip
        except (ValueError, TypeError, LookupError, OverflowError):  # none, or an older daemon
            continue
        if refused.last >= since:
            yield refused
