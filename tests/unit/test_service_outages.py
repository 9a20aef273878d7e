"""Outages that several processes of a service tell of, as metrics."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from bridge.core import ServiceOutages

START = 1000.0


def facts(worker: int, *outages: tuple[str, str, float]) -> dict[str, Any]:
    """What a worker tells: kind, subject and beginning of each."""
    keys = ("kind", "subject", "begin")
    told = [dict(zip(keys, each, strict=True)) for each in outages]
    return {"instance": f"gw.icap.{worker}", "outages": told}


def figures(outages: ServiceOutages, kind: str) -> tuple[float | None, float | None]:
    """How many last, and how many began."""
    registry = CollectorRegistry()
    registry.register(outages)
    names = ("katabridge_outage", "katabridge_outages_total")
    now, ever = (registry.get_sample_value(name, {"kind": kind}) for name in names)
    return now, ever


def test_what_several_know_of_is_one_and_different_ones_are_several() -> None:
    outages = ServiceOutages(START)
    kata, proxy = ("disk_full", "/spool", 1001.0), ("disk_full", "/log", 1002.0)
    for worker in range(2):
        for _ in range(3):
            outages.tell(facts(worker, kata))
    assert figures(outages, "disk_full") == (1, 1)
    outages.tell(facts(1, kata, proxy))
    assert figures(outages, "disk_full") == (2, 2)
    assert figures(outages, "share_gone") == (0, 0)
    outages.tell(facts(0))
    assert figures(outages, "disk_full") == (2, 2)
    outages.tell(facts(1))
    assert figures(outages, "disk_full") == (0, 2)
    outages.tell(facts(0, ("disk_full", "/spool", 1050.0)))
    assert figures(outages, "disk_full") == (1, 3)


def test_one_that_goes_on_after_a_restart_did_not_begin_again() -> None:
    outages = ServiceOutages(START)
    outages.tell(facts(0, ("disk_full", "/spool", START - 500)))  # before the service
    assert figures(outages, "disk_full") == (1, 0)
    outages.tell(facts(1, ("share_gone", "x", 1001.0)))
    outages.ends("gw.icap.1")
    assert figures(outages, "share_gone") == (0, 1)
    outages.tell(facts(1, ("share_gone", "x", 1001.0)))
    assert figures(outages, "share_gone") == (1, 1)


def test_what_a_process_knew_that_ended_for_good_is_forgotten() -> None:
    outages = ServiceOutages(START)
    outages.tell(facts(2, ("disk_full", "/spool", 1001.0)))
    outages.ends("gw.icap.2")
    outages.tell(facts(0, ("disk_full", "/spool", 1900.0)))
    assert figures(outages, "disk_full") == (1, 2)
