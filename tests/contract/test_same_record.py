"""The same bytes through RESPMOD and through the folder leave the same record, for one POST."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.support.katabridge import Site
from tests.support.processes import Program, wait_until

# A duration is a time; all else that may differ is named by the contract.
OWN = {"case", "time", "waited_ms", "door", "source", "decision", "context"}
REQUEST = b"GET http://files.example/a/report.bin HTTP/1.1\r\nHost: files.example\r\n\r\n"


def drop(site: Site, data: bytes) -> None:
    (site.directory / "in" / "report.bin").write_bytes(data)


def fetch(site: Site, data: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data)
    with IcapClient("127.0.0.1", site.icap_port) as client:
        client.respmod("av/respmod", REQUEST, head, data, preview=1024)


DOORS = {"ICAP": fetch, "FOLDER": drop}


@pytest.mark.parametrize("first", ["ICAP", "FOLDER"])
def test_two_doors_one_record(
    kata: Emulator, site: Site, started: Callable[[Program], Program], first: str
) -> None:
    started(site.start_icapd())
    started(site.start_watch())
    order = [first, "FOLDER" if first == "ICAP" else "ICAP"]
    for data in (b"harmless", EICAR, b"x" * 400_000):
        check_one(kata, site, order, data)


def check_one(kata: Emulator, site: Site, order: list[str], data: bytes) -> None:
    """Nobody knows these bytes yet."""
    kata.memory.calls.clear()
    before, detected = len(site.records()), len(site.records("log-detects.log"))
    for number, door in enumerate(order, before + 1):
        DOORS[door](site, data)
        assert site.wait_records(number)[-1]["door"] == door
    one, two = site.records()[before:]
    assert [one["door"], two["door"]] == order
    assert [one["source"], two["source"]] == ["kata", "known"]
    assert {key: one[key] for key in one if key not in OWN} == {
        key: two[key] for key in two if key not in OWN
    }
    assert list(one) == list(two)
    assert one["md5"]
    assert one["scan_id"]
    assert kata.memory.calls["submit"] == 1
    detects = site.records("log-detects.log")[detected:]
    assert detects == ([one, two] if data == EICAR else [])
    wait_until(lambda: not kata.memory.scans, "the scan is DELETEd")
    assert kata.memory.calls["delete"] == 1
