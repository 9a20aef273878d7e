"""What "flat" means: pure, from what was measured in the second half."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.soak.measure import Held, Kept

# Memory: the allocator keeps what a burst needed, so a few MiB come and go. A verdict that was
# learnt stays in memory until there are 100,000 of them.
_SLACK_KIB = 4096
_LEARNT_KIB = 2
# Threads of pools come when they are first needed: those that a busier moment needed.
_THREADS = 4
_CONNECTIONS = 16
_LOG_PER_REQUEST = 4096


@dataclass(frozen=True, slots=True)
class Life:
    """One process, from the start of the second half to its end.

    `rest_before`, `rest_after`: with no load; `samples`: under load; `learnt`: how many contents
    were new in a third of it.
    """

    rest_before: Held
    samples: Sequence[Held]
    rest_after: Held
    learnt: int

    def third(self, number: int) -> Sequence[Held]:
        """The samples of the first, second or last third (0, 1, 2)."""
        size = max(1, len(self.samples) // 3)
        return self.samples[number * size : (number + 1) * size] or self.samples[-1:]

    def resident_kib(self, number: int) -> float:
        """The median of memory in a third."""
        return median(held.resident_kib for held in self.third(number))


@dataclass(frozen=True, slots=True)
class Disk:
    """What lay on disk at rest, before and after `requests`."""

    before: Kept
    after: Kept
    requests: int


def growth(lives: Mapping[str, Life], disk: Disk) -> list[str]:
    """A sentence for each thing that grew; empty where all is flat."""
    found = [sentence for name, life in lives.items() for sentence in _of_life(name, life)]
    return found + list(_of_disk(disk))


def _of_life(name: str, life: Life) -> Iterator[str]:
    before, after = life.rest_before, life.rest_after
    if after.descriptors > before.descriptors:
        yield f"{name} holds {after.descriptors} descriptors at rest, and had {before.descriptors}."
    if after.connections > before.connections + _CONNECTIONS:
        yield f"{name} holds {after.connections} connections at rest, and had {before.connections}."
    if after.processes != before.processes:
        yield f"{name} has {after.processes} processes, and had {before.processes}."
    middle, last = (max(held.threads for held in life.third(number)) for number in (1, 2))
    if last > middle + _THREADS:
        yield f"{name} has {last} threads under load, and had {middle}."
    middle_kib, last_kib = life.resident_kib(1), life.resident_kib(2)
    if last_kib > middle_kib + _SLACK_KIB + _LEARNT_KIB * life.learnt:
        yield f"{name} holds {last_kib:,.0f} KiB under load, and held {middle_kib:,.0f}."


def _of_disk(disk: Disk) -> Iterator[str]:
    for what in ("spool_files", "spool_bytes", "journal_entries"):
        before, after = getattr(disk.before, what), getattr(disk.after, what)
        if after > before:
            yield f"{what.replace('_', ' ')} at rest: {after:,}, and {before:,} before."
    written = disk.after.log_bytes - disk.before.log_bytes
    if written > _LOG_PER_REQUEST * max(disk.requests, 1):
        yield f"the logs grew by {written:,} bytes with {disk.requests:,} requests."
