"""Records as both doors write them, and logs of many."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.core import (
    Case,
    Decision,
    Door,
    KnownBytes,
    Mode,
    Outcome,
    OutcomeKind,
    Source,
    new_case_id,
)
from bridge.core.records import format_record

CLEAN = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA, scan_id="s-1", md5="0" * 32)
BAD = Outcome(OutcomeKind.DETECT, Source.KATA, threat="EICAR-Test-File", scan_id="s", md5="f" * 32)
_NAMES = ("report", "счёт-фактура", "invoice", "setup", "отчёт за ноябрь", "archive")
_ENDS = ("pdf", "docx", "zip", "exe", "xlsx", "bin")


def line(
    name: str = "a.bin",
    context: dict[str, str | None] | None = None,
    outcome: Outcome = CLEAN,
    decision: Decision = Decision.PASS,
    *,
    door: Door = Door.ICAP,
    at: float | None = None,
    late: bool = False,
    item: KnownBytes | None = None,
    case_id: str | None = None,
) -> bytes:
    """A record as it is written, without a line end; `at`: its time in seconds since the epoch."""
    context = context if context is not None else {}
    case = Case(door, Mode.ADVANCED, name, context, case_id or new_case_id())
    written = format_record(case, item, outcome, decision, late=late)
    if at is None:
        return written
    begins = written.index(b":") + 2
    ends = written.index(b'"', begins)
    return written[:begins] + time_of(at).encode() + written[ends:]


def time_of(at: float) -> str:
    """A time as a record has it."""
    return datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds")


def write(path: Path, lines: Sequence[bytes]) -> None:
    """A log of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(each + b"\n" for each in lines))


def crowd(count: int, *, until: float, every: float = 1.0, seed: int = 1) -> Iterator[bytes]:
    """Cases of a day at an office, oldest first, one each `every` seconds."""
    chance = random.Random(seed)
    for number in range(count):
        yield _of_the_day(chance, number, until - (count - number) * every)


def _of_the_day(chance: random.Random, number: int, at: float) -> bytes:
    person = chance.randrange(2000)
    name = f"{chance.choice(_NAMES)} {chance.randrange(100_000)}.{chance.choice(_ENDS)}"
    is_bad = chance.random() < 0.002
    outcome = BAD if is_bad else CLEAN
    decision = Decision.BLOCK if is_bad else Decision.PASS
    item = KnownBytes(hashlib.sha256(str(number).encode()).hexdigest(), chance.randrange(1 << 24))
    context: dict[str, str | None]
    if chance.random() < 0.1:
        path = f"/srv/share/in/{person}/{name}"
        context = {"folder": "share", "path": path, "moved_to": f"/srv/share/out/{person}/{name}"}
        return line(name, context, outcome, decision, door=Door.FOLDER, at=at, item=item)
    host = f"host{chance.randrange(500)}.example"
    context = {
        "service": "av/respmod",
        "proxy": f"10.0.0.{chance.randrange(1, 5)}",
        "client_ip": f"10.{person >> 8}.{person & 255}.{chance.randrange(1, 250)}",
        "user": f"EXAMPLE\\user{person:05d}",
        "method": "GET",
        "url": f"http://{host}/files/{chance.randrange(1 << 40):x}/{number}?id={person}",
    }
    return line(name, context, outcome, decision, at=at, item=item)


def names(records: Sequence[dict[str, Any]]) -> list[str]:
    """What the records are of."""
    return [str(each["name"]) for each in records]


def older(path: Path, number: int) -> Path:
    """The name of a rotated file: the higher the number, the older."""
    return path.with_name(f"{path.stem}-{20261124 - number}-101500{path.suffix}")
