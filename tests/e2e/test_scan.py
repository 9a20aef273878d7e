"""`kata-bridge scan` as a program: what it finds, says and leaves, and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.support.commands import call
from tests.support.judging import end_scans
from tests.support.katabridge import Site
from tests.support.processes import Program, module, wait_until
from tests.support.terminals import Terminal

Done = subprocess.CompletedProcess[bytes]


def scan(site: Site, *paths: object, more: list[str] | None = None) -> Done:
    done = call("scan", "--config", site.config, *(more or []), *paths)
    return Done(done.args, done.returncode, done.stdout.encode(), done.stderr.encode())


def objects(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files to scan."""
    path = tmp_path / "files"
    (path / "sub" / "deep").mkdir(parents=True)
    (path / "clean.txt").write_bytes(b"clean")
    (path / "sub" / "deep" / "large.bin").write_bytes(b"x" * 1_000_000)
    return path


def test_all_clean_is_0_with_a_table_and_a_record_a_file(site: Site, folder: Path) -> None:
    done = scan(site, folder)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert rows == [
        ["name", "size", "outcome", "source", "threat"],
        [f"{folder}/clean.txt", "5", "not_detected", "kata"],
        [f"{folder}/sub/deep/large.bin", "1000000", "not_detected", "kata"],
    ]
    assert done.stderr.decode().splitlines() == [
        "kata-bridge scan: files: 2, not detected: 2, detected: 0, not judged: 0."
    ]
    records = sorted(site.records(), key=lambda record: str(record["name"]))
    assert [(each["name"], each["decision"], each["context"]) for each in records] == [
        (path.name, "skip", {"folder": None, "path": str(path), "moved_to": None})
        for path in (folder / "clean.txt", folder / "sub" / "deep" / "large.bin")
    ]
    assert (folder / "clean.txt").read_bytes() == b"clean"


def test_a_disk_that_was_not_needed_is_not_complained_of(site: Site, folder: Path) -> None:
    """What is small is judged in memory; who was not judged for want of room is told why."""
    site.changes = {"spool": {"min_free": "900TiB", "memory": "64KiB"}}
    done = scan(site, folder / "clean.txt")
    assert (done.returncode, done.stderr) == (
        0,
        b"kata-bridge scan: files: 1, not detected: 1, detected: 0, not judged: 0.\n",
    )
    done = scan(site, folder)
    assert done.returncode == 2
    assert b"outage" not in done.stderr
    assert b"is down to spool.min_free" in done.stdout + done.stderr


def test_a_detection_is_1_and_goes_before_what_was_not_judged(site: Site, folder: Path) -> None:
    (folder / "eicar.com").write_bytes(EICAR)
    done = scan(site, folder, folder / "gone")
    assert done.returncode == 1
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert [f"{folder}/eicar.com", "68", "detect", "kata"] in rows
    assert [f"{folder}/gone", "error", "rule"] in rows
    assert b"files: 4, not detected: 2, detected: 1, not judged: 1." in done.stderr
    assert [each["name"] for each in site.records("log-detects.log")] == ["eicar.com"]


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (b"#kata state=error\n", "error"),
        (b"#kata state=timeout\n", "timeout"),
        (b"#kata http=413\n", "oversize"),
        (b"#kata http=500\n", "unavailable"),
        (b"x" * 2_000_000, "oversize"),
    ],
    ids=["error", "timeout", "413", "500", "oversize"],
)
def test_what_kata_does_not_judge_is_2(
    site: Site, folder: Path, content: bytes, outcome: str
) -> None:
    site.changes = {"kata": {"max_object_size": "1MiB"}}
    path = folder / "odd"
    path.write_bytes(content)
    done = scan(site, folder, more=["--json"])
    assert done.returncode == 2
    (found,) = [each for each in objects(done) if each["name"] == "odd"]
    assert (found["outcome"], found["size"]) == (outcome, len(content))
    assert (found["sha256"] is None) is (len(content) > 1 << 20), "it was read, or not read"
    assert f"{path} was not judged: {outcome}: ".encode() in done.stderr
    (record,) = [each for each in site.records() if each["name"] == "odd"]
    assert (record["outcome"], record["decision"]) == (outcome, "skip")


def test_json_has_the_keys_of_the_record(site: Site, folder: Path) -> None:
    done = scan(site, folder / "clean.txt", folder / "gone", more=["--json"])
    assert done.returncode == 2
    missing, clean = objects(done)
    (record,) = site.records()
    same = clean.keys() & record.keys()
    assert clean.keys() <= record.keys()
    assert record.keys() - clean.keys() == {"time", "door", "late", "mode"}
    differing = {key for key in same if clean[key] != record[key]}
    assert differing <= {"waited_ms", "detail"}  # a record has it where there is no verdict
    assert (missing["case"], missing["outcome"], missing["detail"]) == (
        None, "error", "No such file or directory",
    )  # fmt: skip
    assert missing["context"] == {"folder": None, "path": str(folder / "gone"), "moved_to": None}


def test_a_named_path_that_cannot_be_judged_is_one_line(
    kata: Emulator, site: Site, folder: Path
) -> None:
    link, pipe = folder.parent / "link", folder.parent / "pipe"
    link.symlink_to(folder)
    os.mkfifo(pipe)
    done = scan(site, folder.parent / "gone", link, pipe)
    assert done.returncode == 2
    why = "no regular file and no folder; links are not followed"
    assert done.stderr.decode().splitlines() == [
        f"kata-bridge scan: {folder.parent}/gone was not judged: error: No such file or directory.",
        f"kata-bridge scan: {link} was not judged: error: {why}.",
        f"kata-bridge scan: {pipe} was not judged: error: {why}.",
        "kata-bridge scan: files: 3, not detected: 0, detected: 0, not judged: 3.",
    ]
    assert kata.memory.calls["submit"] == 0
    assert site.records() == []


def test_links_and_special_files_inside_of_folders_are_left_out_and_counted(
    kata: Emulator, site: Site, folder: Path
) -> None:
    (folder / "link").symlink_to("/etc/hostname")
    (folder / "up").symlink_to(folder)
    os.mkfifo(folder / "sub" / "pipe")
    done = scan(site, folder)
    assert done.returncode == 0
    assert b"3 links and special files inside of folders are left out." in done.stderr
    assert kata.memory.calls["submit"] == 2


@pytest.mark.parametrize("how", [[], ["--json"]], ids=["table", "json"])
def test_odd_names_do_no_harm(site: Site, folder: Path, how: list[str]) -> None:
    names = [b"a\nb.com", b"\x1b[2J\x1b]0;x\x07", b"caf\xe9", b"[red]x :smile:", b"-rf"]
    for name in names:
        Path(os.fsdecode(os.fsencode(folder) + b"/sub/" + name)).write_bytes(EICAR)
    done = scan(site, folder / "sub", more=how)
    assert done.returncode == 1, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\xe9" not in done.stdout
    assert len(done.stdout.splitlines()) == 6 + (not how)
    if how:
        expected = {os.fsdecode(name) for name in names} | {"large.bin"}
        assert {each["name"] for each in objects(done)} == expected
    else:
        for shown in (
            rb"sub/a\nb.com",
            rb"\x1b[2J\x1b]0;x\x07",
            rb"caf\udce9",
            b"[red]x :smile:",
        ):
            assert shown in done.stdout


def test_a_terminal_without_the_signs_of_a_name(
    site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (folder / "имя").write_bytes(EICAR)
    command = [*module("bridge.cli"), "scan", "--config", str(site.config)]
    command += [str(folder / "имя"), str(folder / "нет")]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert rb"/\u0438\u043c\u044f" in done.stdout
    assert rb"/\u043d\u0435\u0442 was not judged" in done.stderr


def test_an_unreadable_folder_is_not_clean(site: Site, folder: Path) -> None:
    # deeper than a path may be long: unreadable for root, too
    here = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(40):
            os.mkdir("x" * 120, dir_fd=here)
            inner = os.open("x" * 120, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
    finally:
        os.close(here)
    done = scan(site, folder)
    assert done.returncode == 2
    assert b"was not judged: error: File name too long." in done.stderr
    assert b"not detected: 2, detected: 0, not judged: 1." in done.stderr


def test_nobody_to_ask_is_2(kata: Emulator, site: Site, folder: Path) -> None:
    kata.memory.accept = "manual"
    done = scan(site, folder / "clean.txt")
    assert done.returncode == 2
    assert b"waiting for the KATA administrator" in done.stderr
    assert b"not judged: 1." in done.stderr


def test_usage_and_configuration_are_2(site: Site, folder: Path) -> None:
    assert scan(site).returncode == 2
    site.changes = {"kata": {"max_in_flight": "x"}}
    done = scan(site, folder)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"kata.max_in_flight" in done.stderr
    site.changes = {"spool": {"dir": "client.pem"}}
    done = scan(site, folder)
    assert done.returncode == 2
    assert done.stderr.startswith(b"kata-bridge scan: ")
    assert b"(spool.dir)" in done.stderr


def test_it_runs_beside_the_daemons_and_another_scan(
    kata: Emulator,
    site: Site,
    folder: Path,
    icap_client: IcapClient,
    started: Callable[[Program], Program],
) -> None:
    started(site.start_watch())
    (folder / "slow").write_bytes(b"#kata delay=1000\n")
    command = [*module("bridge.cli"), "scan", "--config", site.config, folder / "slow"]
    first = started(Program(command, folder.parent / "first.out"))
    wait_until(lambda: kata.memory.scans, "the first scan waits for its verdict")
    assert scan(site, folder / "clean.txt").returncode == 0
    assert first.process.poll() is None, "they did not run at the same time"
    assert icap_client.options("av/respmod").status == 200
    end_scans(kata)
    assert first.process.wait(30) == 0
    owners = {each.instance for each in kata.memory.submitted}
    assert owners == {"test.scan.0", "test.scan.1"}
    wait_until(lambda: not kata.memory.scans, "every scan is forgotten at KATA")


def test_many_files_are_judged_a_few_at_a_time(kata: Emulator, site: Site, folder: Path) -> None:
    kata.memory.max_in_flight = 16  # the next one would get 429, and come again
    for number in range(60):
        (folder / f"{number}").write_bytes(b"%d" % number)
    done = scan(site, folder)
    assert done.returncode == 0
    assert kata.memory.calls["submit"] == 62
    assert len(site.records()) == 62


def test_on_a_terminal_a_bar_runs_and_a_long_name_is_folded(site: Site, folder: Path) -> None:
    (folder / ("n" * 250)).write_bytes(b"#kata delay=2\n")
    command = [*module("bridge.cli"), "scan", "--config", site.config, folder]
    with Terminal(command) as terminal:
        terminal.expect("67%")
        assert terminal.wait() == 0
        table = terminal.shown.rpartition("outcome")[2]
    assert table.count("not_detected") == 3
    assert sum(line.count("n" * 20) > 0 for line in table.splitlines()) == 2


def test_ctrl_c_ends_it_orderly(kata: Emulator, site: Site, folder: Path) -> None:
    for number in range(30):
        (folder / f"slow{number}").write_bytes(b"#kata delay=60\n%d" % number)
    command = [*module("bridge.cli"), "scan", "--json", "--config", site.config, folder]
    program = Program(command, folder.parent / "scan.out")
    wait_until(lambda: len(kata.memory.scans) >= 16, "16 wait for their verdicts", 20)
    program.process.send_signal(signal.SIGINT)
    assert program.process.wait(20) == 2
    assert "Traceback" not in program.output()
    assert not kata.memory.scans, "scans were left at KATA"
    shown = [json.loads(line) for line in program.output().splitlines() if line[0] == "{"]
    records = site.records()
    assert {each["case"] for each in shown} == {each["case"] for each in records}
    assert len(shown) == len(records) >= 16
    assert {each["outcome"] for each in records} <= {"unavailable", "not_detected"}
    assert "files: 32, " in program.output()
    assert not list((site.directory / "spool" / "test.scan.0").iterdir())


def test_nobody_who_reads_on_is_no_traceback(site: Site, folder: Path) -> None:
    for number in range(20):
        (folder / f"{number}").write_bytes(b"%d" % number)
    command = [*module("bridge.cli"), "scan", "--json", "--config", str(site.config), str(folder)]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(writing)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"Broken" not in done.stderr
    assert site.records(), "what was judged has its record"


def test_a_fault_of_our_own_is_no_detection(site: Site, folder: Path) -> None:
    program = (
        "import sys, bridge.cli; from bridge.commands import scan; scan.find_files = None; "
        f"sys.exit(bridge.cli.main(['scan', '--config', {str(site.config)!r}, {str(folder)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert b"TypeError" in done.stderr


def test_an_empty_path_is_not_the_folder_we_are_in(kata: Emulator, site: Site) -> None:
    command = [*module("bridge.cli"), "scan", "--config", str(site.config), ""]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "an empty path names no file" in done.stderr
    assert kata.memory.calls["submit"] == 0
