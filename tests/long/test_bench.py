"""The benchmark runs: its servers start, and each work is answered rightly by all of them."""

from __future__ import annotations

import os

import pytest

from tests.bench import compare, cores
from tests.bench.work import WORKS

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_each_work_on_each_server() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores.LOAD})
    try:
        found = compare.compare(compare.Plan(WORKS, compare.NAMES, rounds=1, seconds=0.1))
    finally:
        os.sched_setaffinity(0, before)
    for work in WORKS:
        ours = found.get(work.name, "icapd")
        assert ours is not None
        assert list(ours.statuses) == ["204" if work.allow_204 else "200"]
    assert {result.server for result in found.results} >= {"icapd", "pyicap"}
