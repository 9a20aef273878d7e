"""The spool, or the queue for KATA, is full: what users of each mode see, in every form of ICAP."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.emulator import Emulator
from tests.support.katabridge import Site
from tests.support.outage import FORMS, USERS, Question, documented, metrics, services
from tests.support.processes import Program, free_port, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

Keep = Callable[[Program], Program]
PASSING = "With `policy: {unavailable: pass}`"
HEADINGS = pytest.mark.parametrize("heading", ["As shipped", PASSING])
SLOW = b"#kata delay=600\n"


@HEADINGS
@pytest.mark.parametrize("size", [150_000, 400_000, 2_000_000])
def test_a_full_spool(kata: Emulator, site: Site, started: Keep, size: int, heading: str) -> None:
    """Full with the last block of a body (150,000 bytes), or before: by size."""
    del kata
    site.changes = {
        "icap": {"services": services("2s")},
        "policy": {"unavailable": "pass"} if heading == PASSING else {},
        "spool": {"memory": "16KiB", "max_bytes": "80KiB"},
    }
    icapd = started(site.start_icapd())
    wanted = documented(heading)["full spool", "new"]
    asked = [Question(*user, os.urandom(size), n) for user in USERS for n in range(len(FORMS))]
    got = [question.ask(site.icap_port) for question in asked]
    seen = {(q.mode, q.method, q.form, word) for q, word in zip(asked, got, strict=True)}
    assert seen == {(q.mode, q.method, q.form, wanted[q.mode, q.method]) for q in asked}
    records = site.records()
    assert len(records) == len(asked)
    assert {record["outcome"] for record in records} == {"unavailable"}
    said = [line for line in icapd.output().splitlines() if "is unavailable" in line]
    assert len([line for line in said if "has reached spool.max_bytes" in line]) == len(asked)


@HEADINGS
def test_a_full_queue(kata: Emulator, site: Site, started: Keep, heading: str) -> None:
    port = free_port()
    site.changes = {
        "kata": {"max_in_flight": 1, "queue": 1},
        "icap": {"services": services("8s")},
        "policy": {"unavailable": "pass"} if heading == PASSING else {},
        "status": {"icapd": f"127.0.0.1:{port}"},
    }
    started(site.start_icapd())
    wanted = documented(heading)["full queue", "new"]
    fillers = [Question("standard", "RESPMOD", SLOW + os.urandom(9)) for _ in range(2)]
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(filler.ask, site.icap_port) for filler in fillers]
        wait_until(lambda: metrics(port)["katabridge_queue"] == 1, "the queue is full")
        asked = [Question(*user, os.urandom(100)) for user in USERS]
        got = {(q.mode, q.method): q.ask(site.icap_port) for q in asked}
        assert got == wanted
        assert not any(future.done() for future in waiting)
        assert {future.result() for future in waiting} == {"pass, no-store"}
    assert kata.memory.calls["submit"] == 1
