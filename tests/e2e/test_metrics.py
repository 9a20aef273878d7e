"""What /metrics says of each door, a full disk among it."""

from __future__ import annotations

import os
import re
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.core import Case, Core, Decision, Door, Mode, Outcome, OutcomeKind, Source
from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.support.judging import with_core
from tests.support.katabridge import Site
from tests.support.processes import Program, free_port, wait_until

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"


def metrics(port: int) -> dict[str, float]:
    """Every sample by its name with labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", text, re.M)
    }


def test_both_doors_count_under_the_public_names(kata: Emulator, site: Site, started: Keep) -> None:
    icapd_port, watch_port = free_port(), free_port()
    site.changes = {
        "status": {"icapd": f"127.0.0.1:{icapd_port}", "watch": f"127.0.0.1:{watch_port}"}
    }
    started(site.start_icapd())
    for _ in range(3):
        with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
            client.respmod("av/respmod", GET, b"HTTP/1.1 200 OK\r\n\r\n", EICAR, preview=1024)
    (site.directory / "in" / "a.txt").write_bytes(b"harmless")
    started(site.start_watch())
    site.wait_records(4)
    wait_until(lambda: metrics(icapd_port)["katabridge_in_flight"] == 0, "all is counted")
    got = metrics(icapd_port)
    cases = 'katabridge_cases_total{decision="block",door="ICAP",outcome="detect",source="%s"}'
    assert (got[cases % "kata"], got[cases % "known"]) == (1, 2)
    assert got['katabridge_verdict_seconds_count{source="known"}'] == 2
    assert got['katabridge_kata_requests_total{call="submit",status="200"}'] == 1
    assert got["katabridge_kata_state"] == 1
    assert (got["katabridge_in_flight"], got["katabridge_queue"]) == (0, 0)
    assert got["katabridge_bypass"] == 0
    assert got["process_open_fds"] > 5
    passed = (
        'katabridge_cases_total{decision="pass",door="FOLDER",outcome="not_detected",source="kata"}'
    )
    wait_until(lambda: metrics(watch_port).get(passed) == 1, "the folder's case is counted")
    kata.stop()
    wait_until(
        lambda: _asks_in_vain(site) and metrics(icapd_port)["katabridge_kata_state"] == 0,
        "KATA is seen to be away",
        30,
    )


def _asks_in_vain(site: Site) -> bool:
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        body = os.urandom(8)
        answer = client.respmod("av/respmod", GET, b"HTTP/1.1 200 OK\r\n\r\n", body, preview=1024)
    return answer.http_head.status == 403


def test_a_taken_port_is_one_sentence(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        site.changes = {"status": {"icapd": f"127.0.0.1:{taken.getsockname()[1]}"}}
        with pytest.raises(AssertionError, match=r"\(status\): it is taken by another program"):
            site.start_icapd()


def gauges(core: Core) -> dict[str, float]:
    """Those without labels."""
    return {
        name: samples[0][2] for name, *_, samples in core.reporter.figures() if len(samples) == 1
    }


def test_a_full_disk_is_seen_in_metrics_and_nothing_is_lost(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del kata
    write, full = os.write, True

    def maybe_full(descriptor: int, data: bytes) -> int:
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if full and name.endswith("log-history.log"):
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    async def work(core: Core) -> None:
        nonlocal full
        core.reporter.add_gauges()
        monkeypatch.setattr(os, "write", maybe_full)
        clean = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA)
        for _ in range(3):
            await core.finish(Case(Door.ICAP, Mode.ADVANCED, "a", {}), None, clean, Decision.PASS)
        waiting = gauges(core)
        assert waiting["katabridge_log_lines_waiting"] == 3
        full = False
        await core.spool.in_thread(lambda: wait_until(lambda: len(site.records()) == 3, "written"))
        after = gauges(core)
        assert after["katabridge_log_lines_waiting"] == after["katabridge_log_lines_lost"] == 0

    with_core(site, work)
    said = capsys.readouterr().err
    assert "log-history.log cannot be written: No space left on device" in said
    assert "can be written again; nothing is missing" in said
