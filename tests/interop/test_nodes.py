"""Two nodes with one redis: each content is judged once, whichever node is asked, whoever dies."""

from __future__ import annotations

import itertools
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bridge.core import CUT_OFF
from bridge.emulator import Emulator
from icapd.client import IcapClient
from tests.conftest import need
from tests.support.katabridge import Site, deep_merge
from tests.support.origin import Origin
from tests.support.processes import Program, free_port, wait_until
from tests.support.redis import RedisServer
from tests.support.squid import EXAMPLE, Fetched, Squid

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with RedisServer(need("redis-server"), folder, password="planted-secret") as running:
        yield running


@pytest.fixture
def nodes(tmp_path: Path, site: Site, redis: RedisServer) -> list[Site]:
    """Two sites of one sensor: hosts of their own, one KATA and one redis."""
    shared = {"verdicts": {"store": redis.url}, "icap": {"services": _SERVICES}}
    found = []
    for name in ("one", "two"):
        node = replace(site, directory=tmp_path / name, icap_port=free_port())
        node.sensor_id = site.sensor_id
        node.changes = {**shared, "kata": {"node": name}}
        for file in ("client.pem", "client.key"):
            (node.directory / file).write_bytes((site.directory / file).read_bytes())
        found.append(node)
    return found


_SERVICES = {"av/respmod": {"method": "RESPMOD", "hold": "60s"}}


def ask(node: Site, body: bytes) -> int:
    """The status a client gets: 204, or that of the page."""
    with IcapClient("127.0.0.1", node.icap_port, timeout=90) as client:
        answer = client.respmod("av/respmod", GET, OK, body, preview=1024)
    return answer.status if answer.status == 204 else answer.http_head.status or 0


def test_a_thousand_requests_for_a_hundred_contents_cost_a_hundred_submissions(
    kata: Emulator, nodes: list[Site], started: Keep
) -> None:
    for node in nodes:
        started(node.start_icapd())
    contents = [
        b"#kata state=%b delay=0.5\n%d" % (b"detect" if n % 10 == 0 else b"not_detected", n)
        for n in range(100)
    ]
    wanted = [(nodes[n % 2], contents[n * 7 % 100]) for n in range(1000)]
    with ThreadPoolExecutor(60) as clients:
        got = list(clients.map(lambda pair: ask(*pair), wanted))
    for (_, body), status in zip(wanted, got, strict=True):
        assert status == (403 if body.startswith(b"#kata state=detect") else 204)
    assert kata.memory.calls["submit"] == 100
    records = [record for node in nodes for record in node.wait_records(500)]
    assert Counter(record["source"] for record in records).keys() == {"kata", "known"}
    assert len({record["case"] for record in records}) == 1000
    wait_until(lambda: not kata.memory.scans, "the scans are DELETEd", 30)
    logs = [(node.directory / "icapd.out").read_text() for node in nodes]
    assert not [log for log in logs if "planted-secret" in log]


@pytest.mark.long
def test_who_waits_gets_the_verdict_though_the_owner_was_killed(
    kata: Emulator, nodes: list[Site], started: Keep
) -> None:
    owner, other = nodes
    dying = owner.start_icapd()
    started(other.start_icapd())
    bodies = [b"#kata state=detect delay=3\n%d" % n for n in range(10)]
    with ThreadPoolExecutor(40) as clients:
        lost = [clients.submit(_ask_in_vain, owner, body) for body in bodies]
        wait_until(lambda: len(kata.memory.scans) == 10, "the owner has them all at KATA")
        waiting = [clients.submit(ask, other, body) for body in bodies * 3]
        wait_until(lambda: _connections(other) >= 30, "they wait")
        assert kata.memory.calls["submit"] == 10, "the other did not wait for the owner"
        dying.process.send_signal(signal.SIGKILL)
        dying.process.wait()
        assert [each.result() for each in waiting] == [403] * 30
        for each in lost:
            each.result()
    assert kata.memory.calls["submit"] == 20, "each was taken over once"


def _ask_in_vain(node: Site, body: bytes) -> None:
    with pytest.raises((OSError, EOFError, ValueError, ConnectionError)):
        ask(node, body)


def _connections(node: Site) -> int:
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    local = f":{node.icap_port:04X}"
    return sum(row.split()[1].endswith(local) and row.split()[3] == "01" for row in rows)


def test_without_redis_every_request_is_answered_and_verdicts_are_shared_again_later(
    kata: Emulator, nodes: list[Site], started: Keep, redis: RedisServer
) -> None:
    first, second = nodes
    programs = [started(node.start_icapd()) for node in nodes]
    assert ask(first, b"#kata state=detect\n1") == 403
    redis.kill()
    assert ask(first, b"#kata state=detect\n1") == 403, "the front in memory knows it"
    assert ask(first, b"#kata state=detect\n2") == 403
    assert ask(second, b"#kata state=detect\n2") == 403, "it asks KATA itself"
    assert kata.memory.calls["submit"] == 3
    redis.start()
    shared = threading.Event()

    def is_shared() -> bool:
        body = b"#kata state=detect\n3%d" % kata.memory.calls["submit"]
        before = kata.memory.calls["submit"]
        assert ask(first, body) == ask(second, body) == 403
        if kata.memory.calls["submit"] == before + 1:
            shared.set()
        return shared.is_set()

    wait_until(is_shared, "the nodes share again", 60)
    for program in programs:
        assert "planted-secret" not in program.output()


@dataclass
class Balanced:
    """A Squid with examples/squid/two-nodes.conf before both nodes, and what it gave to whom."""

    squid: Squid
    origin: Origin
    nodes: list[Site]
    got: dict[str, Fetched] = field(default_factory=dict)

    def fetch(self, name: str, body: bytes) -> Fetched:
        """Have a body under a new name."""
        self.origin.served[f"/{name}"] = body
        self.got[name] = self.squid.curl(self.origin.url(f"/{name}"))
        return self.got[name]

    def fetch_all(self, kind: str, bodies: list[bytes]) -> list[Fetched]:
        """Have them all at once."""
        with ThreadPoolExecutor(len(bodies)) as clients:
            names = [f"{kind}-{number}" for number in range(len(bodies))]
            return list(clients.map(self.fetch, names, bodies))

    def records(self) -> list[Counter[str]]:
        """How many each node has for each name, of cases whose client was answered."""
        return [
            Counter(
                record["context"]["url"].rpartition("/")[2]
                for record in node.records()
                if record["rule"] != CUT_OFF
            )
            for node in self.nodes
        ]

    def has_answer(self, name: str) -> bool:
        """Whether it came whole, or blocked."""
        fetched = self.got[name]
        whole = fetched.exit_code == 0 and fetched.body == self.origin.served[f"/{name}"]
        return whole or fetched.status == 403

    def check(self) -> None:
        """Each answer has its record, on one node, and nothing bad went through."""
        answered = {name for name in self.got if self.has_answer(name)}
        # one of a threat waits for its name
        wait_until(lambda: answered <= set().union(*self.records()), "each has its record", 20)
        one, two = self.records()
        for name, fetched in self.got.items():
            if name in answered:
                assert one[name] + two[name] == 1, f"{name}: {fetched}, {one[name]} {two[name]}"
                is_bad = b"state=detect" in self.origin.served[f"/{name}"]
                assert (fetched.status == 403) == is_bad, f"{name}: {fetched}"
            else:  # it was under way when its node died
                assert name.startswith("large"), f"{name}: {fetched}"


@pytest.fixture
def balanced(
    tmp_path: Path, nodes: list[Site], origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Balanced]:
    text = EXAMPLE.with_name("two-nodes.conf").read_text()
    for node, address in zip(nodes, ("10.0.0.11:1344", "10.0.0.12:1344"), strict=True):
        text = text.replace(address, f"127.0.0.1:{node.icap_port}")
        services = {"av/reqmod": {"method": "REQMOD"}}
        node.changes = deep_merge(node.changes, {"icap": {"services": services}})
    config = tmp_path / "two-nodes.conf"
    config.write_text(text)
    monkeypatch.setattr("tests.support.squid.EXAMPLE", config)
    revival = "icap_service_revival_delay 1"
    with Squid(need("squid"), nodes[0].icap_port, revival) as squid:
        yield Balanced(squid, origin, nodes)


def contents(count: int, *, size: int = 0, delay: float = 0.0, new: int = 0) -> list[bytes]:
    """So many different bodies, every third of them bad. `new` tells apart what is asked for."""
    states = [b"detect" if number % 3 == 0 else b"not_detected" for number in range(count)]
    return [
        b"#kata state=%b delay=%.1f\n%d %d%b" % (state, delay, number, new, b"x" * size)
        for number, state in enumerate(states)
    ]


@pytest.mark.long
def test_behind_a_squid_that_balances_a_node_and_the_redis_may_go(
    kata: Emulator, nodes: list[Site], started: Keep, redis: RedisServer, balanced: Balanced
) -> None:
    first = nodes[0].start_icapd()
    started(nodes[1].start_icapd())
    balanced.fetch_all("both", contents(24, new=1))
    assert all(balanced.records()), "one of them got nothing"

    # a node dies: what Squid still has whole goes to the other (once its claims have run out)
    with ThreadPoolExecutor(2) as threads:
        small = threads.submit(balanced.fetch_all, "small", contents(8, delay=2, new=2))
        large = threads.submit(
            balanced.fetch_all, "large", contents(8, size=300_000, delay=2, new=3)
        )
        wait_until(lambda: len(kata.memory.scans) >= 16, "they are at KATA", 20)
        first.process.kill()
        first.process.wait()
        assert {fetched.status for fetched in small.result()} == {200, 403}
        print([str(each) for each in large.result()])
    balanced.fetch_all("one", contents(12, new=4))

    # it is back
    first = started(nodes[0].start_icapd())
    before = balanced.records()[0].total()
    numbers = itertools.count()

    def is_asked() -> bool:
        balanced.fetch_all(f"back{next(numbers)}", contents(4, new=5))
        return balanced.records()[0].total() > before

    wait_until(is_asked, "it gets its share again", 30)

    # without redis each judges by itself, and with it they share again
    redis.kill()
    balanced.fetch_all("alone", contents(12, new=6))
    redis.start()
    balanced.fetch_all("shared", contents(12, new=7))
    balanced.check()
