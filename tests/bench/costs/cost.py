"""What each of the costs' modules gives, and what several of them need."""

from __future__ import annotations

import resource
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.servers import Server
from tests.bench.table import Table
from tests.support.katabridge import Site

_SPARE = 1000  # descriptors for everything but connections
MIB = 1 << 20


class NotHereError(Exception):
    """It cannot be measured here; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One thing that is measured.

    `what`: what was done, for the page. `measure` is given an empty folder and gives a table with
    a head; NotHereError where that is impossible. `by_itself`: whether it runs without being named.
    """

    name: str
    title: str
    what: str
    measure: Callable[[Path], Table]
    by_itself: bool = True


def metric(site: Site, name: str, label: str = "") -> float:
    """A figure of icapd's metrics now, 0 where there is none.

    Those of all labels together, or of those that hold `label`, such as `call="submit"`.
    """
    address = site.changes["status"]["icapd"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    rows = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return sum(
        float(value) for key, _, value in rows if key.partition("{")[0] == name and label in key
    )


def allow_connections(wanted: int) -> int:
    """Let this process, and those it starts, hold so many connections; how many they may.

    Raises the hard limit, too, where that is allowed.
    """
    needed = wanted + _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, needed))
        except (ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            return min(wanted, hard - _SPARE)
    elif soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return wanted


def memory(server: Server) -> dict[str, int]:
    """Bytes that a server's main process holds: `Rss`, `Pss`, and `VmHWM`, the most so far."""
    folder = Path(f"/proc/{server.program.process.pid}")
    lines = (folder / "smaps_rollup").read_text() + (folder / "status").read_text()
    wanted = ("Rss", "Pss", "VmHWM")
    pairs = (line.partition(":") for line in lines.splitlines())
    return {key: int(value.split()[0]) * 1024 for key, _, value in pairs if key in wanted}
