"""Which proxies have asked in the last hour, which keep bodies to themselves or are refused."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.commands.checking.line import Line, ok, skipped, warning
from bridge.commands.checking.pages import Page
from bridge.commands.checking.refusals import describe_refusals
from bridge.commands.words import clock_words
from bridge.core import HISTORY, Settings, tail_lines

CHECKER = "kata-bridge check"  # the user of our own requests: `icapd.selftest`
_AREA = "proxies"
_HOUR = 3600.0
_WINDOW = 16 << 20  # bytes of the log, some 30,000 cases
_SEEN_LATE = 15.0  # seconds from a request until a daemon that is seldom asked sees that it was
_MOST = 20
_NONE = "let the proxy send requests here, and list its address in icap.allow_from"
_WITHHELD = "its largest message size for ICAP must not be 0 (UserGate's default)"


@dataclass(slots=True)
class Proxy:
    """What was seen of one proxy; `last` (epoch) is its last request."""

    address: str
    requests: int = 0
    last: float = 0.0
    withheld: int = 0


def look_at_proxies(settings: Settings, page: Page, *, runs: bool | None) -> Iterator[Line]:
    """By the daemon's own word before the self-test, else by the log. Blocks: disk.

    `runs`: whether icapd does, by the self-test; None: it was not asked.
    """
    now, log = time.time(), settings.logs.dir / HISTORY
    told = by_status(page.told) if page.lives else None
    if told is not None:
        yield from describe_refusals(page.told, settings.icap, now - _HOUR)
    try:
        if told is None:
            seen = by_log(tail_lines(log, _WINDOW), now - _HOUR)
        else:
            seen = _others(told, log, page, now)
    except OSError as error:
        # that none has asked needs no log; of others it would say which are our own self-test
        if told is None or _recent(told, now):
            yield skipped(_AREA, f"the log cannot be read: {error.strerror or error}")
            return
        seen = []
    where = "" if told is not None else f" (by the end of {HISTORY})"
    recent = _recent(seen, now)
    is_away = runs is False or (runs is None and page.is_away)
    if not recent and told is None and is_away:
        yield skipped(_AREA, f"none has asked in the last hour{where}: icapd does not run")
        return
    yield from describe(recent, where)


def _recent(proxies: Iterable[Proxy], now: float) -> list[Proxy]:
    return [proxy for proxy in proxies if proxy.last >= now - _HOUR]


def _others(told: list[Proxy], log: Path, page: Page, now: float) -> list[Proxy]:
    asked = _epoch(page.told.get("now"), now)  # what we have asked since, the daemon did not tell
    started, mark = _epoch(page.told.get("started"), 0.0), CHECKER.encode()
    lines = (line for line in tail_lines(log, _WINDOW) if mark in line)
    own = by_log(lines, started, until=asked, own=True)
    if not own:
        return told
    return without_own(told, own, by_log(tail_lines(log, _WINDOW), now - _HOUR))


def _epoch(told: object, otherwise: float) -> float:
    return float(told) if isinstance(told, int | float) else otherwise


def describe(proxies: list[Proxy], where: str = "") -> Iterator[Line]:
    """Those of the last hour; `where`: how that is known. Pure."""
    for proxy in sorted(proxies, key=lambda each: -each.last)[:_MOST]:
        name, last = proxy.address, clock_words(proxy.last)
        if proxy.withheld:
            sentence = f"{name} withholds bodies: {proxy.withheld} of {proxy.requests} requests"
            yield warning(_AREA, f"{sentence}, the last on {last}{where}", _WITHHELD)
        else:
            yield ok(_AREA, f"{name}: {proxy.requests} requests, the last on {last}{where}")
    if len(proxies) > _MOST:
        yield ok(_AREA, f"{len(proxies) - _MOST} more")
    if not proxies:
        yield warning(_AREA, f"none has asked in the last hour{where}", _NONE)


def by_log(
    lines: Iterable[bytes], since: float, *, until: float = math.inf, own: bool = False
) -> list[Proxy]:
    """From lines of the history in a time (epoch); what is no record is left out. Pure.

    `own`: what our self-tests have asked, instead of what all others have.
    """
    found: dict[str, Proxy] = {}
    for line in lines:
        record = _record(line)
        context = record.get("context")
        if not isinstance(context, dict) or (context.get("user") == CHECKER) is not own:
            continue
        address, moment = context.get("proxy"), _moment(record.get("time"))
        if not isinstance(address, str) or not since <= moment <= until:
            continue
        proxy = found.setdefault(address, Proxy(address))
        proxy.requests += 1
        proxy.last = max(proxy.last, moment)
        proxy.withheld += record.get("rule") == "withheld"
    return list(found.values())


def without_own(told: list[Proxy], own: list[Proxy], others: list[Proxy]) -> list[Proxy]:
    """What a daemon tells, less what our self-tests have asked of it (`own`). Pure.

    `others`: what the history has of the rest. A request without a body is in none, so where it has
    nothing, the last request counts if it is none of ours.
    """
    ours = {proxy.address: proxy for proxy in own}
    logged = {proxy.address: proxy for proxy in others}
    found = []
    for proxy in told:
        mine, rest = ours.get(proxy.address), logged.get(proxy.address)
        if mine is None:
            found.append(proxy)
            continue
        left = proxy.requests - mine.requests
        if rest is not None:
            found.append(replace(proxy, requests=max(left, rest.requests), last=rest.last))
        elif left > 0 and proxy.last > mine.last + _SEEN_LATE:
            found.append(replace(proxy, requests=left))
    return found


def by_status(told: Mapping[str, Any]) -> list[Proxy] | None:
    """From what /api/live tells; None where it is not what that tells. Pure."""
    try:
        return [_proxy(entry) for entry in told["proxies"]]
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
        return None


def _proxy(entry: dict[str, Any]) -> Proxy:
    last = entry.get("request") or 0.0
    return Proxy(
        str(entry["address"]), int(entry["requests"]), float(last), int(entry.get("withheld") or 0)
    )


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _moment(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError):
        return 0.0
