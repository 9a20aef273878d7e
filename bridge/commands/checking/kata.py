"""The Central Nodes: found, reached, the right ones, and willing. Blocks: network.

A node is asked one question after another, and the first that it fails is its fault.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from bridge.commands.checking.line import Line, Status, failed, ok, skipped, warning
from bridge.commands.checking.running import TooSlowError, begin, result_within, within
from bridge.commands.checking.trial import SLOW, judge_trial, try_file
from bridge.commands.words import size_words, time_words
from bridge.core import (
    Answer,
    CallResult,
    KataClient,
    KataSettings,
    ServerCertificate,
    TrustError,
    fingerprint,
    server_certificate,
)

SECONDS = 22.0  # for one node, all questions together
_STEP = 10.0
_CONNECT = 5.0
_CALL = 8.0
_AREA = "kata"
_TRUST = "trust"  # never made light of: somebody may stand in between
_CLOCK_WARNS, _CLOCK_FAILS = 60.0, 300.0
_LEAST_LIMIT = 1 << 20  # less cannot be bytes, and no daemon goes by it
_UP = "see whether the Central Node is up, and whether a firewall lets this machine reach {}"
_LOOK = "see what is at that address, and what the Central Node's own log says"


class _FaultError(Exception):
    """A question that a node failed: the line of it."""

    def __init__(self, line: Line) -> None:
        super().__init__(line.sentence)
        self.line = line


@dataclass(slots=True)
class Report:
    """What is found of one node; `works`: it accepts this system, and takes files as far as is
    known."""

    lines: list[Line] = field(default_factory=list)
    works: bool = False


def look_at_kata(kata: KataSettings, *, gives_file: bool = False) -> Iterator[Line]:
    """All nodes, at the same time. `gives_file`: each is given one, to see whether it is taken."""
    urls = list(dict.fromkeys(kata.urls))
    end = time.monotonic() + SECONDS
    begun = [(url, begin(look_at_node, url, kata, gives_file=gives_file)) for url in urls]
    reports = []
    for url, look in begun:
        try:
            reports.append(result_within(end - time.monotonic(), look))
        except TooSlowError:
            sentence = f"{url} did not answer within {SECONDS:.0f} s"
            reports.append(Report([failed(_AREA, sentence, _UP.format(_place(url)))]))
    spare = any(report.works for report in reports)
    for report in reports:
        yield from (_lighter(line) if spare else line for line in report.lines)


def _lighter(line: Line) -> Line:
    """A node that does not work, while another one does."""
    if line.status is not Status.FAILED or line.area != _AREA:
        return line
    return replace(line, status=Status.WARNING, sentence=f"{line.sentence}; others take the files")


def look_at_node(url: str, kata: KataSettings, *, gives_file: bool = False) -> Report:
    """One node, question by question."""
    report = Report()
    try:
        report.lines.append(_reached(url, kata))
        result, now, limit, trial = asyncio.run(_ask(url, kata, gives_file=gives_file))
        report.lines.append(_accepted(url, kata, result))
    except _FaultError as fault:
        rest = f"{url}: whether it accepts this system, its limits and its clock"
        return Report([fault.line, skipped(_AREA, f"{rest} cannot be known")])
    if trial is not None:
        report.lines.append(judge_trial(url, trial))
    report.works = report.lines[-1].status is not Status.FAILED and trial is not SLOW
    report.lines.append(judge_clock(url, result.date, now))
    report.lines.append(judge_limit(url, kata.max_object_size, limit))
    return report


# -- is it there, and is it the right one ------------------------------------------------------


def _reached(url: str, kata: KataSettings) -> Line:
    host, port = _host(url)
    where = _UP.format(_place(url))
    try:
        within(_STEP, socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
    except TooSlowError:
        sentence = f"{url}: no name server answered within {_STEP:.0f} s"
        raise _fault(sentence, "see whether this machine's DNS works (/etc/resolv.conf)") from None
    except (OSError, UnicodeError) as error:
        words = getattr(error, "strerror", None) or str(error)
        advice = "correct kata.urls, or this machine's DNS"
        raise _fault(f"{url}: the name {host} does not resolve: {words}", advice) from None
    try:
        within(_STEP, _connect, host, port)
    except (TooSlowError, TimeoutError):
        raise _fault(f"{url}: nothing answers on TCP port {port}", where) from None
    except OSError as error:
        raise _fault(f"{url} cannot be reached: {error.strerror or error}", where) from None
    return _trusted(url, kata)


def _shown(url: str, kata: KataSettings) -> ServerCertificate:
    any_name = kata.server_fingerprint is not None
    return server_certificate(url, ca=kata.server_ca, any_name=any_name, seconds=_STEP - 1)


def _connect(host: str, port: int) -> None:
    socket.create_connection((host, port), _CONNECT).close()


def _trusted(url: str, kata: KataSettings) -> Line:
    pin, ca = kata.server_fingerprint, kata.server_ca
    try:
        shown = within(_STEP, _shown, url, kata)
    except TrustError as error:
        what = f"a certificate that kata.server_ca ({ca}) does not vouch for" if ca else "one"
        advice = "put the CA, or the certificate itself, into that file, if it is the right server"
        raise _fault(f"{url} shows {what}: {error}", advice, _TRUST) from None
    except (TooSlowError, TimeoutError):
        sentence = f"{url} takes connections, but did not begin TLS within {_STEP:.0f} s"
        raise _fault(sentence, _LOOK) from None
    except OSError as error:
        words = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise _fault(f"{url} does not speak TLS: {words or error}", _LOOK) from None
    if pin is not None and shown.fingerprint != pin:
        raise _fault(
            f"{url} shows the certificate sha256:{shown.fingerprint}, and kata.server_fingerprint "
            f"is sha256:{pin}",
            "ask the KATA administrator whether the certificate was changed; if so, write it there",
            _TRUST,
        )
    return ok(_AREA, f"{url} can be reached, and shows the certificate that is trusted")


# -- does it take us ---------------------------------------------------------------------------


async def _ask(
    url: str, kata: KataSettings, *, gives_file: bool
) -> tuple[CallResult, float, CallResult, CallResult | None]:
    """What it says to the state call, which changes nothing, the time (epoch) of that answer, its
    limits, and what it says to a file, where it was given one."""
    client = KataClient(kata, f"{kata.node}.check.0")
    try:
        state = await _in_time(client.states(url))
        now = time.time()
        if state.answer is not Answer.OK:
            return state, now, state, None
        limit = asyncio.create_task(_in_time(client.max_object_size(url)))
        trial = await try_file(client, url) if gives_file else None
        return state, now, await limit, trial
    finally:
        await client.close()


async def _in_time(call: Awaitable[CallResult]) -> CallResult:
    try:
        async with asyncio.timeout(_CALL):
            return await call
    except TimeoutError:
        return CallResult(Answer.UNREACHABLE, f"no answer within {_CALL:.0f} s")


def _accepted(url: str, kata: KataSettings, result: CallResult) -> Line:
    if result.answer is Answer.OK:
        return ok(_AREA, f"{url} accepts this system (sensorId {kata.sensor_id})")
    if result.answer is Answer.BUSY:
        sentence = f"{url} accepts this system, but says that it is busy: {result.detail}"
        return warning(_AREA, sentence, "see KATA's load; files wait meanwhile")
    if result.answer is Answer.NOT_ACCEPTED:
        raise _fault(
            f"{url} does not accept this system (sensorId {kata.sensor_id}, certificate "
            f"sha256:{fingerprint(kata.client_cert)})",
            "in KATA's web interface: External systems > Server list > Accept",
        )
    sentence = f"{url} does not answer as KATA's scan API does: {result.detail}"
    raise _fault(sentence, _LOOK)


def judge_clock(url: str, date: float | None, now: float) -> Line:
    """This machine's clock against KATA's; both seconds since the epoch. Pure."""
    if date is None:
        return skipped("clock", f"{url} names no time, so clocks cannot be compared")
    apart = now - date
    if abs(apart) <= _CLOCK_WARNS:
        return ok("clock", f"this machine's clock agrees with that of {url}")
    ahead = "ahead of" if apart > 0 else "behind"
    sentence = f"this machine's clock is {time_words(apart)} {ahead} that of {url}"
    advice = "have both set by NTP (timedatectl set-ntp true)"
    if abs(apart) <= _CLOCK_FAILS:
        return warning("clock", sentence, advice)
    return failed("clock", sentence, advice)


def judge_limit(url: str, ours: int, result: CallResult) -> Line:
    """`ours`: kata.max_object_size. Pure."""
    size = result.max_object_size
    if result.answer is not Answer.OK or size is None or size < _LEAST_LIMIT:
        why = f"says {size}" if size is not None else f"does not say ({result.detail})"
        sentence = f"how large objects {url} takes is not known: it {why}"
        return warning("limits", sentence, "compare kata.max_object_size with KATA's settings")
    if size < ours:
        return warning(
            "limits",
            f"{url} takes objects of up to {size_words(size)}, and kata.max_object_size is "
            f"{size_words(ours)}: larger ones are oversize",
            "lower kata.max_object_size, or raise KATA's limit",
        )
    return ok("limits", f"{url} takes objects of up to {size_words(size)}")


def _fault(sentence: str, advice: str, area: str = _AREA) -> _FaultError:
    return _FaultError(failed(area, sentence, advice))


def _host(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 443


def _place(url: str) -> str:
    host, port = _host(url)
    return f"{host}, port {port}"
