"""`kill -9` of icapd in monitor: who has his object has a record, after the next start."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from bridge.emulator import Emulator
from tests.support.katabridge import Site
from tests.support.outage import METHODS, Question, service, services
from tests.support.processes import Program, wait_until
from tests.support.raw_icap import RawIcap, chunk, message

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

BAD = b"#kata state=detect\n"
KILLS = 8
REQUESTS = 13 * KILLS
WORKERS = 6
SIZES = (90, 20_000, 100_000, 300_000)


class Streaming:
    """A user behind a proxy: what of an object he has, whether or not its message ended."""

    def __init__(self, port: int, question: Question) -> None:
        self._question = question
        self._icap = RawIcap(port)

    def has_all(self) -> bool:
        """Send the object, read until the end or the kill; whether all of its bytes came."""
        question = self._question
        mode, method, body = question.mode, question.method, question.body
        kind = "res-body" if method == "RESPMOD" else "req-body"
        name = "res-hdr" if method == "RESPMOD" else "req-hdr"
        request = message(method, [(name, question.head)], kind)
        path = f"/{service(mode, method)} ".encode()
        request = request.replace(f"/av/{method.lower()} ".encode(), path, 1)
        with self._icap as icap:
            received = b""
            try:
                pieces = [body[at : at + 20_000] for at in range(0, len(body), 20_000)]
                icap.send(request, *map(chunk, pieces), b"0\r\n\r\n")
                while piece := icap.socket.recv(1 << 20):
                    received += piece
                    if received.endswith(b"\r\n0\r\n\r\n"):
                        break
            except (ConnectionError, TimeoutError):
                pass
        return _body(received, question.head) == body


def _body(received: bytes, head: bytes) -> bytes:
    """The bytes of all chunks that came, and of the beginning of one that did not come whole."""
    rest, body = received.partition(head)[2], b""
    while b"\r\n" in rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        body += rest[:size]
        rest = rest[size + 2 :]
        if not size:
            break
    return body


@dataclass
class Users:
    """WORKERS users, each of whom fetches and sends one object after another.

    `have`: what they have wholly; `broken`: how many were left with a part.
    """

    port: int
    have: list[Question] = field(default_factory=list)
    broken: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def use(self, number: int) -> None:
        """One user, until the door is shut."""
        while not self.stop.is_set():
            body = (BAD if number % 5 == 0 else b"") + os.urandom(SIZES[number % 4])
            question = Question("monitor", METHODS[number // 4 % 2], body)
            try:
                whole = Streaming(self.port, question).has_all()
            except ConnectionError:
                return  # nobody is there
            if whole:
                self.have.append(question)
            else:
                self.broken += 1
            number += WORKERS

    def until_kill(self, icapd: Program, more: float) -> None:
        """Have REQUESTS / KILLS objects, and the kill `more` seconds later."""
        with ThreadPoolExecutor(WORKERS) as threads:
            users = [threads.submit(self.use, number) for number in range(WORKERS)]
            wait_until(lambda: len(self.have) >= REQUESTS // KILLS, "some have theirs")
            time.sleep(more)
            icapd.process.send_signal(signal.SIGKILL)
            icapd.process.wait()
            self.stop.set()
            for user in users:
                user.result()


def test_who_has_an_object_has_a_record_after_kills(kata: Emulator, site: Site) -> None:
    kata.memory.delay = 0.5
    site.changes = {"icap": {"services": services("2s")}, "spool": {"memory": "64KiB"}}
    chance = random.Random(4)
    have: list[Question] = []
    broken = 0
    for _ in range(KILLS):
        users = Users(site.icap_port)
        users.until_kill(site.start_icapd(), chance.uniform(0.0, 0.2))
        have += users.have
        broken += users.broken
    assert len(have) >= REQUESTS
    assert broken, "the kills hit nobody"
    icapd = site.start_icapd()
    wanted = {hashlib.sha256(q.body).hexdigest(): q for q in have}
    wait_until(
        lambda: wanted.keys() <= {record["sha256"] for record in site.records()},
        "each who has his object has a record",
        120,
    )
    records = site.records()
    assert len({record["case"] for record in records}) == len(records)
    for record in records:
        question = wanted.get(record["sha256"])
        if question is not None:
            bad = question.body.startswith(BAD)
            assert record["outcome"] == ("detect" if bad else "not_detected")
            assert (record["decision"], record["late"]) == ("pass", True)
    late = {r["sha256"] for r in site.records("log-detects.log") if r["late"]}
    assert late >= {sha256 for sha256, q in wanted.items() if q.body.startswith(BAD)}
    kept = site.directory / "spool" / "test.icap.0.kept"
    wait_until(lambda: list(kept.iterdir()) == [], "nothing is kept any longer", 60)
    assert icapd.stop() == 0
    assert "Traceback" not in icapd.output()
