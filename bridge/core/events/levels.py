"""How the parts of a core are now, as outages know it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bridge.core.bypass import Bypass, local_time
from bridge.core.events import Events
from bridge.core.events.line import OutageKind, Subject
from bridge.core.events.settle import Ends, Levels
from bridge.core.health import KataHealth, KataState
from bridge.core.model import Door
from bridge.core.process import Descriptors, descriptors
from bridge.core.records import Receiver, Records
from bridge.core.settings import Settings
from bridge.core.spool import Spool
from bridge.core.verdicts import VerdictFront
from bridge.core.verdicts.redis_url import connection_arguments

# all that is said of them is said here
KINDS = (
    OutageKind.KATA_UNREACHABLE,
    OutageKind.KATA_NOT_ACCEPTED,
    OutageKind.DISK_FULL,
    OutageKind.OUT_OF_DESCRIPTORS,
    OutageKind.SYSLOG_AWAY,
    OutageKind.WEBHOOK_AWAY,
    OutageKind.STORE_FAILING,
    OutageKind.BYPASS_ON,
)
_OF_KATA = {
    KataState.UNREACHABLE: OutageKind.KATA_UNREACHABLE,
    KataState.NOT_ACCEPTED: OutageKind.KATA_NOT_ACCEPTED,
}


class State(NamedTuple):
    """What the parts say of themselves. Reasons: empty where all is well, None: not known yet."""

    kata: Mapping[str, tuple[KataState, str]]  # by Central Node, with the reason
    full: Mapping[Path, str]  # logs, and the spool, that take nothing
    collector: Receiver | None
    webhook: Receiver | None
    store: Receiver
    bypass_until: float | None  # epoch
    door: Door
    instance: str
    descriptors: Descriptors | None


def levels(state: State) -> dict[Subject, str | None]:
    """What is out, and why; None for what is not known yet. Pure."""
    found: dict[Subject, str | None] = {}
    for url, (kata, reason) in state.kata.items():
        if kata is KataState.UNKNOWN:
            found |= {Subject(kind, url): None for kind in _OF_KATA.values()}
        elif kata in _OF_KATA:
            found[Subject(_OF_KATA[kata], url)] = reason
    for path, reason in state.full.items():
        found[Subject(OutageKind.DISK_FULL, str(path))] = reason
    if state.descriptors is not None and state.descriptors.none_left:
        reason = f"all {state.descriptors.limit} that it may have are in use (LimitNOFILE)"
        found[Subject(OutageKind.OUT_OF_DESCRIPTORS, state.instance)] = reason
    for kind, receiver in (
        (OutageKind.SYSLOG_AWAY, state.collector),
        (OutageKind.WEBHOOK_AWAY, state.webhook),
        (OutageKind.STORE_FAILING, state.store),
    ):
        if receiver is not None and receiver.away != "":
            found[Subject(kind, receiver.name)] = receiver.away
    if state.bypass_until is not None:
        until = f"everything passes unjudged until {local_time(state.bypass_until)}"
        found[Subject(OutageKind.BYPASS_ON, state.door.value)] = until
    return found


class Parts(NamedTuple):
    """The parts of a core that are looked at."""

    door: Door
    health: KataHealth
    records: Records
    spool: Spool
    verdicts: VerdictFront
    bypass: Bypass


class PartsWatch:
    """Tells `events` of all parts."""

    def __init__(self, events: Events, parts: Parts, settings: Settings, instance: str) -> None:
        """`instance`: the name of this process."""
        self.parts = parts
        self.has_descriptors = True  # as far as the last look knows
        self._events = events
        self._instance = instance
        self._spool_dir = settings.spool.dir
        self._store = store_name(settings.verdicts.store)

    def look(self) -> None:
        """Look at all of them, and write what has changed. Blocks: disk."""
        self._events.look(KINDS, self._levels(), self._ended())
        self._events.write()

    def _ended(self) -> Ends:
        at = self.parts.bypass.ended(self.parts.door)
        return {} if at is None else {Subject(OutageKind.BYPASS_ON, self.parts.door.value): at}

    def _levels(self) -> Levels:
        door, health, records, spool, verdicts, bypass = self.parts
        now = descriptors()
        self.has_descriptors = now is None or not now.none_left
        full = records.troubles
        if (own := self._events.trouble) is not None:
            full[own[0]] = own[1]
        if why := spool.why_full():
            full[self._spool_dir] = why
        return levels(
            State(
                health.nodes(),
                full,
                records.collector,
                records.webhook,
                Receiver(self._store, verdicts.trouble),
                bypass.until(door),
                door,
                self._instance,
                now,
            )
        )


def store_name(url: str) -> str:
    """The verdict store without its password: a path, or the URL of a redis."""
    scheme, _, path = url.partition("://")
    return path if scheme == "sqlite" else connection_arguments(url)[0]
