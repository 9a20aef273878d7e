"""`kill -9` of workers under load: who has his answer has one record, and no counter goes back."""

from __future__ import annotations

import os
import random
import secrets
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256

import pytest

from bridge.emulator import Emulator
from icapd.client import IcapClient
from tests.support.katabridge import Site
from tests.support.processes import Program, free_port, wait_until
from tests.support.workers import GET, OK, Workers, children, figures

pytestmark = pytest.mark.long
Keep = Callable[[Program], Program]
KILLS, USERS = 10, 6
COUNTS = ("_total", "_count", "_bucket")


class User(threading.Thread):
    """Asks about new contents, one after another, each once; `answered`: sha256 of those."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.over = threading.Event()
        self.answered: list[str] = []
        self.cut = 0

    def run(self) -> None:
        while not self.over.is_set():
            try:
                with IcapClient("127.0.0.1", self._port, timeout=20) as client:
                    self._ask(client)
            except OSError:
                self.cut += 1
                time.sleep(0.05)

    def _ask(self, client: IcapClient) -> None:
        for _ in range(5):
            content = secrets.token_bytes(random.choice([30, 3000, 300_000]))
            assert client.respmod("av/respmod", GET, OK, content, preview=1024).status == 204
            self.answered.append(sha256(content).hexdigest())


def test_kills_of_workers_lose_no_record_and_no_count(
    kata: Emulator, site: Site, started: Keep
) -> None:
    port = free_port()
    site.changes = {"icap": {"workers": 2}, "status": {"icapd": f"127.0.0.1:{port}"}}
    workers = Workers(site, kata, started(site.start_icapd()))
    users = [User(site.icap_port) for _ in range(USERS)]
    for user in users:
        user.start()
    before: dict[str, float] = {}
    for _ in range(KILLS):
        end = time.monotonic() + random.uniform(0.5, 2)
        while time.monotonic() < end:
            now = figures(port)
            for name, value in before.items():
                if name.partition("{")[0].endswith(COUNTS):
                    assert now[name] >= value, name
            before = now
            time.sleep(0.1)
        living = children(workers.program)
        if living:
            os.kill(random.choice(living), signal.SIGKILL)
    wait_until(lambda: figures(port)["katabridge_workers"] == 2, "both serve", 70)
    for user in users:
        user.over.set()
    for user in users:
        user.join()
    assert sum(user.cut for user in users), "the kills hit nobody"
    records = Counter(record["sha256"] for record in site.records())
    assert max(records.values()) == 1
    answered = {each for user in users for each in user.answered}
    assert len(answered) > 10 * KILLS
    assert answered <= records.keys()
    assert figures(port)["katabridge_worker_restarts_total"] >= KILLS - 2
    wait_until(lambda: not kata.memory.scans, "nothing is left at KATA", 130)
