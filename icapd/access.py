"""Who may connect, and how many at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from bridge.core import IcapSettings
from icapd.complaints import Complaints
from icapd.service import Refusal

_MAX_TOLD = 100  # strangers, and proxies beyond a limit, who are told why; more are cut


class Reason(StrEnum):
    """Why a connection is refused: the label of its metric."""

    ADDRESS = "address"
    CONNECTIONS = "connections"
    CLIENT_CONNECTIONS = "client_connections"
    HANDSHAKE = "handshake"


class NoEntry(Refusal):
    """A connection that is refused, whatever it asks for."""

    def __init__(self, status: int, sentence: str, reason: Reason) -> None:
        super().__init__(status, sentence)
        self.reason = reason

    @property
    def of_stranger(self) -> bool:
        """Whether the peer may not connect at all."""
        return self.reason is Reason.ADDRESS


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A connection that is open; with a `refusal` it only waits to be told."""

    peer: str
    refusal: NoEntry | None


class Access:
    """Counts who is here.

    `count` is told the reason of each refusal; `note` who was refused, an ICAP status (0: there
    was no ICAP yet), and why.
    """

    def __init__(
        self,
        settings: IcapSettings,
        complaints: Complaints,
        count: Callable[[Reason], None],
        note: Callable[[str, int, str], None],
    ) -> None:
        self.use(settings)
        self._complaints = complaints
        self.count = count
        self.note = note
        self._served: Counter[str] = Counter()
        self.served = 0  # connections, refused ones not among them
        self._told = {True: 0, False: 0}  # strangers or not

    def use(self, settings: IcapSettings) -> None:
        """Let in by these from now on; who is here stays."""
        self._allow_from = settings.allow_from
        self._most = settings.max_connections_of_worker
        self._most_per_client = settings.max_connections_per_client_of_worker

    def enter(self, peer: str) -> Entry | None:
        """A new connection of `peer`; `leave` must follow. None: it is cut without a word."""
        refusal = self._refusal(peer)
        if refusal is None:
            self._served[peer] += 1
            self.served += 1
            return Entry(peer, None)
        self.count(refusal.reason)
        self.note(peer, refusal.status, str(refusal))
        sentence = f"refused: {refusal}"
        if refusal.of_stranger:
            self._complaints.say_of_stranger(peer, sentence)
        else:
            self._complaints.say(peer, sentence)
        if self._told[refusal.of_stranger] >= _MAX_TOLD:
            return None
        self._told[refusal.of_stranger] += 1
        return Entry(peer, refusal)

    def leave(self, entry: Entry) -> None:
        """A connection has ended."""
        if entry.refusal is not None:
            self._told[entry.refusal.of_stranger] -= 1
            return
        self.served -= 1
        self._served[entry.peer] -= 1
        if not self._served[entry.peer]:
            del self._served[entry.peer]

    def _refusal(self, peer: str) -> NoEntry | None:
        try:
            address = ip_address(peer)
        except ValueError:
            return NoEntry(403, "the peer's address is unknown", Reason.ADDRESS)
        if not any(address in network for network in self._allow_from):
            return NoEntry(403, "its address is not in icap.allow_from", Reason.ADDRESS)
        if self.served >= self._most:
            return NoEntry(503, "icap.max_connections is reached", Reason.CONNECTIONS)
        most = self._most_per_client
        if most is not None and self._served[peer] >= most:
            sentence = "icap.max_connections_per_client is reached"
            return NoEntry(503, sentence, Reason.CLIENT_CONNECTIONS)
        return None
