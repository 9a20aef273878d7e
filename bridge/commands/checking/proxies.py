"""Which proxies have asked in the last hour, and which keep bodies to themselves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.commands.checking.line import Line, ok, skipped, warning
from bridge.commands.checking.words import clock_words
from bridge.core import HISTORY, Settings, tail_lines
from bridge.status import ask

CHECKER = "kata-bridge check"  # the user of our own requests: `icapd.selftest`
_AREA = "proxies"
_HOUR = 3600.0
_WINDOW = 16 << 20  # bytes of the log, some 30,000 cases
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


def look_at_proxies(settings: Settings, *, runs: bool) -> Iterator[Line]:
    """By the daemon's own word where it `runs`, else by the log. Blocks: network, disk."""
    now = time.time()
    try:
        seen = _by_daemon(settings) if runs else None
        where = "" if seen is not None else f" (by the end of {HISTORY})"
        if seen is None:
            seen = by_log(tail_lines(settings.logs.dir / HISTORY, _WINDOW), now - _HOUR)
    except OSError as error:
        yield skipped(_AREA, f"the log cannot be read: {error.strerror or error}")
        return
    recent = [proxy for proxy in seen if proxy.last >= now - _HOUR]
    if not recent and not runs:
        yield skipped(_AREA, f"none has asked in the last hour{where}: icapd does not answer")
        return
    yield from describe(recent, where)


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


def by_log(lines: Iterable[bytes], since: float) -> list[Proxy]:
    """From lines of the history since a time (epoch); what is no record is left out. Pure."""
    found: dict[str, Proxy] = {}
    for line in lines:
        record = _record(line)
        context = record.get("context")
        if not isinstance(context, dict) or context.get("user") == CHECKER:
            continue
        address, moment = context.get("proxy"), _moment(record.get("time"))
        if not isinstance(address, str) or moment < since:
            continue
        proxy = found.setdefault(address, Proxy(address))
        proxy.requests += 1
        proxy.last = max(proxy.last, moment)
        proxy.withheld += record.get("rule") == "withheld"
    return list(found.values())


def by_status(answer: bytes) -> list[Proxy] | None:
    """From /api/live; None where it is not what that answers. Pure."""
    try:
        entries = json.loads(answer)["proxies"]
        return [_proxy(entry) for entry in entries]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _by_daemon(settings: Settings) -> list[Proxy] | None:
    if settings.status.icapd is None or not settings.status.icapd.port:
        return None
    try:
        return by_status(ask(settings.status.icapd, "/api/live"))
    except OSError:
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
