"""The core under faults that come by the thousand, and under `kill -9`."""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from bridge.core import Core, Decision, Door, OutcomeKind
from bridge.core.journal import ScanPhase
from bridge.emulator import Emulator
from bridge.emulator.memory import EmulatedScan
from tests.support.folders import Places
from tests.support.judging import judge, with_core
from tests.support.katabridge import Site
from tests.support.processes import Program, module, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

FAULTS = {"429": 0.10, "500": 0.05, "drop": 0.02}


def script(chance: random.Random, number: int) -> bytes:
    """A content of its own that fails once or twice in one way, or not at all."""
    pick = chance.random()
    for fault, share in FAULTS.items():
        if pick < share:
            times = chance.randint(1, 2)
            return b"#kata http=%b times=%d\n%d" % (fault.encode(), times, number)
        pick -= share
    state = b"detect" if number % 50 == 0 else b"not_detected"
    return b"#kata state=%b\n%d" % (state, number)


def test_five_thousand_items_with_faults_end_in_one_record_each(kata: Emulator, site: Site) -> None:
    chance = random.Random(2026)
    contents = [script(chance, number) for number in range(5000)]
    site.changes = {"kata": {"max_in_flight": 64, "queue": 5000}}

    async def work(core: Core) -> float:
        begin = time.monotonic()
        places = asyncio.Semaphore(400)

        async def one(data: bytes) -> OutcomeKind:
            async with places:
                outcome, decision = await judge(core, data)
                assert (decision is Decision.PASS) == (outcome.kind is OutcomeKind.NOT_DETECTED)
                return outcome.kind

        kinds = Counter(await asyncio.gather(*(one(data) for data in contents)))
        assert kinds == {OutcomeKind.NOT_DETECTED: 5000 - bad, OutcomeKind.DETECT: bad}
        while kata.memory.scans:
            await asyncio.sleep(0.1)
        return time.monotonic() - begin

    bad = sum(data.startswith(b"#kata state=detect") for data in contents)

    async def main() -> float:
        async with Core(site.settings(), Door.ICAP) as core:
            return await work(core)

    seconds = asyncio.run(main())
    records = site.wait_records(5000)
    assert len({record["case"] for record in records}) == len(records) == 5000
    assert {record["sha256"] for record in records} == {
        hashlib.sha256(data).hexdigest() for data in contents
    }
    assert len(kata.memory.deleted) == len(kata.memory.submitted) == 5000
    assert kata.memory.calls["state"] <= seconds / 0.3 + 2, "state calls depend on items"


KILLS = 50
ITEMS = 1000
UPLOADS = 4


def stranger(site: Site) -> EmulatedScan:
    """A finished scan of another instance of the same sensor."""
    return EmulatedScan(
        "of-another", site.sensor_id, "test.icap.7", "detect", 0.0, "x", 1, "ab", "cd"
    )


def check_what_kata_saw(kata: Emulator, contents: list[bytes]) -> None:
    """Every content was scanned, few twice, and nothing of somebody else was forgotten."""
    posted = Counter(scan.sha256 for scan in kata.memory.submitted)
    assert set(posted) == {hashlib.sha256(data).hexdigest() for data in contents}
    extra = sum(posted.values()) - len(contents)
    assert extra <= KILLS * UPLOADS, "more than what was between POST and answer"
    assert all(scan.instance != "test.icap.7" for scan in kata.memory.deleted)
    wait_until(lambda: len(kata.memory.scans) == 1, "our scans are DELETEd", 90)
    assert [scan.scan_id for scan in kata.memory.scans.values()] == ["of-another"]


def test_fifty_kills_of_the_folder_door_lose_and_double_nothing(kata: Emulator, site: Site) -> None:
    kata.memory.add(stranger(site))
    kata.memory.submitted.clear()
    kata.memory.delay = 0.5
    site.changes = {"kata": {"connections": UPLOADS, "max_in_flight": 16}}
    contents = [b"#kata state=detect\n%d" % n if n % 10 == 0 else b"%d" % n for n in range(ITEMS)]
    for number, data in enumerate(contents):
        (site.directory / "in" / f"{number}").write_bytes(data)
    chance = random.Random(1)
    for _ in range(KILLS):
        program = start_watch(site)
        time.sleep(chance.uniform(0.0, 1.2))  # the moment is the test's subject
        program.process.send_signal(signal.SIGKILL)
        program.process.wait()
        program.log.unlink()
    places = Places.of(site)
    left = len(places.waiting())
    assert 0 < left < ITEMS, "the kills did not hit the run"
    program = start_watch(site)
    wait_until(lambda: len(site.records()) >= ITEMS, "all have their records", 300)
    places.wait_empty(60)
    records = Counter(record["name"] for record in site.records())
    assert set(records.values()) == {1}
    assert len(records) == ITEMS
    check_what_kata_saw(kata, contents)
    assert program.stop() == 0
    for number, data in enumerate(contents):
        where = "quarantine" if number % 10 == 0 else "out"
        assert (site.directory / where / f"{number}").read_bytes() == data
    assert len(places.delivered()) == ITEMS - ITEMS // 10


def start_watch(site: Site) -> Program:
    """The folder door, when it has begun to watch."""
    command = [*module("bridge.cli"), "watch", "--config", site.config]
    program = Program(command, site.directory / "watch.out")
    program.wait_for(lambda: "watches" in program.output(), "kata-bridge watch")
    return program


ACCEPTING = """
import asyncio, sys
from pathlib import Path
from bridge.core import Case, Core, Door, Mode, load_config
from tests.support.judging import make_item

async def main(config, count):
    settings = load_config(Path(config))
    async with Core(settings, Door.ICAP) as core:
        kept = core._journal.load()
        known = {each.case_id for each in (*kept.cases, *kept.records)}
        history = settings.logs.dir / "log-history.log"
        lines = history.read_text().splitlines() if history.exists() else []
        known |= {line.partition('"case":"')[2][:16] for line in lines}
        for number in range(count):
            case_id = f"{number:016d}"
            if case_id in known:
                continue
            case = Case(Door.ICAP, Mode.MONITOR, "x", {}, id=case_id)
            data = b"#kata state=detect\\n%d" % number if number % 10 == 0 else b"%d" % number
            item = await make_item(core, data)
            await core.accept(case, item)
            item.body.release()
            print("accepted", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def test_fifty_kills_of_a_process_that_accepts_items_lose_and_double_nothing(
    kata: Emulator, site: Site
) -> None:
    kata.memory.add(stranger(site))
    kata.memory.submitted.clear()
    kata.memory.delay = 0.5
    site.changes = {"kata": {"connections": UPLOADS, "max_in_flight": 16, "poll_interval": "300ms"}}
    contents = [b"#kata state=detect\n%d" % n if n % 10 == 0 else b"%d" % n for n in range(ITEMS)]
    command = [sys.executable, "-c", ACCEPTING, str(site.config), str(ITEMS)]
    chance = random.Random(2)
    for kill in range(KILLS + 1):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        if kill < KILLS:
            time.sleep(chance.uniform(0.8, 2.2))  # the moment is the test's subject
            assert process.poll() is None, "it ended by itself"
            process.kill()
        else:
            wait_until(lambda: len(site.records()) >= ITEMS, "all have their records", 150)
            wait_until(lambda: len(kata.memory.scans) == 1, "our scans are DELETEd", 90)
            process.kill()
        process.wait()
        process.stdout.close()
    records = Counter(record["case"] for record in site.records())
    assert records == Counter({f"{number:016d}": 1 for number in range(ITEMS)})
    check_what_kata_saw(kata, contents)
    kept = site.directory / "spool" / "test.icap.0.kept"
    assert with_core(site, _nothing_kept) is None
    assert list(kept.iterdir()) == []


async def _nothing_kept(core: Core) -> None:
    kept = core._journal.load()
    assert (kept.cases, kept.records) == ([], [])
    # one that was cut off may still reach KATA: its DELETE is tried again for a while
    assert {scan.phase for scan in kept.scans} <= {ScanPhase.DONE}
