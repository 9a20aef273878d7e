"""Which proxies are connected, what they asked last, and who is refused: for the status page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from bridge.core import printable

_MOST = 1000  # remembered; those that went first are forgotten
_MOST_STRANGERS = 100  # who were only refused, beside them: a flood of these hides no proxy
_LONGEST_PATH = 100
_LONGEST_WHY = 200


@dataclass(frozen=True, slots=True)
class Refused:
    """A request, or a connection, that was refused. `time`: epoch seconds; `status` 0: there was no
    ICAP yet; `asked`: the path that is no service here. Texts are printable."""

    time: float
    status: int
    why: str
    asked: str


@dataclass(slots=True)
class Proxy:
    """One proxy, by its address. Moments are epoch seconds; None: never.

    `requests` counts REQMOD and RESPMOD; `withheld` those whose body it kept for itself; `refused`
    what was, of which `refusal` is the last.
    """

    address: str
    connections: int = 0
    requests: int = 0
    options: float | None = None
    request: float | None = None
    withheld: int = 0
    refused: int = 0
    refusal: Refused | None = None
    _seen: int = 0

    def asked_options(self) -> None:
        """It asked what is served here."""
        self.options = time.time()

    def refuse(self, status: int, why: str, asked: str = "") -> None:
        """It was refused; see `Refused`."""
        self.refused += 1
        self.refusal = Refused(
            time.time(), status, printable(why[:_LONGEST_WHY]), printable(asked[:_LONGEST_PATH])
        )

    def look(self, now: float) -> None:
        """See whether it asked anything since the last look: cheaper than a time for each."""
        if self.requests != self._seen:
            self._seen, self.request = self.requests, now

    def as_fact(self) -> dict[str, object]:
        """As JSON can hold it."""
        names = ("address", "connections", "requests", "options", "request", "withheld", "refused")
        last = asdict(self.refusal) if self.refusal is not None else None
        return {name: getattr(self, name) for name in names} | {"refusal": last}


class Proxies:
    """All that were here lately."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._known: dict[str, Proxy] = {}
        self._strangers: dict[str, Proxy] = {}

    def enter(self, address: str) -> Proxy:
        """A connection begins."""
        known = self._known.pop(address, None) or self._strangers.pop(address, None)
        proxy = self._known[address] = known or Proxy(address)
        proxy.connections += 1
        if len(self._known) > _MOST:
            self._forget(each for each in self._known.values() if not each.connections)
        return proxy

    def refuse(self, address: str, status: int, why: str) -> None:
        """A connection is refused; see `Refused`."""
        proxy = self._known.get(address)
        if proxy is None:
            proxy = self._strangers.pop(address, None) or Proxy(address)
            self._strangers[address] = proxy
            if len(self._strangers) > _MOST_STRANGERS:
                del self._strangers[next(iter(self._strangers))]
        proxy.refuse(status, why)

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
        return [each.as_fact() for each in (*self._known.values(), *self._strangers.values())]
