"""All questions to one icapd, in the order in which one needs another. Blocks: network, disk."""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from bridge.core import Door, Settings, StartError, door_runs, share
from icapd.client import Answer, UnansweredError
from icapd.pages import Pages
from icapd.protocol import ProtocolError
from icapd.selftest.asking import Place, connect, place_of, try_body, why_refused
from icapd.selftest.finding import Finding
from icapd.selftest.judging import judge
from icapd.selftest.shown import look_at_shown
from icapd.service import istag
from icapd.workers.ports import not_to_be_had

_CONNECT = 5.0
_LEAST = 1.0
_RELOAD = "reload icapd (SIGHUP), which may have read its configuration before it was changed"
_ADDRESS = (
    "name another address or port, or see who has it (`ss -ltnp`); one below 1024 takes a right "
    "(docs/install.md): if icapd has that, see its log"
)
_STRANGER = "run this on a machine of icap.allow_from, or add the address {} if it is to be let in"
_CUT = (UnansweredError, ConnectionResetError, BrokenPipeError)
_HANGS = (
    "see whether icapd hangs: its log, and its CPU time; or has no descriptors left (LimitNOFILE)"
)
_NO_PLACE = (
    "see in its log and on its status page whether it has descriptors (LimitNOFILE) and "
    "connections (icap.max_connections) left; both are freed by idle ones that end"
)


def examine(
    settings: Settings, seconds: float, without_bodies: str | None, *, runs: bool = False
) -> Iterator[Finding]:
    """What is found, as it is known. `seconds`: how long all of it may take.

    `without_bodies`: why nothing is to be judged. `runs`: it is known that icapd runs here.
    """
    end = time.monotonic() + seconds
    try:
        Pages(settings.icap.pages)
    except StartError as error:
        yield Finding("failed", str(error), "correct icap.pages, or icapd does not start", "pages")
    place = place_of(settings.icap)
    if not place.address.port:
        yield Finding("skipped", "icap.listen leaves the port to the system: it is not known here")
        return
    faults = list(not_to_be_had(settings.icap))  # where icapd runs all addresses are taken
    foreign = [why for error, why in faults if error.errno == errno.EADDRNOTAVAIL]
    if foreign:  # whoever answers there is another icapd
        answers: dict[str, Answer] | Finding = _cannot(foreign[0])
    else:
        answers = _options(settings, place, end, [why for _, why in faults], runs=runs)
    if isinstance(answers, Finding):
        yield answers
        if answers.status == "skipped":  # it wants a proxy's certificate, and has one to show
            yield from _shown(settings, end)
        yield Finding("skipped", "services were not asked, and no body was sent")
        return
    stranger = next((each for each in answers.values() if each.status == 403), None)
    if stranger is not None:
        yield _stranger(place, why_refused(stranger))
        yield Finding("skipped", "no body was sent")
        return
    served = []
    for path, answer in answers.items():
        finding = judge_options(settings, place, path, answer)
        served += [path] if finding.status != "failed" else []
        yield finding
    yield from _shown(settings, end)
    if without_bodies is not None:
        yield Finding("skipped", f"no body was sent: none can be judged ({without_bodies})")
        return
    yield from _bodies(settings, place, served, end)


def _shown(settings: Settings, end: float) -> Iterator[Finding]:
    if settings.icap.tls is not None:
        seconds = _left(end, _CONNECT)
        yield from look_at_shown(
            settings.icap.tls, seconds, lambda place: _is_let_in(settings, place)
        )


def _options(
    settings: Settings, place: Place, end: float, faults: Sequence[StartError], *, runs: bool
) -> dict[str, Answer] | Finding:
    """The answer of each service, or why there is none; `faults`: of addresses to listen on."""
    found = {}
    try:
        for path in settings.icap.services:
            with connect(place, _left(end, _CONNECT)) as client:
                found[path] = client.options(path.strip("/"))
    except ConnectionRefusedError:
        return _silent(settings, place, faults)
    except (OSError, ProtocolError) as error:
        return _unanswered(settings, place, error, first=not found, runs=runs)
    return found


def _unanswered(
    settings: Settings, place: Place, error: Exception, *, first: bool, runs: bool
) -> Finding:
    """Why a connection brought no answer; `first`: none did."""
    if settings.icap.tls is not None and place.is_tls and settings.icap.tls.client_ca:
        sentence = f"{place} wants the certificate of a proxy (icap.tls.client_ca)"
        return Finding("skipped", sentence)
    if place.is_tls and not _is_let_in(settings, place):
        return _stranger(place, "the connection is cut")
    if first and isinstance(error, TimeoutError):
        sentence = f"{place} did not answer within {_CONNECT:.0f} s"
        return Finding("failed", sentence, _HANGS)
    if isinstance(error, _CUT) and (runs or _runs(settings)):
        cuts = f"icapd runs, and cuts a connection to {place}, as it does without descriptors"
        return Finding("failed", f"{cuts}: {error}", _NO_PLACE)
    sentence = f"{place} does not answer as an ICAP server does: {error}"
    return Finding("failed", sentence, "see what listens there, and the log of icapd")


def _runs(settings: Settings) -> bool:
    """Whether icapd of this node runs on this machine, as far as this user may see."""
    try:
        return door_runs(settings.spool.dir, settings.kata.node, Door.ICAP)
    except OSError:
        return False


def _is_let_in(settings: Settings, place: Place) -> bool:
    """Whether this machine is in icap.allow_from, as far as the address tells that it is asked by:
    who asks a machine's own address comes from there."""
    address = ip_address(place.address.host)
    return any(address in network for network in settings.icap.allow_from)


def _stranger(place: Place, why: str) -> Finding:
    sentence = f"icapd at {place} does not serve this machine: {why}"
    return Finding("warning", sentence, _STRANGER.format(place.address.host))


def _silent(settings: Settings, place: Place, faults: Sequence[StartError]) -> Finding:
    sentence = f"nothing listens on {place}: icapd does not run"
    if settings.folders and "icap" not in settings.model_fields_set:
        advice = "that is right where only folders are watched; else start icapd"
        return Finding("warning", sentence, advice)
    if faults:
        return _cannot(faults[0], f"nothing listens on {place}: ")
    advice = "start icapd; what is in its way its log says, or stderr"
    return Finding("failed", sentence, advice)


def _cannot(fault: StartError, before: str = "") -> Finding:
    return Finding("failed", f"{before}icapd {str(fault).rstrip('.')}", _ADDRESS)


def judge_options(settings: Settings, place: Place, path: str, answer: Answer) -> Finding:
    """Whether the icapd that runs offers a service as the configuration has it. Pure."""
    service = settings.icap.services[path]
    where = f"{path} at {place}"
    if answer.status != 200:
        advice = _NO_PLACE if answer.status == 503 else _RELOAD
        return Finding("failed", f"{where} is not offered: {why_refused(answer)}", advice)
    if service.method not in answer.fields.get("methods", ""):
        advice = _RELOAD
        return Finding("failed", f"{where} does not take {service.method}", advice)
    ours = istag(share(settings, 0))
    if answer.fields.get("istag", "").strip('"') != ours:
        sentence = f"{where} is served by another version, or by another configuration"
        return Finding("warning", sentence, _RELOAD)
    return Finding("ok", f"{where} takes {service.method}, mode {service.mode}")


def _bodies(settings: Settings, place: Place, served: list[str], end: float) -> Iterator[Finding]:
    """A clean body and EICAR for each service, all at the same time."""
    kinds = [(path, threat) for path in served for threat in (False, True)]
    with ThreadPoolExecutor(max(1, len(kinds))) as threads:
        begun = [
            threads.submit(
                try_body,
                place,
                path.strip("/"),
                settings.icap.services[path],
                threat=threat,
                logs=settings.logs.dir,
                seconds=_left(end),
            )
            for path, threat in kinds
        ]
        for each in begun:
            yield judge(each.result())


def _left(end: float, most: float = math.inf) -> float:
    return max(_LEAST, min(most, end - time.monotonic()))
