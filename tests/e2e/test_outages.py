"""When it began and when it was over: what running programs leave in log-events.log."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.core import (
    Case,
    Core,
    Decision,
    Door,
    Mode,
    Outcome,
    OutcomeKind,
    Source,
    SpoolError,
    StoreError,
    outages,
    set_bypass,
)
from bridge.core.units import Address
from bridge.emulator import Emulator
from icapd.client import IcapClient
from tests.support.judging import with_core
from tests.support.katabridge import Records, Site
from tests.support.outage import metrics
from tests.support.processes import Program, free_port, wait_until

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
CLEAN = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA)


def events(site: Site, kind: str) -> Records:
    """The lines of a kind."""
    return [line for line in site.records("log-events.log") if line["event"] == kind]


def states(site: Site, kind: str) -> list[str]:
    """What began and what ended."""
    return [line["state"] for line in events(site, kind)]


def wait_states(site: Site, kind: str, *expected: str) -> None:
    """Wait until the log says just that."""
    wait_until(lambda: states(site, kind) == list(expected), f"{kind} {expected[-1]}", 40)


def at(line: dict[str, Any]) -> float:
    """When it was."""
    return datetime.fromisoformat(line["time"]).timestamp()


def ask(site: Site) -> int:
    """The status of the answer for bytes that nobody knows."""
    with IcapClient("127.0.0.1", site.icap_port, timeout=30) as client:
        return client.respmod("av/respmod", GET, OK, os.urandom(8)).status


def withhold(site: Site) -> None:
    """A response whose body the proxy keeps to itself."""
    with socket.create_connection(("127.0.0.1", site.icap_port)) as sock:
        sock.sendall(
            b"RESPMOD icap://h/av/respmod ICAP/1.0\r\nAllow: 204\r\nConnection: close\r\n"
            b"Encapsulated: req-hdr=0, res-hdr=%d, null-body=%d\r\n\r\n"
            % (len(GET), len(GET + OK))
            + GET
            + OK
        )
        while sock.recv(65536):
            pass


def test_kata_goes_and_comes_back(kata: Emulator, site: Site, started: Keep) -> None:
    port = free_port()
    site.changes = {"status": {"icapd": f"127.0.0.1:{port}"}}
    started(site.start_icapd())
    now = 'katabridge_outage{kind="kata_unreachable"}'
    withhold(site)
    wait_states(site, "bodies_withheld", "begins")
    assert metrics(port)[now] == 0
    host, _, number = kata.url.removeprefix("https://").rpartition(":")
    stopped = time.time()
    kata.stop()
    wait_until(lambda: ask(site) and states(site, "kata_unreachable"), "it is seen to be away", 40)
    assert metrics(port)[now] == 1
    with Emulator(kata.memory, Address(host, int(number))):
        again = time.time()
        wait_states(site, "kata_unreachable", "begins", "ends")
        ended = time.time()
        ask(site)
        wait_states(site, "bodies_withheld", "begins", "ends")
    begin, end = events(site, "kata_unreachable")
    assert stopped < at(begin) < again < at(end) < ended
    assert (begin["subject"], end["subject"]) == (site.url, site.url)
    assert begin["time"] == begin["since"] == end["since"]
    assert end["lasted_s"] == pytest.approx(at(end) - at(begin), abs=0.002)
    assert begin["instance"] == "test.icap.0"
    got = metrics(port)
    assert (got[now], got['katabridge_outages_total{kind="kata_unreachable"}']) == (0, 1)
    assert [line["subject"] for line in events(site, "bodies_withheld")] == ["127.0.0.1"] * 2


def test_a_bypass_that_ends_while_nobody_looks_lasts_no_longer(site: Site, started: Keep) -> None:
    """What passed unjudged is known to the second, whenever the service comes back."""
    spool = site.directory / "spool"
    icapd = site.start_icapd()
    try:
        set_bypass(spool, {Door.ICAP: time.time() + 600})
        wait_states(site, "bypass_on", "begins")
    finally:
        icapd.process.kill()
        icapd.process.wait()
    (begin,) = events(site, "bypass_on")
    set_bypass(spool, {})
    over = {"ICAP": at(begin) + 0.25}  # as if it had been on for so long only
    (spool / "bypass.json").write_text(json.dumps(over))
    started(site.start_icapd())
    wait_states(site, "bypass_on", "begins", "ends")
    end = events(site, "bypass_on")[1]
    assert end["lasted_s"] == pytest.approx(0.25, abs=0.002)
    assert at(end) == pytest.approx(over["ICAP"], abs=0.002)


def test_a_share_goes_and_a_target_fails(kata: Emulator, site: Site, started: Keep) -> None:
    del kata
    started(site.start_watch())
    places = {name: site.directory / name for name in ("in", "out")}
    away = {name: site.directory / f"{name}.away" for name in places}
    places["in"].rename(away["in"])
    wait_states(site, "share_gone", "begins")
    away["in"].rename(places["in"])
    places["out"].rename(away["out"])
    (places["in"] / "a.txt").write_bytes(b"harmless")
    wait_states(site, "target_failing", "begins")
    away["out"].rename(places["out"])
    wait_states(site, "target_failing", "begins", "ends")
    wait_states(site, "share_gone", "begins", "ends")
    for kind, path in (("share_gone", places["in"]), ("target_failing", places["out"])):
        (outage,) = (x for x in outages(site.directory / "log", 0.0) if x.kind == kind)
        assert outage.subject == "share"
        assert str(path) in outage.detail
        assert outage.end is not None
        assert outage.end > outage.begin


def test_every_part_is_told_of_and_goes_on_over_a_restart(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kata
    site.changes = {
        "spool": {"memory": "4KiB", "max_bytes": "64KiB"},
        "logs": {"syslog": {"url": f"tcp://127.0.0.1:{free_port()}"}},
        "notify": {"url": f"http://127.0.0.1:{free_port()}/hook?token=secret"},
    }
    spool, log, write = site.settings().spool.dir, site.directory / "log", os.write
    broken = True

    def maybe_full(descriptor: int, data: bytes) -> int:
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if broken and name.endswith("log-history.log"):
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    async def fails(*_: object) -> None:
        raise StoreError("the verdict store is locked")

    async def break_all(core: Core) -> None:
        await core.verdict("2" * 64)  # behind the look at the start
        monkeypatch.setattr(core._verdicts._store, "get", fails)
        assert await core.verdict("1" * 64) is None
        monkeypatch.setattr(os, "write", maybe_full)
        set_bypass(spool, {Door.ICAP: time.time() + 600})
        core.spool.disk_used += 60_000  # somebody else's
        body = core.spool.writer()
        with pytest.raises(SpoolError):
            await body.write(bytes(10_000))
        body.discard()
        block = Case(Door.ICAP, Mode.ADVANCED, "a", {})
        await core.finish(block, None, CLEAN, Decision.BLOCK)
        await core.spool.in_thread(wait, all_begin)

    async def mend_all(core: Core) -> None:
        nonlocal broken
        broken = False
        set_bypass(spool, {})
        await core.spool.in_thread(wait, others_end)

    def wait(condition: Callable[[], bool]) -> None:
        wait_until(condition, "all of it is told", 20)

    def lasting() -> set[tuple[str, str]]:
        return {(each.kind, each.subject) for each in outages(log, 0.0) if each.end is None}

    receivers = [
        (kind, url)
        for kind, url in (
            ("syslog_away", site.changes["logs"]["syslog"]["url"]),
            ("webhook_away", site.changes["notify"]["url"].partition("/hook")[0]),
        )
    ]
    local = {
        ("bypass_on", "ICAP"),
        ("disk_full", str(spool)),
        ("disk_full", str(log / "log-history.log")),
        ("store_failing", str(site.directory / "verdicts.db")),
    }

    def all_begin() -> bool:
        return lasting() == {*local, *receivers}

    def others_end() -> bool:
        return lasting() == set(receivers)

    with_core(site, break_all)
    assert lasting() == set(), "a process that is gone has no outage"
    with_core(site, mend_all)
    lines = site.records("log-events.log")
    begun = [(line["event"], line["subject"]) for line in lines if line["state"] == "begins"]
    ended = [(line["event"], line["subject"]) for line in lines if line["state"] == "ends"]
    assert sorted(begun) == sorted({*local, *receivers})
    assert sorted(ended) == sorted(local)
    assert "secret" not in (log / "log-events.log").read_text()
