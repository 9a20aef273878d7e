"""The history of 100,000 cases, searched by each filter, gives what the plain way gives."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core import HISTORY, HistoryFilter, search_log
from tests.support.history import crowd, write

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

CASES = 100_000
NOW = 1_795_000_000.0
ALL = 10 * CASES


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of a day."""
    path = tmp_path_factory.mktemp("history") / HISTORY
    write(path, list(crowd(CASES, until=NOW)))
    return path


@pytest.fixture(scope="module")
def records(log: Path) -> list[dict[str, Any]]:
    """All of it, newest first, parsed one by one."""
    return [json.loads(each) for each in reversed(log.read_bytes().splitlines())]


def searches(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Filters, most of them for few cases; `one` is the oldest through the ICAP door."""
    yield {"case": one["case"]}
    yield {"hash": one["sha256"]}
    yield {"hash": one["sha256"][:10]}
    yield {"hash": "f" * 32}
    yield {"name": one["name"].upper()}
    yield {"name": "ОТЧЁТ ЗА НОЯБРЬ 4711"}
    yield {"user": "USER01999"}
    yield {"url": "HOST499.example/files/ff"}
    yield {"client": one["context"]["client_ip"]}
    yield {"client": "10.7.192.0/20"}
    yield {"outcome": "detect"}
    yield {"decision": "block", "door": "FOLDER"}
    yield {"outcome": "error"}
    yield {"since": NOW - 600}
    yield {"until": NOW - CASES + 600}
    yield {"name": "e", "user": "0", "decision": "block"}  # nearly all have the first two


def test_every_filter_finds_what_the_plain_way_finds(
    log: Path, records: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(records) == CASES
    one = next(each for each in reversed(records) if each["door"] == "ICAP")
    for values in searches(one):
        wanted = HistoryFilter(**values)
        began = time.perf_counter()
        found = search_log(log, wanted, limit=ALL, seconds=300)
        took = time.perf_counter() - began
        with capsys.disabled():
            print(f"\n{took * 1000:6.0f} ms, {len(found.records):6} found by {values}", end="")
        assert found.records == [each for each in records if wanted.fits(each)]
        assert found.complete


def test_pages_of_it_are_all_of_it(log: Path, records: list[dict[str, Any]]) -> None:
    found: list[dict[str, Any]] = []
    cursor = None
    while not found or cursor is not None:
        page = search_log(log, HistoryFilter(), cursor=cursor, limit=777, seconds=0.01)
        found += page.records
        cursor = page.cursor
    assert found == records
