"""Input that nobody means: coverage-guided at the protocol, mutated at a running icapd."""

from __future__ import annotations

import random
import re
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.driver import finals
from tests.support.katabridge import Site
from tests.support.processes import Program, module, wait_until
from tests.support.seeds import mutated, seeds

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

Keep = Callable[[Program], Program]


def fuzz(corpus: Path, *options: str) -> subprocess.CompletedProcess[str]:
    subprocess.run([*module("tests.fuzz"), "--seeds", str(corpus)], check=True)
    command = [*module("tests.fuzz"), str(corpus), "-max_len=4096", "-seed=3507", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=corpus.parent)


def test_the_protocol_holds_against_coverage_guided_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeded = 3 * len(seeds())
    done = fuzz(corpus, "-max_total_time=60", "-rss_limit_mb=600")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None
    assert int(runs[1]) > 5000
    assert len(list(corpus.iterdir())) > seeded, "it found no new way through the code"


def converse(port: int, seed: int) -> list[int]:
    """Send a broken conversation in pieces; what was answered, all of it well-formed."""
    chance = random.Random(seed)
    stream = mutated(chance, chance.choice(seeds()))
    said = b""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while stream:
                size = chance.choice([1, 7, 60, 4000])
                sock.sendall(stream[:size])
                stream = stream[size:]
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused and closed while we were sending
        while True:
            try:
                piece = sock.recv(65536)
            except ConnectionResetError:
                break
            if not piece:
                break
            said += piece
    return finals(said)


def test_broken_conversations_at_a_running_icapd(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())

    def run(seed_range: range) -> list[list[int]]:
        with ThreadPoolExecutor(8) as clients:
            return list(clients.map(lambda seed: converse(site.icap_port, seed), seed_range))

    run(range(1000))
    before = icapd.descriptors(), icapd.resident_kib()
    answers = run(range(1000, 9000))
    refused = [each for each in answers if each and each[-1] in (400, 505)]
    assert len(refused) > 2000
    assert sum(200 in each or 204 in each for each in answers) > 2000
    wait_until(lambda: not icapd.connections(site.icap_port), "every connection is closed")
    assert icapd.descriptors() <= before[0] + 16, "more than the connections to KATA"
    assert icapd.resident_kib() < before[1] + 20 * 1024
    spool = site.directory / "spool" / "test.icap.0"
    wait_until(lambda: not list(spool.iterdir()), "the spool is empty")
