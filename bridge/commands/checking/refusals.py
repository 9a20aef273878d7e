"""Who was refused by icapd in the last hour: traffic arrives, and nothing is judged. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.commands.checking.line import Line, warning
from bridge.commands.words import clock_words
from bridge.core import IcapSettings

_MOST = 10
_NOT_FOUND, _STRANGER, _NO_ICAP = 404, 403, 0
_OURS = ("127.0.0.1", "::1")
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


def describe_refusals(told: Mapping[str, Any], icap: IcapSettings, since: float) -> Iterator[Line]:
    """By what /api/live tells, the last first; `since`: (epoch) older ones do not count.

    What the self-test of a machine meets that is not let in, or has no certificate, is left out.
    """
    # who asks a machine's own address comes from there
    listens = [*icap.listen, *(icap.tls.listen if icap.tls is not None else [])]
    ours = {*_OURS, *(address.host for address in listens)}
    refusals = [
        each
        for each in _found(told, since)
        if each.address not in ours or each.status not in (_STRANGER, _NO_ICAP)
    ]
    found = sorted(refusals, key=lambda each: -each.last)
    known = ", ".join(icap.services)
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
