"""What a known verdict costs, by how many are stored."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from bridge.core.verdicts.schema import open_database
from tests.bench import load, servers
from tests.bench.costs.cost import Cost
from tests.bench.costs.idle import warm_up
from tests.bench.load import Round
from tests.bench.results import percentile
from tests.bench.table import Table
from tests.bench.work import QUICK, Requests
from tests.support.katabridge import Site

_COUNTS = (1000, 100_000, 1_000_000)
_ASKED = 20_000  # contents that are asked for once, as far as there are so many
_SECONDS = 3.0
_WORK = QUICK[0]
_DAY = 86_400
_ROW = "INSERT INTO verdicts (sha256, kind, time, expires) VALUES (?, 'not_detected', ?, ?)"


def measure(directory: Path) -> Table:
    """A row for each number of verdicts."""
    rows: Table = [
        ["stored", "from memory", "p99", "CPU each", "from the store", "p99", "CPU each", "file"]
    ]
    with servers.kata(directory / "kata") as kata:
        for count in _COUNTS:
            folder = directory / f"{count}"
            folder.mkdir()
            site = servers.make_site(folder, kata, verdicts={"max_entries": 2 * count})
            rows.append(_row(site, count))
    return rows


def _row(site: Site, count: int) -> list[str]:
    noise = random.Random()  # its bytes are no secret
    contents = [noise.randbytes(_WORK.size) for _ in range(min(count, _ASKED))]
    store = fill(site, count, contents)
    with servers.configured(site) as server:
        warm_up(site.icap_port, _WORK)
        before = server.cpu
        memory = load.run(site.icap_port, _WORK, _SECONDS)
        between = server.cpu
        stored = load.run(
            site.icap_port,
            _WORK,
            600,
            requests=Requests(_WORK, contents),
            limit=len(contents),
        )
        spent = (between - before) / memory.served, (server.cpu - between) / stored.served
    size = f"{store.stat().st_size / 1e6:,.1f} MB"
    return [f"{count:,}", *_cells(memory, spent[0]), *_cells(stored, spent[1]), size]


def _cells(found: Round, cpu: float) -> list[str]:
    p99 = percentile(sorted(found.latencies), 99)
    return [f"{found.rate:,.0f}/s", f"{p99 * 1e3:.2f} ms", f"{cpu * 1e6:.0f} µs"]


def fill(site: Site, count: int, contents: list[bytes]) -> Path:
    """A store with `count` verdicts, those of `contents` among them; its file."""
    path = site.directory / "verdicts.db"
    db = open_database(path)
    now = time.time()
    hashes: Iterator[str] = itertools.chain(
        (hashlib.sha256(content).hexdigest() for content in contents),
        (os.urandom(32).hex() for _ in range(count - len(contents))),
    )
    # counting row by row is what the triggers do; once is enough here
    ((trigger,),) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'verdicts_more'")
    try:
        db.execute("BEGIN")
        db.execute("DROP TRIGGER verdicts_more")
        db.executemany(_ROW, ((each, now, now + _DAY) for each in hashes))
        db.execute("UPDATE totals SET verdicts = ?", (count,))
        db.execute(trigger)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()
    return path


COST = Cost(
    "stored",
    "A known verdict among many",
    "500 B, 204. From memory: contents that were asked for a moment ago, 16 of them, each "
    f"looked up anew every 5 s. From the store: up to {_ASKED:,} contents, each asked for once "
    "since the start.",
    measure,
)
