"""Which proxies are connected, and what they asked last: for the status page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_MOST = 1000  # remembered; those that went first are forgotten


@dataclass(slots=True)
class Proxy:
    """One proxy, by its address. Moments are epoch seconds; None: never.

    `requests` counts REQMOD and RESPMOD; `withheld` those whose body it kept for itself.
    """

    address: str
    connections: int = 0
    requests: int = 0
    options: float | None = None
    request: float | None = None
    withheld: int = 0
    _seen: int = 0

    def asked_options(self) -> None:
        """It asked what is served here."""
        self.options = time.time()

    def look(self, now: float) -> None:
        """See whether it asked anything since the last look: cheaper than a time for each."""
        if self.requests != self._seen:
            self._seen, self.request = self.requests, now

    def as_fact(self) -> dict[str, object]:
        """As JSON can hold it."""
        names = ("address", "connections", "requests", "options", "request", "withheld")
        return {name: getattr(self, name) for name in names}


class Proxies:
    """All that were here lately."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._known: dict[str, Proxy] = {}

    def enter(self, address: str) -> Proxy:
        """A connection begins."""
        proxy = self._known.pop(address, None) or Proxy(address)
        self._known[address] = proxy
        proxy.connections += 1
        if len(self._known) > _MOST:
            self._forget(each for each in self._known.values() if not each.connections)
        return proxy

    def _forget(self, several: Iterable[Proxy]) -> None:
        first = next(iter(several), None)
        if first is not None:
            del self._known[first.address]

    def leave(self, proxy: Proxy) -> None:
        """A connection has ended."""
        proxy.connections -= 1

    def facts(self) -> list[dict[str, object]]:
        """Each, as JSON can hold it."""
        now = self._clock()
        for proxy in self._known.values():
            proxy.look(now)
        return [proxy.as_fact() for proxy in self._known.values()]
