"""The status page's process, as browsers, Prometheus and balancers see it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.support.katabridge import Site
from tests.support.outage import metrics
from tests.support.processes import Program, free_port, module, wait_until
from tests.support.promql import read_query
from tests.support.quarantine import command, fill
from tests.support.shared_doors import SharedDoors, SharedSite

Keep = Callable[[Program], Program]
TOKEN = "planted-token-0123456789"
_GRAFANA = Path(__file__).parents[2] / "examples" / "grafana"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((_GRAFANA / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
GET = b"GET http://files.example/a%3Cb%3E.exe?x=1 HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Page:
    """The port of a status page."""

    def __init__(self) -> None:
        self.port = free_port()

    def ask(
        self,
        path: str,
        token: str | None = None,
        body: object = None,
        method: str = "",
        host: str | None = None,
    ) -> Got:
        """One request on a connection of its own."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {"Host": host} if host else {}
        data = None if body is None else json.dumps(body)
        try:
            link.request(method or ("POST" if data else "GET"), path, data, headers)
            answer = link.getresponse()
            return Got(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            link.close()

    def answers(self, path: str, status: int = 200) -> bool:
        try:
            return self.ask(path).status == status
        except OSError:
            return False

    @property
    def settings(self) -> dict[str, Any]:
        """What puts it there."""
        where = f"127.0.0.1:{self.port}"
        status = {"icapd": where, "watch": where, "token": TOKEN, "hosts": ["gate.example"]}
        return {"status": status}


@pytest.fixture
def page(site: Site) -> Page:
    page = Page()
    site.changes = page.settings
    return page


@pytest.fixture(scope="module")
def shared_page() -> Page:
    return Page()


@pytest.fixture
def shared(doors: SharedDoors, shared_page: Page) -> SharedSite:
    """A running icapd with that page, for the tests that leave it as it was."""
    site = doors(shared_page.settings)
    wait_until(lambda: shared_page.answers("/ready"), "it is ready", 40)
    return site


def judge(site: Site, body: bytes, head: bytes = GET) -> None:
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        client.respmod("av/respmod", head, OK, body, preview=1024)


def page_process(program: Program) -> int:
    """The process that answers for it."""
    pid = program.process.pid
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (found,) = [w for w in words if b"bridge.status" in Path(f"/proc/{w}/cmdline").read_bytes()]
    return int(found)


@pytest.fixture
def running(kata: Emulator, site: Site, page: Page, started: Keep) -> Iterator[Program]:
    del kata
    program = started(site.start_icapd())
    wait_until(lambda: page.answers("/ready"), "it is ready", 40)
    yield program


def test_it_has_streams_where_the_daemon_was_given_none(
    kata: Emulator, site: Site, page: Page, started: Keep
) -> None:
    del kata
    closed = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh"]
    command = [*closed, *module("icapd.cli"), "--config", site.config]
    program = started(Program(command, site.directory / "icapd.out"))
    wait_until(lambda: page.answers("/ready"), "it is ready", 40)
    for pid in (program.process.pid, page_process(program)):
        links = [Path(f"/proc/{pid}/fd/{number}").readlink() for number in range(3)]
        assert links == [Path(os.devnull)] * 3


def test_what_everybody_may_see(site: Site, page: Page, running: Program) -> None:
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        client.options("av/respmod")
    judge(site, EICAR)
    live = page.ask("/api/live").json
    assert (live["program"], live["node"], live["live"]) == ("icapd", "test", True)
    parts = dict.fromkeys(("kata", "store", "spool", "descriptors"), True)
    assert live["ready"] == parts
    assert live["token_set"] is True
    assert [node["state"] for node in live["kata"]] == ["ok"]
    assert live["services"][0]["mode"] == "advanced"
    (proxy,) = live["proxies"]
    assert (proxy["address"], proxy["requests"], proxy["withheld"]) == ("127.0.0.1", 1, 0)
    assert time.time() - 60 < proxy["options"] <= proxy["request"] + 5 <= time.time() + 5
    assert live["figures"]["cases"] == {"detect": 1}
    assert live["figures"]["fds"] > 5
    ready = page.ask("/ready")
    assert ready.json == {"live": True, "ready": True, **parts}
    assert page.ask("/health").body == b"live\n"
    assert set(page.ask("/api/series?span=day").json["series"]) > {"requests", "p95", "kata"}
    assert page.ask("/api/series?span=year").status == 400
    assert running.process.poll() is None


def test_who_only_asks_options_sends_no_traffic(site: Site, page: Page, running: Program) -> None:
    """By what the alert counts: a balancer does so, and a proxy that goes by us now."""
    del running
    (rule,) = (each for each in RULES if each["alert"] == "KatabridgeNoTraffic")
    name, labels = read_query(rule["expr"]).metrics[0]

    def counted() -> float:
        found = metrics(page.port)
        return sum(
            value
            for sample, value in found.items()
            if sample.startswith(name)
            and all(f'{key}="{of}"' in sample for key, of in labels.items())
        )

    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        client.options("av/respmod")
        client.options("av/reqmod")
    assert counted() == 0
    judge(site, os.urandom(8))
    wait_until(lambda: counted() == 1, "what is judged counts")


def test_each_answer_is_guarded(shared_page: Page, shared: SharedSite) -> None:
    del shared
    for path in ("/", "/metrics", "/nothing", "/api/history", "/assets/../server.py"):
        got = shared_page.ask(path)
        assert "default-src 'none'" in got.headers["Content-Security-Policy"], path
        assert got.headers["X-Content-Type-Options"] == "nosniff"
        assert got.headers["Cache-Control"] == "no-store"
    assert shared_page.ask("/nothing").json == {"error": "404: Not Found"}
    assert shared_page.ask("/api/live", method="DELETE").status == 405
    assert shared_page.ask("/metrics", method="HEAD").body == b""
    assert shared_page.ask("/assets/%2e%2e%2fserver.py").status == 404


def test_who_is_led_here_by_a_strangers_name_gets_nothing(
    shared_page: Page, shared: SharedSite
) -> None:
    del shared
    for path in ("/", "/api/live", "/api/history", "/assets/main.js"):
        port = shared_page.port
        for host in ("evil.example", f"evil.example:{port}", "[", "127.0.0.1.evil.example"):
            got = shared_page.ask(path, TOKEN, host=host)
            assert got.status in (400, 421), (path, host)
            assert b"status.hosts" in got.body or got.status == 400
    for host in ("localhost:8344", "[::1]:8344", "10.1.2.3", socket.gethostname(), "Gate.Example"):
        assert shared_page.ask("/api/live", host=host).status == 200, host
    assert shared_page.ask("/metrics", host="evil.example").status == 200


def test_a_log_of_outages_that_cannot_be_read_costs_the_time_line_only(
    shared_page: Page, shared: SharedSite
) -> None:
    log = shared.directory / "log" / "log-events.log"
    log.unlink()
    log.mkdir()
    try:
        live = shared_page.ask("/api/live")
        assert (live.status, live.json["outages"]) == (200, [])
    finally:
        log.rmdir()


def test_a_reload_brings_a_new_token(site: Site, page: Page, running: Program) -> None:
    assert page.ask("/api/history", TOKEN).status == 200
    site.changes["status"]["token"] = "another-token-0123456789"
    assert site.config.exists()
    running.process.send_signal(signal.SIGHUP)

    def takes(token: str) -> bool:
        try:
            return page.ask("/api/history", token).status == 200
        except OSError:  # its process is being replaced
            return False

    wait_until(lambda: takes("another-token-0123456789"), "the new token is taken", 40)
    assert not takes(TOKEN)
    assert "is replaced" not in running.output()


def test_the_history_is_for_who_has_the_token(site: Site, page: Page, running: Program) -> None:
    judge(site, b"harmless", b"GET http://files.example/a%E2%80%AEb%1B.exe HTTP/1.1\r\n\r\n")
    judge(site, EICAR)
    detect, clean = site.wait_records(2)[::-1]
    for token in (None, "wrong-token-0123456789"):
        for path in ("/api/history", f"/api/case/{detect['case']}"):
            got = page.ask(path, token)
            assert (got.status, list(got.json)) == (401, ["error"])
            assert detect["case"] not in got.body.decode()
        assert page.ask(f"/api/known/{detect['sha256']}", token, {"do": "forget"}).status == 401
    wait_until(lambda: "a wrong token is shown by 127.0.0.1" in running.output(), "it is said")
    assert running.output().count("wrong token") == 1
    found = page.ask("/api/history?limit=10", TOKEN).json
    assert [case["case"] for case in found["cases"]] == [detect["case"], clean["case"]]
    assert found["complete"] is True
    assert found["cases"][1]["name"] == "a\\u202eb\\x1b.exe"
    assert len(page.ask("/api/history?name=HARM&outcome=detect", TOKEN).json["cases"]) == 0
    for wrong in ("limit=0", "limit=x", "since=nan", "client=nowhere", "cursor=damaged"):
        got = page.ask(f"/api/history?{wrong}", TOKEN)
        assert (got.status, list(got.json)) == (400, ["error"]), wrong
    for answer in (page.ask("/api/live"), page.ask("/metrics")):
        assert TOKEN.encode() not in answer.body
    assert TOKEN not in running.output()


def test_a_case_and_what_is_known_of_it(shared_page: Page, shared: SharedSite) -> None:
    judge(shared, EICAR)
    (record,) = shared.wait_records(1)
    case, sha256 = record["case"], record["sha256"]
    got = shared_page.ask(f"/api/case/{case}", TOKEN).json
    assert got["record"] == record
    assert [line["case"] for line in got["detections"]] == [case]
    assert got["known"]["outcome"] == "detect"
    assert any("blocking_advanced mode" in line for line in got["log"])
    known = f"/api/known/{sha256}"
    allowed = shared_page.ask(known, TOKEN, {"do": "allow", "for": "1h"}).json["known"]
    assert (allowed["outcome"], allowed["rule"]) == ("not_detected", "allowed by hand")
    assert shared_page.ask(known, TOKEN, {"do": "forget"}).json == {"known": None}
    wait_until(lambda: f"calls {sha256} clean for 3600 s" in shared.output(), "it is said")
    assert f"has {sha256} judged anew" in shared.output()
    nested: object = []
    for _ in range(600):
        nested = [nested]
    wrong: object
    for wrong in ({"do": "x"}, {"do": "allow"}, {"do": "allow", "for": "soon"}, [], "x", nested):
        assert shared_page.ask(known, TOKEN, wrong).status == 400, wrong
    assert shared_page.ask("/api/known/abc", TOKEN, {"do": "forget"}).status == 400
    assert shared_page.ask("/api/case/..%2f..", TOKEN).status in (400, 404)
    empty = shared_page.ask("/api/case/0000000000000000", TOKEN).json
    nothing: dict[str, Any] = {"record": None, "known": None, "known_fault": None, "missing": {}}
    assert empty == nothing | {"complete": True, "detections": [], "acts": [], "log": []}


def test_without_a_token_there_is_no_history(
    kata: Emulator, site: Site, page: Page, started: Keep
) -> None:
    del kata
    site.changes["status"]["token"] = None
    started(site.start_icapd())
    wait_until(lambda: page.answers("/health"), "it answers", 40)
    assert page.ask("/api/live").json["token_set"] is False
    got = page.ask("/api/history", "None")
    assert (got.status, got.json) == (401, {"error": "no token is configured (status.token)"})


def test_ready_says_what_is_missing(
    kata: Emulator, site: Site, page: Page, running: Program
) -> None:
    del running
    kata.stop()

    def away() -> bool:
        judge(site, os.urandom(8))
        return page.ask("/ready").json["kata"] is False

    wait_until(away, "KATA is seen to be away", 30)
    assert page.ask("/ready").status == 503
    assert page.ask("/health").status == 200
    assert [node["state"] for node in page.ask("/api/live").json["kata"]] == ["unreachable"]


def test_a_daemon_that_hangs_is_not_live(shared_page: Page, shared: SharedSite) -> None:
    shared.program.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: shared_page.answers("/health", 503), "it is not live", 40)
        assert shared_page.ask("/metrics").status == 503
        live = shared_page.ask("/api/live").json
        assert live["live"] is False
        assert live["kata"]  # what it said last
    finally:
        shared.program.process.send_signal(signal.SIGCONT)
    wait_until(lambda: shared_page.answers("/health"), "it lives again")


def test_the_page_may_die_and_comes_back(shared_page: Page, shared: SharedSite) -> None:
    first = page_process(shared.program)
    os.kill(first, signal.SIGKILL)
    judge(shared, b"harmless")
    wait_until(lambda: shared_page.answers("/health"), "the page is back", 40)
    assert page_process(shared.program) != first
    assert "the process of the status page ended with signal 9" in shared.output()


def test_the_page_goes_with_its_daemon(kata: Emulator, site: Site, page: Page) -> None:
    del kata
    running = site.start_icapd()
    wait_until(lambda: page.answers("/health"), "it answers", 40)
    child = page_process(running)
    os.kill(child, signal.SIGTERM)  # as when the whole group is told: it waits for its daemon
    assert page.answers("/health")
    running.process.kill()
    running.process.wait()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "it is gone", 40)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", page.port), 1)


@pytest.mark.long
def test_the_charts_outlive_a_restart(
    site: Site, page: Page, running: Program, started: Keep
) -> None:
    def known() -> list[float]:
        values = page.ask("/api/series?span=hour").json["series"]["kata"]
        return [value for value in values if value is not None]

    wait_until(known, "a step is over", 40)
    running.process.terminate()
    assert running.process.wait(20) == 0
    started(site.start_icapd())
    wait_until(lambda: page.answers("/health"), "it is back", 40)
    assert known()


def test_the_folder_door_has_a_page_too(
    kata: Emulator, site: Site, page: Page, started: Keep
) -> None:
    del kata
    started(site.start_watch())
    wait_until(lambda: page.answers("/ready"), "it is ready", 40)
    (site.directory / "out").chmod(0o500)
    live = page.ask("/api/live").json
    (folder,) = live["folders"]
    assert (live["program"], folder["name"]) == ("watch", "share")
    assert folder["waiting"] == folder["held"] == folder["under_way"] == 0
    assert live["services"] == live["proxies"] == []
    (site.directory / "quarantine").rmdir()
    (site.directory / "in" / "a.com").write_bytes(EICAR)

    def troubled() -> bool:
        (folder,) = page.ask("/api/live").json["folders"]
        said = "KATA found threats in files that stay in input"
        return folder["held"] == 1 and said in folder["troubles"]

    wait_until(troubled, "its trouble is seen", 40)
    assert b"a.com" not in page.ask("/api/live").body


def test_a_case_says_what_became_of_its_file_in_quarantine(
    kata: Emulator, site: Site, page: Page, started: Keep
) -> None:
    del kata
    fill(site, started, {"a.com": EICAR})
    wait_until(lambda: page.answers("/ready"), "it is ready", 40)
    (first,) = site.records()
    assert page.ask(f"/api/case/{first['case']}", TOKEN).json["acts"] == []
    assert command(site, "rescan", "a.com", SUDO_USER="bob").returncode == 0
    assert command(site, "release", "a.com", "--yes", SUDO_USER="ann").returncode == 0
    _, rescan, release = site.wait_records(3)
    assert page.ask(f"/api/case/{first['case']}", TOKEN).json["acts"] == [release, rescan]
    second = page.ask(f"/api/case/{rescan['case']}", TOKEN).json
    assert (second["record"], second["acts"]) == (rescan, [release])
    last = page.ask(f"/api/case/{release['case']}", TOKEN).json
    assert last["record"]["context"]["by"] == "ann"
    assert last["record"]["context"]["moved_to"] == str(site.directory / "out" / "a.com")
    assert last["acts"] == []
