"""The folder door as a program: what is dropped ends where it belongs, whole, and once."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.emulator import EICAR, Emulator
from tests.support.folders import Places
from tests.support.katabridge import Records, Site
from tests.support.processes import Program, module, wait_until
from tests.support.shared_doors import SharedDoors

Keep = Callable[[Program], Program]


@pytest.fixture
def watch(site: Site, started: Keep) -> Callable[[], Program]:
    """Start the watcher after the test has said how."""
    return lambda: started(site.start_watch())


@pytest.fixture(scope="module")
def watches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDoors]:
    """A running watcher for the tests that leave nothing in its input."""
    with SharedDoors(tmp_path_factory.mktemp("watches"), Site.start_watch) as shared:
        yield shared


def places(site: Site) -> dict[str, list[str]]:
    """What lies where; claimed files count as lying in the input."""
    there = Places.of(site)
    return {
        "in": sorted(path.name for path in there.waiting().values()),
        "out": sorted(there.delivered()),
        "quarantine": sorted(there.quarantined()),
    }


def settled(site: Site, count: int) -> Records:
    wait_until(lambda: len(site.records()) >= count, f"{count} records", 20)
    records = site.records()
    assert len(records) == count
    return records


def drop(site: Site, name: str, data: bytes) -> Path:
    path = site.directory / "in" / name
    path.write_bytes(data)
    return path


def test_clean_goes_to_output_with_content_mode_and_mtime(
    site: Site, watch: Callable[[], Program]
) -> None:
    path = drop(site, "a.txt", b"hello" * 100_000)
    os.utime(path, ns=(10**18, 10**18 + 7))
    path.chmod(0o640)
    watch()
    (record,) = settled(site, 1)
    wait_until(lambda: not path.exists(), "the source is removed")
    out = site.directory / "out" / "a.txt"
    assert places(site) == {"in": [], "out": ["a.txt"], "quarantine": []}
    assert out.read_bytes() == b"hello" * 100_000
    assert out.stat().st_mtime_ns == 10**18 + 7
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert record["context"] == {"folder": "share", "path": str(path), "moved_to": str(out)}


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (EICAR, "detect"),
        (b"#kata state=error\n", "error"),
        (b"#kata state=timeout\n", "timeout"),
    ],
    ids=["eicar", "error", "timeout"],
)
def test_everything_but_not_detected_goes_to_quarantine(
    watches: SharedDoors, data: bytes, outcome: str
) -> None:
    site, name = watches(), f"{outcome}.com"
    before = places(site)
    drop(site, name, data)
    (record,) = settled(site, 1)
    wait_until(lambda: not places(site)["in"], "the source is removed")
    assert places(site) == before | {"quarantine": sorted([*before["quarantine"], name])}
    assert (record["outcome"], record["decision"]) == (outcome, "block")
    kept = site.directory / "quarantine" / name
    assert kept.read_bytes() == data
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_our_own_timeout_goes_to_quarantine_too(site: Site, watch: Callable[[], Program]) -> None:
    site.changes = {"kata": {"verdict_timeout": "1s"}}
    drop(site, "x", b"#kata delay=60\n")
    watch()
    (record,) = settled(site, 1)
    assert (record["outcome"], record["decision"]) == ("timeout", "block")


def test_a_file_that_is_still_being_written_is_not_touched(
    kata: Emulator, site: Site, watch: Callable[[], Program]
) -> None:
    site.folder["settle"] = "1s"
    watch()
    path = site.directory / "in" / "growing"
    for _ in range(15):  # 3 s of writing, each pause shorter than `settle`
        with path.open("ab") as file:  # closed in between: only its changes tell
            file.write(b"x" * 1000)
        time.sleep(0.2)
        assert kata.memory.calls["submit"] == 0
    (record,) = settled(site, 1)
    assert record["size"] == 15_000
    assert (site.directory / "out" / "growing").stat().st_size == 15_000


def test_a_file_that_a_process_holds_open_for_writing_is_not_touched(
    kata: Emulator, site: Site, watch: Callable[[], Program]
) -> None:
    watch()
    path = site.directory / "in" / "held"
    with path.open("wb") as file:
        file.write(b"first half")
        file.flush()
        drop(site, "other", b"other")  # its way through shows that the watcher looked
        settled(site, 1)
        assert places(site)["out"] == ["other"]
        file.write(b", second half")
    settled(site, 2)
    assert (site.directory / "out" / "held").read_bytes() == b"first half, second half"
    assert kata.memory.calls["submit"] == 2


def test_oversize_stays_in_input_untouched_and_is_recorded_once(
    kata: Emulator, site: Site, started: Keep
) -> None:
    site.changes = {"kata": {"max_object_size": "1MiB"}}
    path = drop(site, "big.iso", b"x" * ((1 << 20) + 1))
    drop(site, "fits.iso", b"x" * (1 << 20))
    before = path.stat()
    first = started(site.start_watch())
    settled(site, 2)
    first.stop()
    started(site.start_watch())  # a restart does not record it again
    drop(site, "last", b"y")
    records = settled(site, 3)
    (record,) = [each for each in records if each["name"] == "big.iso"]
    assert (record["outcome"], record["decision"], record["size"]) == (
        "oversize",
        "skip",
        (1 << 20) + 1,
    )
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_size, after.st_atime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_size,
        before.st_atime_ns,
    )
    assert kata.memory.calls["submit"] == 2


def test_katas_own_limit_leaves_the_file_too(site: Site, watch: Callable[[], Program]) -> None:
    drop(site, "x", b"#kata http=413\n")
    watch()
    (record,) = settled(site, 1)
    assert (record["outcome"], record["source"], record["decision"]) == (
        "oversize",
        "kata",
        "skip",
    )
    assert places(site)["in"] == ["x"]


def test_an_oversize_file_can_be_quarantined_by_policy(
    site: Site, watch: Callable[[], Program]
) -> None:
    site.changes = {"kata": {"max_object_size": "1KiB"}, "folder_policy": {"oversize": "block"}}
    drop(site, "big", b"x" * 2000)
    watch()
    settled(site, 1)
    wait_until(lambda: places(site)["quarantine"] == ["big"], "it is in quarantine")
    wait_until(lambda: not places(site)["in"], "the source is removed")


def test_kata_away_files_stay_and_are_judged_when_it_is_back(
    kata: Emulator, site: Site, watch: Callable[[], Program]
) -> None:
    kata.memory.accept = "manual"  # the administrator has not pressed Accept yet
    watcher = watch()
    for number in range(5):
        drop(site, f"{number}.txt", b"%d" % number)
    drop(site, "eicar", EICAR)
    wait_until(lambda: kata.memory.calls["state"] >= 3, "it knocked twice", 20)
    assert len(places(site)["in"]) == 6
    assert site.records() == []
    assert kata.memory.calls["submit"] == 0, "a file went to a KATA that refuses us"
    sensors = kata.memory.directory / "sensors.json"
    sensors.write_text(sensors.read_text().replace("false", "true"))
    records = settled(site, 6)
    assert {each["source"] for each in records} == {"kata"}
    wait_until(lambda: not places(site)["in"], "input is empty")
    assert places(site)["quarantine"] == ["eicar"]
    assert len(places(site)["out"]) == 5
    assert watcher.output().count("waiting for the KATA administrator") == 1
    assert "KATA takes files again after" in watcher.output()


def test_a_name_that_is_there_is_replaced(site: Site, watch: Callable[[], Program]) -> None:
    (site.directory / "out" / "a").write_bytes(b"old")
    drop(site, "a", b"new")
    watch()
    settled(site, 1)
    assert (site.directory / "out" / "a").read_bytes() == b"new"


def test_an_overwritten_file_is_a_new_case_and_both_contents_were_judged(
    kata: Emulator, site: Site, watch: Callable[[], Program]
) -> None:
    path = drop(site, "a", b"#kata delay=2\nfirst")
    watch()
    wait_until(lambda: kata.memory.scans, "the first content is at KATA")
    path.write_bytes(EICAR)
    first, second = settled(site, 2)
    assert (first["outcome"], second["outcome"]) == ("not_detected", "detect")
    assert (site.directory / "out" / "a").read_bytes() == b"#kata delay=2\nfirst"
    wait_until(lambda: not path.exists(), "the source is removed")
    assert (site.directory / "quarantine" / "a").read_bytes() == EICAR


def test_a_link_a_folder_a_pipe_and_our_own_drafts_are_left_alone(
    kata: Emulator, site: Site, watch: Callable[[], Program]
) -> None:
    inside = site.directory / "in"
    (inside / "link").symlink_to("/etc/hostname")
    (inside / "folder").mkdir()
    os.mkfifo(inside / "pipe")
    (inside / ".katabridge-other-1.part").write_bytes(b"x")
    watch()
    drop(site, "a", b"a")
    settled(site, 1)
    wait_until(lambda: "a" not in places(site)["in"], "the source is removed")
    assert places(site)["in"] == [".katabridge-other-1.part", "link", "pipe"]
    assert (inside / "folder").is_dir()
    assert kata.memory.calls["submit"] == 1


@pytest.mark.parametrize(
    "name", ["имя файла.txt", "a\nb", "-rf", "x" * 200, "'\";$(id)", os.fsdecode(b"caf\xe9")]
)
def test_odd_names(watches: SharedDoors, name: str) -> None:
    site = watches()
    before = places(site)["out"]
    drop(site, name, b"x")
    (record,) = settled(site, 1)
    assert record["name"] == name
    wait_until(lambda: places(site)["in"] == [], "the source is removed")
    assert places(site)["out"] == sorted([*before, name])
    assert len([line for line in site.output().splitlines() if "not_detected" in line]) == 1


def test_an_empty_file_is_judged_like_any_other(
    kata: Emulator, site: Site, watch: Callable[[], Program]
) -> None:
    drop(site, "empty", b"")
    watch()
    (record,) = settled(site, 1)
    assert (record["size"], record["outcome"]) == (0, "not_detected")
    assert kata.memory.submitted[0].size == 0


def test_a_delivery_that_fails_leaves_the_file_and_goes_on_when_it_can(
    site: Site, watch: Callable[[], Program]
) -> None:
    obstacle = site.directory / "out" / "a"
    obstacle.mkdir()
    drop(site, "a", b"a")
    program = watch()
    drop(site, "b", b"b")
    settled(site, 1)
    wait_until(lambda: "a (not_detected) stays in input" in program.output(), "it says what stays")
    assert places(site)["in"] == ["a"]
    obstacle.rmdir()
    settled(site, 2)
    wait_until(lambda: not places(site)["in"], "the source is removed")
    assert obstacle.read_bytes() == b"a"
    assert [name for name in places(site)["out"] if name.startswith(".")] == []


def test_a_share_that_goes_away_and_comes_back(site: Site, watch: Callable[[], Program]) -> None:
    program = watch()
    inside, away = site.directory / "in", site.directory / "away"
    inside.rename(away)
    wait_until(lambda: "cannot be read" in program.output(), "it says that the share is gone")
    away.rename(inside)
    drop(site, "a", b"a")
    settled(site, 1)
    assert program.output().count("cannot be read: No such file") == 1
    assert "works again" in program.output()


def test_a_stop_leaves_what_is_not_judged_in_input(
    kata: Emulator, site: Site, started: Keep
) -> None:
    drop(site, "slow", b"#kata delay=3\n")
    program = started(site.start_watch())
    wait_until(lambda: kata.memory.scans, "it is at KATA")
    assert program.stop() == 0
    assert os.listdir(site.directory / "in") == ["slow"], "nothing of ours is left there"  # noqa: PTH208
    assert places(site) == {"in": ["slow"], "out": [], "quarantine": []}
    assert site.records() == []
    started(site.start_watch())
    (record,) = settled(site, 1)
    assert record["outcome"] == "not_detected"
    assert kata.memory.calls["submit"] == 1, "the scan was not taken up again"
    wait_until(lambda: not kata.memory.scans, "the scan was not DELETEd")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"folders": []}, "no folder is configured"),
        ({"folders": [{"name": "a", "input": "gone", "output": "out", "quarantine": "in"}]},
         "gone is no folder (folders, a: input)."),
        ({"logs": {"dir": "client.pem/log"}}, "(logs.dir)."),
        ({"verdicts": {"store": "sqlite:////proc/v.db"}}, "(verdicts.store)."),
        ({"spool": {"dir": "client.pem"}}, "(spool.dir)."),
    ],
)  # fmt: skip
def test_what_cannot_start_is_one_sentence(
    kata: Emulator, site: Site, change: dict[str, object], sentence: str
) -> None:
    del kata
    site.changes = change
    command = [*module("bridge.cli"), "watch", "--config", site.config]
    program = Program(command, site.directory / "out.txt")
    assert program.process.wait(20) == 1
    lines = program.output().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("kata-bridge watch: ")
    assert sentence in lines[0]
