"""What KATA's alerts say of a detection: the threat's name, technology and importance.

A state carries none of it, and alerts carry no scanId: they are joined by hash (help page 181506).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

from bridge.core.journal import Journal
from bridge.core.kata.wire import Alert, Answer, CallResult

_log = logging.getLogger(__name__)

LOOKS = (0.0, 0.5, 0.5, 1.0, 1.0)  # seconds before each look for an alert that is waited for
FIND_SECONDS = 4.0  # for all looks together, however slow KATA is
_REMEMBERED = 10_000
_MAX_PAGES = 100  # of a history that is read for the first time


class AlertCall(Protocol):
    """What is needed of the client."""

    async def alerts(self, central_node: str, token: str | None) -> CallResult:
        """What was detected since the token."""


class AlertBook:
    """The alerts of all Central Nodes, read on from where an earlier look ended."""

    def __init__(self, client: AlertCall, central_nodes: Sequence[str], journal: Journal) -> None:
        self._client = client
        self._nodes = central_nodes
        self._journal = journal
        self._found: OrderedDict[str, Alert] = OrderedDict()
        self._tokens: dict[str, str | None] = {}
        self._looking = asyncio.Lock()
        self._looks = 0
        self._failing: set[str] = set()

    async def find(self, sha256: str, md5: str | None) -> Alert | None:
        """What KATA says of these bytes; None where it says nothing within a few seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIND_SECONDS):
                for pause in LOOKS:
                    if self._of(sha256, md5) is None:
                        await asyncio.sleep(pause)
                        await self._look()
        return self._of(sha256, md5)

    def _of(self, sha256: str, md5: str | None) -> Alert | None:
        return self._found.get(sha256) or self._found.get(md5 or "")

    async def _look(self) -> None:
        """Read what is new; who comes while another looks has the benefit of that look's next."""
        asked = self._looks
        async with self._looking:
            if self._looks > asked:  # one that began after we came
                return
            self._looks += 1
            await asyncio.gather(*(self._read(node) for node in self._nodes))

    async def _read(self, node: str) -> None:
        if node not in self._tokens:
            self._tokens[node] = await self._journal.token(node)
        before = self._tokens[node]
        for _ in range(_MAX_PAGES):
            result = await self._client.alerts(node, self._tokens[node])
            self._note(node, result)
            page = result.alerts
            if page is None:
                break
            for alert in page.alerts:
                self._remember(alert)
            moved = page.token is not None and page.token != self._tokens[node]
            if moved:
                self._tokens[node] = page.token
            if not page.read or not moved:
                break
        token = self._tokens[node]
        if token is not None and token != before:
            await self._journal.set_token(node, token)

    def _remember(self, alert: Alert) -> None:
        for key in (alert.sha256, alert.md5):
            if key is not None:
                self._found[key] = alert
                self._found.move_to_end(key)
        while len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)

    def _note(self, node: str, result: CallResult) -> None:
        if result.answer is Answer.OK:
            if node in self._failing:
                _log.warning("KATA gives alerts again: %s", node)
            self._failing.discard(node)
        elif node not in self._failing:
            _log.warning("KATA gives no alerts: %s: %s; threats have no name", node, result.detail)
            self._failing.add(node)
