"""A stop in the middle of work: what was answered has its record, and the next start goes on."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bridge.core import CUT_OFF
from bridge.emulator import Emulator
from tests.support.folders import Places, check_ends
from tests.support.katabridge import Records, Site
from tests.support.outage import USERS, Question, services
from tests.support.processes import Program, accepts, free_port, wait_until
from tests.support.raw_icap import RawIcap, chunk, message
from tests.support.workers import children, is_alive

Keep = Callable[[Program], Program]
OK = b"HTTP/1.1 200 OK\r\n\r\n"
BAD = b"#kata state=detect\n"
SLOW = b"#kata delay=60\n"


@dataclass
class Users:
    """One for each service and form of request, each with one new content after another."""

    port: int
    over: threading.Event = field(default_factory=threading.Event)
    told: list[tuple[Question, str]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def use(self, user: int) -> None:
        """One of them, until the door is shut."""
        mode, method = USERS[user % len(USERS)]
        while not self.over.is_set():
            body = (BAD if next(self._numbers) % 4 == 0 else b"") + os.urandom(20_000)
            question = Question(mode, method, body, form=user // len(USERS))
            self.told.append((question, question.ask(self.port)))

    @property
    def answered(self) -> list[tuple[Question, str]]:
        """Those whose user was given something."""
        return [(question, word) for question, word in self.told if word != "cut"]


def shut(program: Program) -> None:
    """It ended in order, and nothing of it is left, or comes again."""
    assert program.stop() == 0
    assert "Traceback" not in program.output()
    with pytest.raises(ProcessLookupError):
        os.killpg(program.process.pid, 0)


def family(program: Program) -> list[int]:
    """All processes below it."""
    pid = program.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def check(users: Users, records: Records) -> None:
    """Each answer has its one record, which says the same."""
    assert max(Counter(record["case"] for record in records).values()) == 1
    of = {(r["sha256"], r["mode"]): r for r in records if r["rule"] != CUT_OFF}
    ends = Counter(r["sha256"] for r in records if r["rule"] != CUT_OFF)
    for question, word in users.answered:
        sha256 = hashlib.sha256(question.body).hexdigest()
        assert ends[sha256] == 1, f"{question.mode}: {ends[sha256]} records"
        record = next(r for key, r in of.items() if key[0] == sha256)
        assert record["decision"] == ("block" if word == "403" else "pass"), (word, record)


def test_a_stop_under_load_loses_nothing_and_the_next_start_goes_on(
    kata: Emulator, site: Site, started: Keep
) -> None:
    kata.memory.delay = 1.0
    site.changes = {
        "icap": {"services": services("30s"), "workers": 2},
        "status": {"icapd": f"127.0.0.1:{free_port()}", "watch": f"127.0.0.1:{free_port()}"},
        "kata": {"poll_interval": "300ms"},
    }
    icapd, watch = site.start_icapd(), site.start_watch()
    below = [*family(icapd), *family(watch)]
    assert len(children(icapd)) == 2
    assert len(below) == 4, "two workers, two status pages"
    users = Users(site.icap_port)
    files = [(BAD if n % 3 == 0 else b"") + os.urandom(9000) for n in range(12)]
    with ThreadPoolExecutor(20) as threads, RawIcap(site.icap_port) as half:
        request = message("RESPMOD", [("res-hdr", OK)], "res-body")
        half.send(request.replace(b"/av/respmod ", b"/advanced/respmod ", 1), chunk(b"a half"))
        held = threads.submit(Question("advanced", "RESPMOD", SLOW).ask, site.icap_port)
        working = [threads.submit(users.use, number) for number in range(12)]
        for number, data in enumerate(files[:6]):
            (site.directory / "in" / f"{number}.bin").write_bytes(data)
        wait_until(lambda: len(users.told) >= 24, "some have theirs", 30)
        for number, data in enumerate(files[6:], 6):
            (site.directory / "in" / f"{number}.bin").write_bytes(data)
        icapd.process.terminate()
        watch.process.terminate()
        wait_until(lambda: not accepts(site.icap_port), "no new connection is taken")
        assert icapd.process.poll() is None, "it did not wait for who is held"
        icapd.process.send_signal(signal.SIGHUP)
        users.over.set()
        assert held.result() == "403", "he is told"
        for each in working:
            each.result()
        shut(icapd)
        shut(watch)
    assert not any(map(is_alive, below))
    assert "requests that the stop cut off, without a verdict: 1" in icapd.output()
    assert icapd.output().count("icapd has stopped") == 1
    assert "reloaded" not in icapd.output()

    kata.memory.delay = 0.1
    started(site.start_icapd())
    started(site.start_watch())
    wanted = {hashlib.sha256(question.body).hexdigest() for question, _ in users.answered}
    wait_until(
        lambda: wanted <= {record["sha256"] for record in site.records()},
        "each answer has its record",
        30,
    )
    places = Places.of(site)
    places.wait_empty()
    records = site.records()
    check(users, [record for record in records if record["door"] == "ICAP"])
    check_ends(places, [record for record in records if record["door"] == "FOLDER"], files)
    submitted = Counter(scan.sha256 for scan in kata.memory.submitted)
    assert max(submitted.values()) == 1, "it was scanned anew, not taken up"
