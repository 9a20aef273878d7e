"""Measures each work on each server, in interleaved rounds."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import load, machine, servers
from tests.bench.answers import WrongAnswerError
from tests.bench.load import Round
from tests.bench.results import CEILING, Comparison, Result
from tests.bench.servers import Server
from tests.bench.work import CONTENTS, Work

_WARM_UP = 0.3  # seconds
_Start = Callable[[Path], AbstractContextManager[Server | None]]
_STARTS: dict[str, _Start] = {
    "icapd": servers.icapd,
    "c-icap": servers.c_icap,
    "pyicap": servers.pyicap,
    CEILING: servers.stub,
}
NAMES = tuple(_STARTS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, how often and how long (seconds)."""

    works: Sequence[Work]
    servers: Sequence[str]
    rounds: int
    seconds: float


def compare(plan: Plan) -> Comparison:
    """Start all servers, measure, stop them. WrongAnswerError, TimeoutError by the load."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        there = [running.enter_context(_started(name, Path(folder))) for name in plan.servers]
        present = [server for server in there if server is not None]
        results = [result for work in plan.works for result in _measure(work, present, plan)]
    settings = {"rounds": plan.rounds, "seconds": plan.seconds, "connections": load.CONNECTIONS}
    return Comparison(machine.describe(), settings, results)


@contextlib.contextmanager
def _started(name: str, folder: Path) -> Iterator[Server | None]:
    directory = folder / name
    directory.mkdir()
    with _STARTS[name](directory) as server:
        if server is None:
            sys.stderr.write(f"make bench: {name} is not installed; it is left out.\n")
        yield server


def _measure(work: Work, present: Sequence[Server], plan: Plan) -> list[Result]:
    able = [server for server in present if work in server.ports]
    rounds: dict[str, list[Round]] = {server.name: [] for server in able}
    spent: dict[str, list[float]] = {server.name: [] for server in able}
    for server in able:
        _round(server, work, _WARM_UP, CONTENTS)  # all at once: what is new to icapd is judged
    for number in range(plan.rounds):
        turn = number % len(able)  # nobody is always first
        for server in able[turn:] + able[:turn]:
            before = server.cpu
            rounds[server.name].append(_round(server, work, plan.seconds))
            spent[server.name].append(server.cpu - before)
    sys.stderr.write(f"  {work.name}\n")
    return [Result.of(work.name, name, rounds[name], spent[name]) for name in rounds]


def _round(
    server: Server, work: Work, seconds: float, connections: int = load.CONNECTIONS
) -> Round:
    try:
        return load.run(server.ports[work], work, seconds, connections=connections)
    except (WrongAnswerError, TimeoutError, OSError) as error:
        raise RuntimeError(
            f"{server.name}, {work.name}: {error}\n{server.program.output()[-2000:]}"
        ) from error
