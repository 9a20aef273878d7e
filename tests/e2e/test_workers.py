"""`icap.workers`: several processes that are one service."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bridge.core import Address, Case, Core, Door, Mode
from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.support.judging import make_item
from tests.support.katabridge import Site, deep_merge
from tests.support.processes import Program, accepts, free_port, module, wait_until
from tests.support.workers import GET, OK, Workers, children, figures, is_alive, total

Keep = Callable[[Program], Program]
HELD = b"#kata state=detect delay=1\n"


@pytest.fixture
def status(site: Site) -> int:
    """Two workers are configured; the port of their metrics."""
    port = free_port()
    site.changes = {
        "icap": {"workers": 2, "max_connections": 500},
        "status": {"icapd": f"127.0.0.1:{port}"},
    }
    return port


def options_over_tls(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 10) as sock,
        context.wrap_socket(sock) as secure,
    ):
        secure.sendall(b"OPTIONS icap://h/av/respmod ICAP/1.0\r\nHost: h\r\n\r\n")
        return secure.recv(4096)


def test_two_workers_are_one_service(
    kata: Emulator, site: Site, started: Keep, status: int
) -> None:
    tls_port = free_port()
    tls = {"listen": [f"127.0.0.1:{tls_port}"], "cert": "client.pem", "key": "client.key"}
    site.changes = deep_merge(site.changes, {"icap": {"tls": tls}})
    workers = Workers(site, kata, started(site.start_icapd()))
    with workers.connections(4) as found:
        assert set(found) == {"test.icap.0", "test.icap.1"}
        clients = [client for each in found.values() for client in each]

        # what is unknown goes to KATA once, whoever is asked
        with ThreadPoolExecutor(len(clients)) as pool:
            answers = list(pool.map(lambda client: workers.ask(client, HELD), clients))
        assert [answer.http_head.status for answer in answers] == [403] * len(clients)
        hashes = [scan.sha256 for scan in kata.memory.submitted]
        assert len(set(hashes)) == len(hashes)

        # what one of them knows the other knows
        for client in clients:
            assert workers.ask(client, EICAR).status == 200
        assert len(kata.memory.submitted) == len(hashes) + 1

        # OPTIONS announces the whole, by one ISTag
        told = [each[0].options("av/respmod") for each in found.values()]
        assert [answer.fields["max-connections"] for answer in told] == ["500", "500"]
        assert told[0].fields["istag"] == told[1].fields["istag"]

        # a record for each case, and figures of all
        assert len(site.wait_records(workers.asked)) == workers.asked
        assert len({record["case"] for record in site.records()}) == workers.asked
        wait_until(
            lambda: total(status, "katabridge_cases_total") == workers.asked, "all are counted"
        )
        now = figures(status)
        assert now["katabridge_icap_connections"] >= len(clients)
        assert (now["katabridge_workers"], now["katabridge_kata_state"]) == (2, 1)
        assert now["katabridge_worker_restarts_total"] == 0

        # a stop lets what is under way end
        assert all(b"ICAP/1.0 200 OK" in options_over_tls(tls_port) for _ in range(6))
        held = b"#kata state=detect delay=0.9 times=%d\n"
        with ThreadPoolExecutor(2) as pool:
            waiting = [
                pool.submit(workers.ask, each[1], held % number)
                for number, each in enumerate(found.values())
            ]
            wait_until(lambda: len(kata.memory.scans) == 2, "both are at KATA")
            workers.program.process.terminate()
            assert [answer.result().http_head.status for answer in waiting] == [403, 403]
    assert workers.program.stop() == 0
    assert len(site.records()) == workers.asked
    said = workers.program.output()
    assert said.count("icapd listens on ") == said.count("icapd has stopped") == 1
    assert f"127.0.0.1:{tls_port}; services: av/reqmod, av/respmod; workers: 2" in said
    assert "worker 0: KATA takes files" in said
    assert "worker 1: KATA takes files" in said


def test_an_outage_that_all_workers_notice_counts_once(
    kata: Emulator, site: Site, started: Keep, status: int
) -> None:
    workers = Workers(site, kata, started(site.start_icapd()))
    host, _, port = kata.url.removeprefix("https://").rpartition(":")

    def told(state: str) -> int:
        lines = [line for line in site.records("log-events.log") if line["state"] == state]
        return len({line["instance"] for line in lines if line["event"] == "kata_unreachable"})

    with workers.connections() as found:
        kata.stop()
        for number, (client, *_) in enumerate(found.values()):
            workers.ask(client, b"nobody knows %d" % number)
        wait_until(lambda: told("begins") == 2, "both say so", 40)
    name = '{kind="kata_unreachable"}'
    wait_until(lambda: figures(status)[f"katabridge_outage{name}"] == 1, "it is a figure")
    with Emulator(kata.memory, Address(host, int(port))):
        wait_until(lambda: told("ends") == 2, "both say that it is over", 40)
        wait_until(lambda: figures(status)[f"katabridge_outage{name}"] == 0, "it is over")
    assert figures(status)[f"katabridge_outages_total{name}"] == 1


def test_a_worker_that_is_killed_is_replaced_and_loses_nothing_that_was_accepted(
    kata: Emulator, site: Site, started: Keep, status: int
) -> None:
    watched = {"method": "RESPMOD", "mode": "monitor"}
    services = {"av/respmod": {"method": "RESPMOD"}, "watched": watched}
    more = {"icap": {"services": services}, "kata": {"poll_interval": "300ms"}}
    site.changes = deep_merge(site.changes, more)
    workers = Workers(site, kata, started(site.start_icapd()))
    with workers.connections() as found:
        (one,), (other,) = [found[f"test.icap.{number}"][:1] for number in (0, 1)]
        wait_until(
            lambda: total(status, "katabridge_cases_total") == workers.asked, "all are counted"
        )
        before = figures(status)
        assert one.respmod("watched", GET, OK, HELD).status == 204
        wait_until(lambda: kata.memory.scans, "it is at KATA")
        victim = workers.pid_of("test.icap.0")
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(ConnectionError):
            workers.ask(one, b"lost")
        assert workers.ask(other, b"alive").status == 204
    # the successor goes on with what the dead one had accepted
    wait_until(lambda: site.records("log-detects.log"), "the case of the dead one is judged")
    (record,) = site.records("log-detects.log")
    assert (record["context"]["service"], record["decision"]) == ("watched", "pass")
    assert len({scan.sha256 for scan in kata.memory.submitted}) == len(kata.memory.submitted)
    with workers.connections() as found:
        assert set(found) == {"test.icap.0", "test.icap.1"}
        assert victim not in children(workers.program)
        assert len(children(workers.program)) == 2
    wait_until(lambda: figures(status)["katabridge_workers"] == 2, "the successor is seen")
    wait_until(
        lambda: total(status, "katabridge_cases_total") == len(site.records()), "all are counted"
    )
    after = figures(status)
    for name, value in before.items():
        if name.partition("{")[0].endswith(("_total", "_count", "_sum", "_bucket")):
            assert after[name] >= value, name
    assert after["katabridge_worker_restarts_total"] == 1
    assert after['katabridge_late_detections_total{door="ICAP"}'] == 1
    said = workers.program.output()
    assert "worker 0 was ended by SIGKILL. It is replaced now" in said
    assert "worker 0 works again" in said


def test_workers_that_hang_are_not_live(
    kata: Emulator, site: Site, started: Keep, status: int
) -> None:
    workers = Workers(site, kata, started(site.start_icapd()))
    wait_until(lambda: answer_of(status, "/health") == 200, "it lives")
    pids = children(workers.program)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: answer_of(status, "/health") == 503, "that they hang is seen", 15)
        assert answer_of(status, "/ready") == 503
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: answer_of(status, "/ready") == 200, "they serve again", 15)


def answer_of(port: int, path: str) -> int:
    """The status of an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_workers_end_with_their_supervisor(kata: Emulator, site: Site, status: int) -> None:
    del status
    workers = Workers(site, kata, site.start_icapd())
    pids = children(workers.program)
    assert len(pids) == 2
    workers.program.process.kill()
    workers.program.process.wait()
    try:
        wait_until(lambda: not any(map(is_alive, pids)), "both end", 15)
    finally:
        for pid in filter(is_alive, pids):
            os.kill(pid, signal.SIGKILL)
    assert not accepts(site.icap_port)
    said = workers.program.output()
    assert said.count("the supervising process is gone") == 2
    assert "Traceback" not in said


def test_what_ends_a_worker_is_said_and_mended(
    kata: Emulator, site: Site, started: Keep, status: int
) -> None:
    site.changes = deep_merge(site.changes, {"icap": {"policy": {"timeout": "pass"}}})
    workers = Workers(site, kata, started(site.start_icapd()))
    os.kill(children(workers.program)[1], signal.SIGTERM)
    wait_until(
        lambda: "worker 1 ended with exit code 0. It is replaced now" in workers.program.output(),
        "it is replaced",
    )
    wait_until(lambda: figures(status)["katabridge_worker_restarts_total"] == 1, "and counted")
    with workers.connections() as found:
        assert len(found) == 2
    # one that cannot start is told of, and tried again
    journal = site.directory / "spool" / "test.icap.0.journal"
    victim = workers.pid_of("test.icap.0")
    journal.rename(journal.with_suffix(".aside"))
    journal.mkdir()
    os.kill(victim, signal.SIGKILL)
    sentence = f"worker 0 ended with exit code 1: {journal} is a folder where a file belongs: "
    wait_until(lambda: sentence in workers.program.output(), "why it cannot start")
    assert "It is replaced in 1 s" in workers.program.output()
    journal.rmdir()
    wait_until(lambda: "worker 0 works again" in workers.program.output(), "it starts")
    # what all would say one of them says
    assert "worker 1: the policy" not in workers.program.output()
    assert workers.program.output().count("passes timeout objects") == 2  # worker 0, that began


def icapd_fails(site: Site) -> str:
    """What icapd says when it does not start."""
    program = Program([*module("icapd.cli"), "--config", site.config], site.directory / "out.txt")
    try:
        assert program.process.wait(20) == 1
        return program.output()
    finally:
        program.process.kill()


def test_a_taken_port_is_one_sentence(site: Site, status: int) -> None:
    del status
    # SO_REUSEPORT of the same user: only who asks for the port alone finds it taken
    with socket.create_server(("127.0.0.1", site.icap_port), reuse_port=True):
        said = icapd_fails(site)
    assert said == (
        f"icapd: cannot listen on 127.0.0.1:{site.icap_port} (icap.listen): "
        "it is taken by another program.\n"
    )


CANNOT_START: dict[str, tuple[dict[str, Any], str]] = {
    "a worker": ({"spool": {"dir": "client.pem"}}, "(spool.dir)."),
    "the supervisor": ({"logs": {"dir": "client.pem/log"}}, "(logs.dir)."),
}


@pytest.mark.parametrize(("change", "sentence"), CANNOT_START.values(), ids=CANNOT_START)
def test_what_cannot_start_is_said_once(
    site: Site, status: int, change: dict[str, Any], sentence: str
) -> None:
    del status
    site.changes = deep_merge(site.changes, change)
    (line,) = icapd_fails(site).splitlines()
    assert line.startswith("icapd: ")
    assert line.endswith(sentence)


def accept_as_worker(site: Site, kata: Emulator, number: int, content: bytes) -> str:
    """Have a worker of that number accept a case, and end with its scan at KATA; its id."""
    case = Case(Door.ICAP, Mode.MONITOR, "a.bin", {"client_ip": "10.1.1.1"})

    async def work() -> None:
        async with Core(site.settings(), Door.ICAP, number) as core:
            item = await make_item(core, content)
            await core.accept(case, item)
            item.body.release()
            async with asyncio.timeout(30):
                while not kata.memory.scans:
                    await asyncio.sleep(0.02)

    asyncio.run(work())
    return case.id


def test_what_workers_left_that_there_are_no_longer_is_ended(
    kata: Emulator, site: Site, started: Keep, status: int
) -> None:
    site.changes = deep_merge(
        site.changes, {"icap": {"workers": 1}, "kata": {"poll_interval": "300ms"}}
    )
    case_id = accept_as_worker(site, kata, 3, HELD)
    assert site.records() == []
    program = started(site.start_icapd())
    wait_until(lambda: "nothing is left of worker 3" in program.output(), "it is drained")
    assert [record["case"] for record in site.records()] == [case_id]
    assert site.records()[0]["outcome"] == "detect"
    assert kata.memory.calls["submit"] == 1
    assert not kata.memory.scans
    left = [path.name for path in (site.directory / "spool").iterdir() if "icap.3" in path.name]
    assert left == ["test.icap.3.lock"]
    wait_until(lambda: total(status, "katabridge_cases_total") == 1, "it is counted")
    wait_until(lambda: len(children(program)) == 1, "its process has ended")
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        assert client.respmod("av/respmod", GET, OK, b"served").status == 204
    assert "drain 3: goes on with what worker 3 left" in program.output()


@pytest.mark.long
def test_a_worker_that_does_not_stop_is_killed(kata: Emulator, site: Site, status: int) -> None:
    del status
    workers = Workers(site, kata, site.start_icapd())
    stuck = workers.pid_of("test.icap.1")
    os.kill(stuck, signal.SIGSTOP)
    workers.program.process.terminate()
    began = time.monotonic()
    assert workers.program.process.wait(40) == 1
    assert time.monotonic() - began > 15
    assert not Path(f"/proc/{stuck}").exists()
    killed = (
        "worker 1 does not stop within 20 s: it is killed, and what it has under way is cut off"
    )
    assert killed in workers.program.output()


@pytest.mark.parametrize("workers", [1, 2])
def test_it_runs_without_streams(workers: int, kata: Emulator, site: Site) -> None:
    del kata
    site.changes = deep_merge(site.changes, {"icap": {"workers": workers}})
    command = shlex.join([*module("icapd.cli"), "--config", str(site.config)])
    process = subprocess.Popen(["/bin/sh", "-c", f"exec {command} <&- >&- 2>&-"])
    try:
        wait_until(lambda: accepts(site.icap_port), "it listens", 20)
    finally:
        process.terminate()
    assert process.wait(30) == 0
    log = (site.settings().logs.dir / "preprocessor_icap.log").read_text()
    assert "icapd has stopped" in log
