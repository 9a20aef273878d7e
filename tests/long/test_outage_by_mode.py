"""KATA goes away in the middle of 500 requests in each mode; icapd is killed under traffic."""

from __future__ import annotations

import hashlib
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from bridge.emulator import Emulator
from tests.support.katabridge import Site
from tests.support.outage import METHODS, MODES, Question, documented, metrics, service, services
from tests.support.processes import Program, free_port, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

Keep = Callable[[Program], Program]
BAD = b"#kata state=detect\n"
REQUESTS = 500  # in each mode
KNOWN = 50  # of them known clean, and as many known bad
WORKERS = 24
HOLD = 4.0
SPARE = 20.0  # seconds beyond `hold`, on a machine that has more to do
SIZES = (60, 3000, 30_000, 90_000)  # from memory to files


@dataclass(frozen=True, slots=True)
class Seen:
    """What one user saw, and where KATA was when he asked and when he was answered."""

    question: Question
    object: str
    began: str
    ended: str
    word: str
    seconds: float


@dataclass
class Traffic:
    """Users of all modes, WORKERS at a time, in an order of chance.

    `kata`: where KATA is, for `Seen`. While `open` is not set nobody begins.
    """

    port: int
    kata: str = "works"
    seen: list[Seen] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def ask(self, job: tuple[Question, str]) -> None:
        """One user."""
        question, kind = job
        assert self.open.wait(120)
        began, start = self.kata, time.monotonic()
        word = question.ask(self.port)
        self.seen.append(Seen(question, kind, began, self.kata, word, time.monotonic() - start))


def body(number: int, *, bad: bool) -> bytes:
    """Bytes of their own."""
    return (BAD if bad else b"") + os.urandom(SIZES[number % len(SIZES)])


def jobs_of(mode: str) -> list[tuple[Question, str]]:
    """REQUESTS objects, and what is to be known of each."""
    kinds = ["known clean"] * KNOWN + ["known bad"] * KNOWN
    kinds += ["bad" if n % 6 == 0 else "clean" for n in range(REQUESTS - len(kinds))]
    return [
        (Question(mode, METHODS[n // 4 % 2], body(n, bad="bad" in kind), n), kind)
        for n, kind in enumerate(kinds)
    ]


def row(seen: Seen) -> tuple[str, str]:
    """The row of the documented table that counts for it."""
    away = seen.began == "away"
    if seen.object.startswith("known"):
        return ("away", seen.object) if away else ("works", seen.object.split()[1])
    return ("away", "new") if away else ("works", seen.object)


def may_be(seen: Seen) -> list[tuple[str, str]]:
    """The same, where KATA went or came while somebody waited: whichever it was."""
    if seen.began == seen.ended:
        return [row(seen)]
    rows = [("works", seen.object.split()[-1])]
    return rows if "known" in seen.object else [*rows, ("away", "new"), ("slow", "new")]


def check_words(traffic: Traffic, shipped: str) -> None:
    """Everybody saw what is written."""
    table = documented(shipped)
    counts: Counter[tuple[str, ...]] = Counter()
    wrong = []
    for seen in traffic.seen:
        user = (seen.question.mode, seen.question.method)
        allowed = {table[each][user] for each in may_be(seen)}
        steady = seen.began == seen.ended
        counts[*user, *(row(seen) if steady else ("changes", seen.object)), seen.word] += 1
        if seen.word not in allowed or seen.seconds > HOLD + SPARE:
            wrong.append(seen)
    for key, count in sorted(counts.items()):
        print(f"{count:5}  {' | '.join(key)}")
    print(f"longest: {max(seen.seconds for seen in traffic.seen):.1f} s")
    assert not wrong, wrong[:5]
    seen_rows = {(key[2], key[3], key[0], key[1]) for key in counts if key[2] != "changes"}
    for kata, thing in [("works", "clean"), ("works", "bad"), ("away", "new")]:
        for mode in MODES:
            for method in METHODS:
                assert (kata, thing, mode, method) in seen_rows, "nobody was there to see it"


def check_records(site: Site, traffic: Traffic, status: int, seeds: int) -> None:
    """Each case has one record, in the end, that says what its user saw; threats are told late."""
    wait_until(lambda: len(site.records()) >= len(traffic.seen) + seeds, "each has its record", 180)
    records = site.records()
    assert len({record["case"] for record in records}) == len(records)
    by_content = {(r["context"]["service"], r["sha256"]): r for r in records}
    assert len(by_content) == len(records) == len(traffic.seen) + seeds
    late = set()
    for seen in traffic.seen:
        asked, bad = seen.question, "bad" in seen.object
        sha256 = hashlib.sha256(asked.body).hexdigest()
        record = by_content[service(asked.mode, asked.method), sha256]
        decision = {"403": "block", "503": "hold"}.get(seen.word, "pass")
        assert record["decision"] == decision, (seen, record)
        if asked.mode == "monitor":
            assert record["outcome"] == ("detect" if bad else "not_detected")
            assert record["late"] == (not seen.object.startswith("known"))
        after = not seen.object.startswith("known") and record["outcome"] != "unavailable"
        if bad and decision == "pass" and after:
            late.add(sha256)
    wait_until(
        lambda: {r["sha256"] for r in site.records("log-detects.log") if r["late"]} >= late,
        "late detections are told",
        120,
    )
    told = [
        r["sha256"]
        for r in site.records("log-detects.log")
        if r["late"] and r["decision"] == "pass"
    ]
    assert sorted(told) == sorted(late)
    assert late
    assert metrics(status)['katabridge_late_detections_total{door="ICAP"}'] == len(late)


def seed(traffic: Traffic, jobs: list[tuple[Question, str]]) -> int:
    """Have KATA judge what is to be known before; how many that were."""
    known = [question for question, kind in jobs if kind.startswith("known")]
    asked = [
        Question("advanced" if q.mode != "advanced" else "standard", "RESPMOD", q.body)
        for q in known
    ]
    with ThreadPoolExecutor(WORKERS) as threads:
        words = set(threads.map(lambda question: question.ask(traffic.port), asked))
    assert words == {"pass", "403"}
    return len(known)


@pytest.mark.parametrize(
    ("policy", "heading"),
    [({}, "As shipped"), ({"unavailable": "pass"}, "With `policy: {unavailable: pass}`")],
    ids=["shipped", "unavailable passes"],
)
def test_an_outage_in_the_middle_of_500_requests_in_each_mode(
    kata: Emulator, site: Site, started: Keep, policy: dict[str, str], heading: str
) -> None:
    status = free_port()
    site.changes = {
        "icap": {"services": services(f"{HOLD:.0f}s")},
        "policy": policy,
        "spool": {"memory": "16KiB"},
        "status": {"icapd": f"127.0.0.1:{status}"},
    }
    icapd = started(site.start_icapd())
    jobs = [job for mode in MODES for job in jobs_of(mode)]
    random.Random(6).shuffle(jobs)
    traffic = Traffic(site.icap_port)
    seeds = seed(traffic, jobs)
    traffic.open.set()

    def state_is(state: int) -> Callable[[], bool]:
        return lambda: metrics(status)["katabridge_kata_state"] == state

    def done(count: int) -> Callable[[], bool]:
        return lambda: len(traffic.seen) >= count

    assert state_is(1)()
    with ThreadPoolExecutor(WORKERS) as threads:
        futures = [threads.submit(traffic.ask, job) for job in jobs]
        wait_until(done(len(jobs) // 3), "a third", 120)
        traffic.kata = "going"
        kata.stop()
        traffic.kata = "away"
        wait_until(state_is(0), "its absence is seen")
        wait_until(done(2 * len(jobs) // 3), "two thirds", 120)
        assert state_is(0)()
        traffic.open.clear()  # who begins while KATA comes back could see either
        traffic.kata = "coming"
        with Emulator(kata.memory, kata.address):
            wait_until(state_is(1), "its return is seen", 30)
            traffic.kata = "works"
            traffic.open.set()
            for future in futures:
                future.result()
            check_words(traffic, heading)
            check_records(site, traffic, status, seeds)
            assert state_is(1)()
    output = icapd.output()
    assert output.count("KATA takes no files") == 1
    assert len(re.findall(r"KATA takes files again after [1-9]\d* s", output)) == 1
    kept = site.directory / "spool" / "test.icap.0.kept"
    assert list(kept.iterdir()) == []
