"""The status pages of this configuration: who answers there, and what a daemon tells of itself.

They are asked once, at the beginning: what is told later would have our own self-test in it.
"""

from __future__ import annotations

import errno
import json
import math
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from bridge.commands.checking.line import Line, failed, ok, skipped, warning
from bridge.commands.checking.running import TooSlowError, begin, result_within
from bridge.core import Address, Settings, bind, cannot_listen
from bridge.status import ask

SECONDS = 10.0
_CONNECT = 3.0
_AREA = "status"
_PROGRAMS = {"icapd": "icapd", "watch": "kata-bridge watch"}
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to, not to listen on
_ADDRESS = (
    "correct it, or leave it out (null); a port below 1024 takes a right (docs/install.md): if {} "
    "has that, see its log"
)
_HELD = "{} does not start while another program has it: see `ss -ltnp`, or change status.{}"


class By(Enum):
    """Who answers."""

    DAEMON = auto()
    NOBODY = auto()  # no program listens
    NOWHERE = auto()  # none listens, and none could: the address cannot be had
    STRANGER = auto()  # what answers is no page of this daemon, or nothing comes
    UNASKED = auto()  # there is no such page, or its port is not known


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `told`: its /api/live, `why`: what a stranger answers, or is in the way."""

    program: str
    address: Address | None
    by: By
    told: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def lives(self) -> bool:
        """Whether the daemon itself has told it, now."""
        return self.by is By.DAEMON and self.told.get("live") is True

    @property
    def who(self) -> str:
        """Its program, for people."""
        return _PROGRAMS[self.program]

    def is_ready(self, part: str) -> bool | None:
        """What its /ready says of a part (`kata`, `store`, `spool`, `descriptors`); None where it
        does not."""
        ready = self.told.get("ready")
        value = ready.get(part) if isinstance(ready, dict) else None
        return value if isinstance(value, bool) else None

    @property
    def node_states(self) -> set[str]:
        """What it knows of the Central Nodes."""
        nodes = self.told.get("kata")
        entries = nodes if isinstance(nodes, list) else []
        return {str(each.get("state")) for each in entries if isinstance(each, dict)}

    @property
    def is_away(self) -> bool:
        """Whether no daemon with this page runs."""
        return self.by in (By.NOBODY, By.NOWHERE)

    def figure(self, name: str) -> int:
        """One of its figures; 0 where it is not told."""
        figures = self.told.get("figures")
        value = figures.get(name) if isinstance(figures, dict) else None
        return int(value) if isinstance(value, int | float) and math.isfinite(value) else 0


class Pages:
    """All of them, asked at the same time."""

    def __init__(self, settings: Settings) -> None:
        """Begins to ask."""
        where = {"icapd": settings.status.icapd}
        if settings.folders:
            where["watch"] = settings.status.watch
        node = settings.kata.node
        self._end = time.monotonic() + SECONDS
        self._begun: dict[str, tuple[Address | None, Future[Page]]] = {
            program: (address, begin(ask_page, program, address, node))
            for program, address in where.items()
        }

    def of(self, program: str) -> Page:
        """`icapd` or `watch`. Blocks, for `SECONDS` from the beginning at most."""
        address, future = self._begun[program]
        try:
            return result_within(self._end - time.monotonic(), future)
        except TooSlowError:
            return Page(program, address, By.STRANGER, why="it does not answer")

    def all(self) -> list[Page]:
        """Those of the daemons that are to run here. Blocks likewise."""
        return [self.of(program) for program in self._begun]


def ask_page(program: str, address: Address | None, node: str) -> Page:
    """Who answers at the page of a program of this node. Blocks: network."""
    if address is None or not address.port:
        return Page(program, address, By.UNASKED)
    fault = _bind_fault(address)
    # whoever answers at the address of another machine is another daemon
    if fault is not None and fault.errno == errno.EADDRNOTAVAIL:
        return _nobody(program, address, fault)
    host = _ANY.get(address.host, address.host)
    try:
        socket.create_connection((host, address.port), _CONNECT).close()
    except ConnectionRefusedError:
        return _nobody(program, address, fault)
    except OSError as error:
        return Page(program, address, By.STRANGER, why=error.strerror or str(error))
    try:
        return judge_answer(program, address, node, ask(address, "/api/live"))
    except OSError as error:
        return Page(program, address, By.STRANGER, why=str(error))


def _bind_fault(address: Address) -> OSError | None:
    """Why the address cannot be had now; it is let go of at once."""
    try:
        bind(address).close()
    except OSError as error:
        return error
    return None


def _nobody(program: str, address: Address, fault: OSError | None) -> Page:
    if fault is None:
        return Page(program, address, By.NOBODY)
    why = str(cannot_listen(address, f"status.{program}", fault)).rstrip(".")
    return Page(program, address, By.NOWHERE, why=why)


def judge_answer(program: str, address: Address, node: str, answer: bytes) -> Page:
    """Whose answer it is. Pure."""
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("program"), str):
        return Page(program, address, By.STRANGER, why="what answers there is no status page")
    if (told["program"], told.get("node")) != (program, node):
        who = f"{_PROGRAMS.get(told['program'], told['program'])} of node {told.get('node')}"
        return Page(program, address, By.STRANGER, why=f"it is the status page of {who}")
    return Page(program, address, By.DAEMON, told)


def look_at_pages(settings: Settings, pages: Pages) -> Iterator[Line]:
    """A port that another program holds keeps a daemon from starting. Blocks: network."""
    has_icap = not settings.folders or "icap" in settings.model_fields_set
    for page in pages.all():
        # `watch --once`, by cron, has no page, and needs no port
        yield from judge_page(page, needed=has_icap and page.program == "icapd")


def judge_page(page: Page, *, needed: bool) -> Iterator[Line]:
    """Nothing of a page that is not to be. `needed`: whether its daemon must run here. Pure."""
    where, who = f"{page.address} (status.{page.program})", page.who
    bad = failed if needed else warning
    if page.by is By.NOWHERE:
        yield bad(_AREA, f"{who} {page.why}", _ADDRESS.format(who))
    elif page.by is By.STRANGER:
        sentence = f"{where} takes connections, but not as this {who} does: {page.why}"
        yield bad(_AREA, sentence, _HELD.format(who, page.program))
    elif page.by is By.NOBODY:
        yield skipped(_AREA, f"nobody listens on {where}: no {who} with this page runs")
    elif page.by is By.DAEMON and not page.lives:
        sentence = f"{who} does not respond, says its status page at {where}"
        yield failed(_AREA, sentence, "see its log and its CPU time, and restart it")
    elif page.by is By.DAEMON:
        yield ok(_AREA, f"{who} answers at {where}")
