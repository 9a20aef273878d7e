"""What users of each mode see when KATA or the spool fails: the table of docs/degradation.md."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bridge.emulator import Emulator
from tests.support.judging import judge, with_core
from tests.support.katabridge import Site
from tests.support.outage import USERS, Question, User, documented, metrics, service, services
from tests.support.processes import Program, free_port, wait_until

Keep = Callable[[Program], Program]
SLOW = b"#kata delay=600\n"
BUSY = b"#kata http=429\n"
BAD = b"#kata state=detect\n"


class Ward:
    """Asks for an object through all six services at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._form = 0

    def ask(self, body: Callable[[User], bytes]) -> dict[User, str]:
        """What each user sees who gets or sends `body(user)`; each time in another form."""
        self._form += 1
        questions = [Question(*user, body(user), self._form + i) for i, user in enumerate(USERS)]
        with ThreadPoolExecutor(len(USERS)) as threads:
            words = list(threads.map(lambda question: question.ask(self._port), questions))
        return dict(zip(USERS, words, strict=True))


def new(beginning: bytes = b"", size: int = 100) -> Callable[[User], bytes]:
    """Bytes that nobody has seen, for each user its own."""
    return lambda _: beginning + os.urandom(size)


def accept(kata: Emulator, *, accepted: bool) -> None:
    """Press Accept, or take it back, for every system."""
    path = kata.memory.directory / "sensors.json"
    with kata.memory.lock:
        sensors = json.loads(path.read_text())
        path.write_text(json.dumps({k: v | {"accepted": accepted} for k, v in sensors.items()}))


def test_what_users_see_is_what_is_documented(kata: Emulator, site: Site, started: Keep) -> None:
    port = free_port()
    kata.memory.delay = 0.0
    site.changes = {
        "icap": {"services": services("2s")},
        "spool": {"memory": "16KiB", "max_bytes": "64KiB"},
        "status": {"icapd": f"127.0.0.1:{port}"},
    }
    known_bad = BAD + os.urandom(100)
    with_core(site, lambda core: judge(core, known_bad))
    accept(kata, accepted=False)
    icapd = started(site.start_icapd())
    assert Question("monitor", "RESPMOD", known_bad).ask(site.icap_port) == "pass"
    record = site.records()[-1]
    assert (record["outcome"], record["decision"], record["late"]) == ("detect", "pass", False)
    ward = Ward(site.icap_port)
    clean, bad, large = os.urandom(100), BAD + os.urandom(100), new(size=150_000)

    def state_is(state: int) -> Callable[[], bool]:
        return lambda: metrics(port)["katabridge_kata_state"] == state

    got = {("not accepted", "new"): ward.ask(new())}
    assert state_is(0)()
    accept(kata, accepted=True)
    wait_until(state_is(1), "KATA has accepted us")
    rows = {
        ("works", "clean"): lambda _: clean,
        ("works", "bad"): lambda _: bad,
        ("slow", "new"): new(SLOW),
        ("busy", "new"): new(BUSY),
        ("full spool", "new"): large,
    }
    with ThreadPoolExecutor() as threads:
        got |= zip(rows, threads.map(ward.ask, rows.values()), strict=True)
    kata.stop()
    rows = {
        ("away", "new"): new(),
        ("away", "known clean"): lambda _: clean,
        ("away", "known bad"): lambda _: bad,
    }
    with ThreadPoolExecutor() as threads:
        got |= zip(rows, threads.map(ward.ask, rows.values()), strict=True)
    assert state_is(0)()
    table = documented("As shipped")
    del table["full queue", "new"]  # tests/long
    assert got == table
    assert icapd.output().count("KATA takes no files") == 1
    log = (site.directory / "log" / "preprocessor_icap.log").read_text().splitlines()
    path = service("advanced", "RESPMOD")
    why = [line.rpartition(", ")[2] for line in log if path in line and "unavailable" in line]
    reasons = ("401 Unauthorized", "has reached spool.max_bytes", "Connection refused")
    assert [reason in line for reason, line in zip(reasons, why, strict=True)] == [True] * 3
