"""`kill -9` at a hundred moments while files go through: none lost, none twice, none unjudged."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.emulator import Emulator
from tests.support.folders import Places, check_ends
from tests.support.katabridge import Records, Site
from tests.support.processes import Program, module, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

KILLS = 100
FILES = 2000
SEED = int(os.environ.get("KATABRIDGE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
# Two folders: where a name is taken, one replaces, and in the other a second delivery would show.
CONFLICTS = {"replaces": "replace", "renames": "rename"}


@pytest.fixture
def memory_disk() -> Iterator[Path]:
    """A folder on tmpfs: another file system than that of the other folders."""
    folder = Path(tempfile.mkdtemp(prefix="katabridge-kills-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folders(site: Site, memory_disk: Path) -> dict[str, Places]:
    """Two folders of one service, their inputs on tmpfs and their targets on disk."""
    for name in CONFLICTS:
        (memory_disk / name).mkdir()
        for target in ("out", "quarantine"):
            (site.directory / target / name).mkdir()
    assert memory_disk.stat().st_dev != site.directory.stat().st_dev
    site.changes = {
        "spool": {"memory": "100KiB"},  # else no snapshot of a small file is one on disk
        "kata": {"connections": 8, "max_in_flight": 64, "poll_interval_waiting": "100ms"},
        "folders": [folder_of(name, conflict, memory_disk) for name, conflict in CONFLICTS.items()],
    }
    return {name: Places.of(site, number) for number, name in enumerate(CONFLICTS)}


def folder_of(name: str, conflict: str, memory_disk: Path) -> dict[str, Any]:
    return {
        "name": name,
        "input": str(memory_disk / name),
        "output": f"out/{name}",
        "quarantine": f"quarantine/{name}",
        "recursive": True,
        "settle": "50ms",
        "rescan": "50ms",
        "on_conflict": conflict,
        "quarantine_conflict": conflict,
    }


def make_files(chance: random.Random, count: int) -> dict[str, bytes]:
    """Contents by path: one of ten is bad, one of ten is like others, a third in sub-folders."""
    made = {}
    for number in range(count):
        own = b"%d" % (number // 100 if chance.random() < 0.1 else number)
        state = b"detect" if number % 10 == 0 else b"not_detected"
        size = chance.choice([0, 0, 0, 1000, 50_000, 400_000])
        folder = chance.choice(["", "", "", "", "one/", "one/two/three/"])
        made[f"{folder}file {number}"] = b"#kata state=%b\n%b " % (state, own) + b"x" * size
    return made


def start(site: Site) -> Program:
    command = [*module("bridge.cli"), "watch", "--config", site.config]
    program = Program(command, site.directory / "watch.out")
    program.wait_for(lambda: program.output().count("watches ") == len(CONFLICTS), "the watcher")
    return program


def all_records(site: Site) -> Records:
    """Those in rotated logs too: this takes minutes, and may do so at midnight."""
    logs = (site.directory / "log").glob("log-history*.log")
    return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def of_folder(records: Records, name: str) -> Records:
    return [record for record in records if record["context"]["folder"] == name]


def test_a_hundred_kills_lose_double_and_let_through_nothing(
    kata: Emulator, site: Site, folders: dict[str, Places]
) -> None:
    print(f"KATABRIDGE_SEED={SEED}")
    kata.memory.delay = 0.2
    chance = random.Random(SEED)
    dropped = {name: make_files(chance, FILES // len(folders)) for name in folders}
    waiting = [
        (folders[name].input / path, data)
        for name in folders
        for path, data in dropped[name].items()
    ]
    chance.shuffle(waiting)
    stages: Counter[str] = Counter()
    for _ in range(KILLS):
        drop(waiting, FILES // KILLS)
        program = start(site)
        time.sleep(chance.uniform(0.1, 1.5))  # the moment is the test's subject
        assert program.process.poll() is None, program.output()
        program.process.send_signal(signal.SIGKILL)
        program.process.wait()
        assert "Traceback" not in program.output(), program.output()
        program.log.unlink()
        stages.update(stages_hit(site, folders))
    through = len(all_records(site))
    print(f"{through} files went through {KILLS} kills, which hit {dict(stages)}")
    assert through, "nothing went through between two kills"
    assert {"claimed", "snapshot", "waiting"} <= stages.keys(), "the kills did not hit every stage"

    program = start(site)
    for places in folders.values():
        places.wait_empty(120)
    wait_until(lambda: not kata.memory.scans, "the scans are DELETEd", 90)
    assert program.stop() == 0
    assert "Traceback" not in program.output(), program.output()
    records = all_records(site)
    for name, places in folders.items():
        contents = dropped[name]
        own = of_folder(records, name)
        assert not places.waiting(), "a stop put back what was to be through"
        paths = Counter(record["context"]["path"] for record in own)
        assert paths == Counter(str(places.input / path) for path in contents)
        check_ends(places, own, list(contents.values()))
        ends = {**places.delivered(), **places.quarantined()}
        assert {path: file.read_bytes() for path, file in ends.items()} == contents
    assert list((site.directory / "spool" / "test.folder.0").iterdir()) == []


def drop(waiting: list[tuple[Path, bytes]], count: int) -> None:
    for path, data in waiting[:count]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    del waiting[:count]


def stages_hit(site: Site, folders: dict[str, Places]) -> list[str]:
    """Where files were when the process was killed."""
    found = []
    for places in folders.values():
        found += ["claimed" if name.startswith(".") else "waiting" for name in places.waiting()]
        found += ["being delivered" for name in places.leftovers() if name.endswith(".part")]
    found += ["snapshot" for _ in (site.directory / "spool" / "test.folder.0").iterdir()]
    return found
