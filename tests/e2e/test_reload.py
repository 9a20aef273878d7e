"""SIGHUP: what changes without a connection dropped, and what is refused as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.core import Configuration, LineLog, Settings
from bridge.emulator import EICAR, Emulator
from icapd import program
from icapd.client import IcapClient
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site, deep_merge
from tests.support.processes import Program, free_port, wait_until
from tests.support.raw_icap import RawIcap, chunk, message

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"
_GROWTH_KIB = 3000  # in a hundred reloads: a copy of what one prepares is more than 30
DONE = re.compile(r"the configuration \S+ is (?:not )?reloaded.*")


@pytest.fixture(params=[1, 2], ids=["one", "workers"])
def workers(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


def reload(site: Site, icapd: Program, **changes: Any) -> str:
    """Change the configuration, send SIGHUP; what the log says of it."""
    before = len(DONE.findall(icapd.output()))
    site.changes = deep_merge(site.changes, changes)
    assert site.config.exists()
    return hang_up(icapd, before)


def hang_up(icapd: Program, before: int) -> str:
    icapd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(DONE.findall(icapd.output())) > before, "it answers SIGHUP", 30)
    return str(DONE.findall(icapd.output())[-1])


def respmod(client: IcapClient, body: bytes, service: str = "av/respmod") -> int:
    """The status the user gets, or 204."""
    answer = client.respmod(service, GET, OK, body, preview=1024)
    return answer.status if answer.status != 200 else answer.http_head.status or 0


def served_by(port: int) -> bytes:
    """The certificate that the TLS port shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 20) as sock,
        context.wrap_socket(sock) as secure,
    ):
        return secure.getpeercert(binary_form=True) or b""


def test_a_connection_stays_while_all_about_it_changes(
    site: Site, started: Keep, workers: int
) -> None:
    tls_port = free_port()
    put_certificate(site.directory / "tls.pem", site.directory / "tls.key", "first")
    pages = site.directory / "pages"
    pages.mkdir()
    site.changes = {
        "icap": {
            "workers": workers,
            "tls": {"listen": [f"127.0.0.1:{tls_port}"], "cert": "tls.pem", "key": "tls.key"},
        }
    }
    icapd = started(site.start_icapd())
    with IcapClient("127.0.0.1", site.icap_port, timeout=30) as client:
        assert respmod(client, EICAR) == 403
        tags = {client.options("av/respmod").fields["istag"]}

        # exclusions, a mode, a service, limits, access
        assert "is reloaded" in reload(site, icapd, exclusions=[{"host": "files.example"}])
        assert respmod(client, EICAR) == 204
        tags.add(client.options("av/respmod").fields["istag"])
        services = {
            "av/respmod": {"method": "RESPMOD", "mode": "monitor"},
            "new/respmod": {"method": "RESPMOD", "hold": "19s"},
        }
        reload(site, icapd, exclusions=[], icap={"services": services, "preview": 17})
        assert respmod(client, EICAR) == 204
        assert respmod(client, EICAR, "new/respmod") == 403
        options = client.options("new/respmod").fields
        assert options["preview"] == "17"
        tags.add(options["istag"])
        assert len(tags) == 3

        # a page of their own, and a certificate under the same name
        (pages / "block.html").write_text("<p>planted for {{ case }}</p>")
        put_certificate(site.directory / "tls.pem", site.directory / "tls.key", "second")
        first = served_by(tls_port)
        reload(site, icapd, icap={"pages": {"dir": "pages"}})
        second = served_by(tls_port)
        assert first != second
        page = client.respmod("new/respmod", GET, OK, EICAR, preview=10)
        assert b"planted for" in page.body

        # what is bad is refused as a whole: the rule beside it does not count either
        (pages / "block.html").write_text("{{ no_such_name.at_all }}")
        said = reload(site, icapd, exclusions=[{"host": "files.example"}])
        assert "is not reloaded" in said and "block.html" in said
        (pages / "block.html").write_text("<p>again</p>")
        site.config.write_text("kata: {urls: [https://cn.example], sensor_id: 7}\n")
        said = hang_up(icapd, len(DONE.findall(icapd.output())))
        assert "is not reloaded" in said and "kata.sensor_id" in said and "stays in force" in said
        assert respmod(client, EICAR, "new/respmod") == 403

        # what takes a restart is named, and the rest counts
        said = reload(site, icapd, icap={"workers": 3}, policy={"detect": "pass"}, exclusions=[])
        assert said.endswith("what takes a restart stays as it was: icap.workers")
        assert respmod(client, EICAR, "new/respmod") == 204
        reload(site, icapd, policy={"detect": "block"}, icap={"allow_from": ["10.0.0.0/8"]})
        assert respmod(client, EICAR, "new/respmod") == 403
    with IcapClient("127.0.0.1", site.icap_port, timeout=30) as stranger:
        assert stranger.respmod("new/respmod", GET, OK, EICAR).status == 403


def test_a_request_under_way_ends_by_what_it_began_with(
    site: Site, started: Keep, kata: Emulator
) -> None:
    icapd = started(site.start_icapd())
    got: list[int] = []

    def ask() -> None:
        with IcapClient("127.0.0.1", site.icap_port, timeout=60) as client:
            got.append(respmod(client, b"#kata state=detect delay=3\nslow"))

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: kata.memory.submitted, "it is at KATA")
    said = reload(
        site,
        icapd,
        icap={"services": {"only/reqmod": {"method": "REQMOD"}}},
        policy={"detect": "pass"},
    )
    assert said.endswith("is reloaded") and not got
    asking.join()
    assert got == [403]
    with IcapClient("127.0.0.1", site.icap_port, timeout=30) as client:
        assert client.respmod("av/respmod", GET, OK, b"x").status == 404


def test_no_exclusion_comes_for_a_body_that_has_begun(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    parts = [("req-hdr", GET), ("res-hdr", OK)]
    with RawIcap(site.icap_port) as held:
        held.send(message("RESPMOD", parts, "res-body", ["Allow: 204"]), chunk(EICAR[:20]))
        rules = [{"host": "files.example"}]
        reload(site, icapd, exclusions=rules, submit={"types": ["executable"]})
        held.send(chunk(EICAR[20:]), b"0\r\n\r\n")
        assert held.answer().http_status == 403
        held.send(message("RESPMOD", parts, "res-body", ["Allow: 204"]), chunk(EICAR))
        held.send(b"0\r\n\r\n")
        assert held.answer().status == 204


def test_a_new_client_certificate_is_shown_to_kata(
    site: Site, started: Keep, kata: Emulator
) -> None:
    """Renewed under the same name, as by a timer."""
    icapd = started(site.start_icapd())
    with IcapClient("127.0.0.1", site.icap_port, timeout=30) as client:
        assert respmod(client, b"before") == 204
        put_certificate(site.directory / "client.pem", site.directory / "client.key", "renewed")
        assert respmod(client, b"still the old one") == 204
        reload(site, icapd)
        assert respmod(client, b"after") == 403
        wait_until(lambda: "or its certificate changed" in icapd.output(), "KATA asks back")
        # accepted meanwhile: nobody waits for the next knock, whose pauses grow
        sensors = site.directory.parent / "kata" / "sensors.json"
        known = json.loads(sensors.read_text())
        known[site.sensor_id].update(fingerprint=known[site.sensor_id]["changed_to"], accepted=True)
        sensors.write_text(json.dumps(known))
        again = icapd.output().count("KATA takes files again")
        reload(site, icapd)
        wait_until(lambda: icapd.output().count("KATA takes files again") > again, "it is asked")
        assert respmod(client, b"after") == 204


def test_what_waits_for_a_restart_needs_its_old_files_no_longer(
    site: Site, started: Keep, workers: int
) -> None:
    tls_port = free_port()
    files = site.directory / "tls.pem", site.directory / "tls.key"
    put_certificate(*files)
    tls = {"listen": [f"127.0.0.1:{tls_port}"], "cert": "tls.pem", "key": "tls.key"}
    site.changes = {"icap": {"workers": workers, "tls": tls}}
    icapd = started(site.start_icapd())
    shown = served_by(tls_port)
    del site.changes["icap"]["tls"]
    for file in files:
        file.unlink()
    if workers > 1:  # one that is replaced would find no certificate, and serve no port at all
        said = reload(site, icapd, exclusions=[{"host": "files.example"}])
        assert "tls.pem: No such file or directory (icap.tls). It counts until a restart" in said
        assert "put it back, or restart" in said
        return
    for rules, status in (([{"host": "files.example"}], 204), ([], 403)):
        said = reload(site, icapd, exclusions=rules)
        assert said.endswith("is reloaded; what takes a restart stays as it was: icap.tls")
        with IcapClient("127.0.0.1", site.icap_port, timeout=30) as client:
            assert respmod(client, EICAR) == status
        assert served_by(tls_port) == shown


@contextmanager
def load(site: Site, clients: int) -> Iterator[list[str]]:
    """Requests without a pause, on connections that stay and on new ones; what went wrong."""
    wrong: list[str] = []
    stop = threading.Event()

    def ask(number: int) -> None:
        try:
            while not stop.is_set():
                with IcapClient("127.0.0.1", site.icap_port, timeout=60) as client:
                    for turn in range(50):
                        bad = turn % 10 == 9
                        status = respmod(client, EICAR if bad else b"clean %d" % (turn % 3))
                        if status != (403 if bad else 204):
                            wrong.append(f"{number}: {status}")
        except Exception as error:
            wrong.append(f"{number}: {error!r}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def children(pid: int) -> list[int]:
    """The processes that it started, itself first."""
    found = [pid]
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(each.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(each.parent.name))
        except (OSError, ValueError):
            continue
    return sorted(found)


def held(pid: int, *ports: int) -> tuple[int, int]:
    """Descriptors and threads of a process; connections from and to `ports` are not among them."""
    folder = Path(f"/proc/{pid}")
    ends = {f"{port:04X}" for port in ports}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    others = {f"socket:[{row[9]}]" for row in rows if ends & {row[1][-4:], row[2][-4:]}}
    count = 0
    for link in (folder / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(link) not in others  # noqa: PTH115 - a link to no path
    return count, len(list((folder / "task").iterdir()))


def resident(pid: int) -> int:
    """KiB."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def reload_again_and_again(site: Site, started: Keep, workers: int, times: int) -> None:
    site.changes = {"icap": {"workers": workers}}
    icapd = started(site.start_icapd())
    ports = site.icap_port, int(site.url.rpartition(":")[2])
    with load(site, 4) as wrong:
        for number in range(times):
            wait_until(lambda: "icapd listens" in icapd.output(), "all of them serve", 30)
            if number == times // 2:
                before = {
                    pid: (*held(pid, *ports), resident(pid)) for pid in children(icapd.process.pid)
                }
            rules = [{"name": f"*.{number}", "source": "10.0.0.0/8"}]
            said = reload(site, icapd, exclusions=rules, icap={"preview": 1024 + number % 7})
            assert said.endswith("is reloaded")
    assert wrong == []
    assert children(icapd.process.pid) == sorted(before)

    def is_flat() -> bool:
        return all(
            now <= then + more
            for pid in before
            for now, then, more in zip(held(pid, *ports), before[pid], (0, 8), strict=False)
        )  # pools of threads fill up one by one

    wait_until(is_flat, "descriptors and threads are given back", 30)
    grown = {pid: resident(pid) - before[pid][2] for pid in before}
    if times >= 100:  # before that, memory that is used again is still being found
        assert max(grown.values()) < _GROWTH_KIB, f"KiB: {grown}"
    print(f"KiB grown in the second half of {times} reloads: {grown}")
    asked = len(site.records())
    assert asked == len({record["case"] for record in site.records()})


def test_reloads_under_load_fail_nothing_and_leave_nothing(
    site: Site, started: Keep, workers: int
) -> None:
    reload_again_and_again(site, started, workers, 6)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_hundred_reloads_under_load(site: Site, started: Keep, workers: int) -> None:
    reload_again_and_again(site, started, workers, 200)


def test_a_worker_that_dies_while_it_is_reloaded_is_replaced_with_the_new(
    site: Site, started: Keep
) -> None:
    site.changes = {"icap": {"workers": 2}}
    icapd = started(site.start_icapd())
    wait_until(lambda: "workers: 2" in icapd.output(), "both serve", 30)
    victim = children(icapd.process.pid)[-1]
    os.kill(victim, signal.SIGSTOP)
    site.changes["exclusions"] = [{"host": "files.example"}]
    assert site.config.exists()
    icapd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "stands on what a stranger" in icapd.output(), "the other one reloads")
    assert not DONE.findall(icapd.output())
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: DONE.findall(icapd.output()), "the reload ends", 30)
    wait_until(lambda: "works again" in icapd.output(), "it is replaced", 30)
    for _ in range(8):
        with IcapClient("127.0.0.1", site.icap_port, timeout=30) as client:
            assert respmod(client, EICAR) == 204


def test_a_reload_that_a_stop_overtakes_changes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = site.settings()
    log = LineLog(settings.logs.dir / "verdicts.log")
    monkeypatch.setattr("icapd.program.start_log", lambda *_: log)
    reads, answers = threading.Event(), threading.Event()

    def read() -> Settings:
        reads.set()
        answers.wait(60)
        return settings

    async def work() -> None:
        stop, hangup = asyncio.Event(), asyncio.Event()
        hangup.set()
        serving = asyncio.create_task(
            program._serve(Configuration("k.yaml", read), settings, stop, hangup)
        )
        await asyncio.to_thread(reads.wait, 60)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.icap_port)
        preview = message("RESPMOD", [("res-hdr", OK)], "res-body", ["Preview: 0"])
        writer.write(preview + b"0\r\n\r\n")
        assert b" 100 " in await reader.readline()  # the stop waits for the rest
        stop.set()
        await asyncio.sleep(0)
        answers.set()
        while "reloaded" not in caplog.text:
            await asyncio.sleep(0.01)
        assert not serving.done()
        writer.close()
        await serving

    with caplog.at_level(logging.WARNING):
        asyncio.run(asyncio.wait_for(work(), 60))
    assert "is not reloaded: the program stops" in caplog.text
    assert "is reloaded" not in caplog.text
