"""What running daemons cannot do, by their own word: /ready, and the outages that last.

They know what no look from outside shows: a quota, a disk that fails, another certificate.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bridge.commands.checking.line import Line, failed, warning
from bridge.commands.checking.outages import known_outages
from bridge.commands.checking.pages import Page, Pages
from bridge.commands.words import clock_words, time_words
from bridge.core import Outage, OutageKind, Settings

_DISK = "see its disk: room, inodes (`df -i`), quota, rights, and what the kernel says of it"
_MORE = "its /ready says no more"
_BY_LOG = "by log-events.log a daemon"


class _Part(NamedTuple):
    area: str
    cannot: str
    advice: str


_PARTS = {  # by their names in /ready
    "spool": _Part("spool", "has no room for bodies in spool.dir", _DISK),
    "store": _Part("verdicts", "cannot use verdicts.store", f"{_DISK}; or see the redis"),
    "kata": _Part(
        "kata",
        "knows no Central Node that takes its files",
        "see its log; it reads a new certificate, or another trust, by SIGHUP",
    ),
    "descriptors": _Part(
        "descriptors",
        "has no descriptor left, and cuts new connections",
        "raise LimitNOFILE of its service, or lower icap.max_connections",
    ),
}
_WHOLE: dict[str, str] = {
    OutageKind.STORE_FAILING: "store",
    OutageKind.OUT_OF_DESCRIPTORS: "descriptors",
}
AREAS = frozenset(part.area for part in _PARTS.values())


def look_at_readiness(settings: Settings, pages: Pages) -> Iterator[Line]:
    """A line for each part that a daemon cannot do without, and has not. Blocks: network, disk."""
    now, asked = time.time(), pages.all()
    try:
        known = known_outages(settings, asked, now)
    except OSError:  # which the look at outages says
        known = []
    yield from judge_readiness(settings, asked, [each for each in known if each.end is None], now)


def judge_readiness(
    settings: Settings, asked: Sequence[Page], lasting: Iterable[Outage], now: float
) -> Iterator[Line]:
    """By the pages that live, and for daemons that cannot be asked by what lasts. Pure."""
    about: dict[str, list[Outage]] = {name: [] for name in _PARTS}
    for outage in (each for each in lasting if _is_of(each, settings)):
        about.setdefault(part_of(outage, settings), []).append(outage)
    unheard = any(not page.lives and not page.is_away for page in asked)
    for name, part in _PARTS.items():
        why = "; ".join(_words(each, now) for each in about[name])
        unready = [page for page in asked if page.lives and page.is_ready(name) is False]
        for page in unready:
            yield _line(page, part, why)
        if unheard and not unready and _is_out(name, about[name], settings):
            yield failed(part.area, f"{_BY_LOG} {part.cannot}: {why}", part.advice)


def _is_of(outage: Outage, settings: Settings) -> bool:
    """Whether it is of this node: other installations may write to the same logs.dir."""
    return any(each.startswith(f"{settings.kata.node}.") for each in outage.instances)


def part_of(outage: Outage, settings: Settings) -> str:
    """Which part of /ready an outage is about; empty for others. Pure."""
    if outage.kind == OutageKind.DISK_FULL:
        # else a log; a daemon may have been given another way to the same folder
        return "spool" if Path(outage.subject).name == settings.spool.dir.name else ""
    if outage.kind in (OutageKind.KATA_UNREACHABLE, OutageKind.KATA_NOT_ACCEPTED):
        return "kata"
    return _WHOLE.get(outage.kind, "")


def _is_out(name: str, lasting: Sequence[Outage], settings: Settings) -> bool:
    """One Central Node that takes files is enough."""
    if name == "kata":
        return {each.subject for each in lasting} >= set(settings.kata.urls)
    return bool(lasting)


def _line(page: Page, part: _Part, why: str) -> Line:
    if part.area == "kata" and page.node_states == {"unknown"}:
        sentence = f"{page.who} has no answer of KATA yet"
        return warning(part.area, sentence, "it was just started; look again in a minute")
    return failed(part.area, f"{page.who} {part.cannot}: {why or _MORE}", part.advice)


def _words(outage: Outage, now: float) -> str:
    lasts = f"{outage.subject}, since {clock_words(outage.begin)}"
    words = f"{lasts} ({time_words(now - outage.begin)})"
    return f"{words}: {outage.detail}" if outage.detail else words
