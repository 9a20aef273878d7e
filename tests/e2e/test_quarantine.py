"""`kata-bridge quarantine`: its list, and what is said of a file or folder that is not there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.emulator import EICAR, Emulator
from tests.support.katabridge import Site
from tests.support.processes import wait_until
from tests.support.quarantine import (
    BAD,
    Keep,
    command,
    files_in,
    fill,
    line_of,
    note_of,
    note_path,
    objects,
    pair,
    plant,
)


def test_the_list_is_a_table_newest_first(site: Site, started: Keep) -> None:
    site.folder["recursive"] = True
    fill(site, started, {"sub/a.com": EICAR, "b": BAD})
    place = site.directory / "quarantine"
    (place / "bare").write_bytes(b"bare")
    note_path(site, "gone").write_text(json.dumps(note_of(site, "b") | {"file": "gone"}))
    (place / "damaged").write_bytes(b"")
    note_path(site, "damaged").write_bytes(b"{")
    ages = {"b": 1, "sub/a.com": 4, "gone": 3, "damaged": 5}  # `bare` came just now: in between
    for path, age in ages.items():
        os.utime(note_path(site, path), ns=(0, age * 10**18))
    done = command(site, "list")
    assert (done.returncode, done.stderr) == (0, "")
    time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    patterns = [
        r"case +time +folder +path +size +outcome +threat",
        rf" +{time}  share +damaged +0  damaged note  Expecting property name .*",
        rf"\w{{16}}  {time}  share +sub/a.com +68  detect +EICAR-Test-File",
        rf"\w{{16}}  {time}  share +gone +18  no file",
        rf" +{time}  share +bare +4  no note",
        rf"\w{{16}}  {time}  share +b +18  error",
    ]
    for line, pattern in zip(done.stdout.splitlines(), patterns, strict=True):
        assert re.fullmatch(pattern, line.rstrip()), line


def test_json_is_an_object_a_line_with_what_the_note_says(site: Site) -> None:
    plant(site, {"a.com": EICAR})
    (site.directory / "quarantine" / "bare").write_bytes(b"bare")
    found = {each["file"]: each for each in objects(command(site, "list", "--json"))}
    whole, bare = (found[str(site.directory / "quarantine" / each)] for each in ("a.com", "bare"))
    note = note_of(site, "a.com")
    keys = ("case", "time", "folder", "path", "size", "sha256", "md5", "outcome", "source")
    assert {key: whole[key] for key in keys} == {key: note[key] for key in keys}
    assert (whole["state"], whole["fault"]) == ("whole", None)
    assert (bare["state"], bare["case"], bare["size"], bare["outcome"]) == (
        *("no note", None, 4, None),
    )


@pytest.mark.long
def test_the_list_can_be_narrowed(site: Site) -> None:
    plant(site, {"a.com": EICAR, "b": BAD})
    os.utime(note_path(site, "a.com"), ns=(0, 10**18))

    def shown(*words: str) -> list[str]:
        return [
            Path(each["file"]).name for each in objects(command(site, "list", "--json", *words))
        ]

    assert shown() == ["b", "a.com"]
    assert shown("--outcome", "detect") == ["a.com"]
    assert shown("--since", "24h") == ["b"]
    assert shown("--limit", "1") == ["b"]
    assert shown("--folder", "share") == ["b", "a.com"]


def test_an_empty_quarantine_is_said(kata: Emulator, site: Site) -> None:
    del kata
    done = command(site, "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "kata-bridge quarantine: nothing is there.\n"


ODD = {
    "a\x1b[2J\nb": rb"a\x1b[2J\nb",
    os.fsdecode(b"caf\xe9"): rb"caf\udce9",
    "[red]x :smile:": rb"[red]x :smile:",
    "-rf": rb"-rf",
    "\u202egpj.exe": rb"\u202egpj.exe",
    "x" * 255: b"x" * 255,
}


@pytest.mark.long
def test_odd_names_do_no_harm_and_can_be_named(site: Site, started: Keep) -> None:
    fill(site, started, dict.fromkeys(ODD, BAD))
    for how in ([], ["--json"]):
        done = subprocess.run(
            line_of(site, "list", *how), capture_output=True, timeout=60, check=True
        )
        assert b"\x1b" not in done.stdout
        assert b"\xe9" not in done.stdout
        assert len(done.stdout.splitlines()) == len(ODD) + (not how)
        if not how:
            assert all(shown in done.stdout for shown in ODD.values())
    done_all = command(site, "release", "--yes", *(f"./{name}" for name in ODD))
    assert done_all.returncode == 0, done_all.stderr
    assert "\x1b" not in done_all.stdout + done_all.stderr
    assert files_in(site, "out") == set(ODD)
    assert files_in(site, "quarantine") == set()
    records = site.records()[len(ODD) :]
    assert {each["name"] for each in records} == set(ODD)


@pytest.mark.long
def test_nobody_who_reads_on_does_no_harm(site: Site) -> None:
    plant(site, {"a": BAD, "b": BAD})
    for words, code in {
        ("list",): 0,
        ("list", "--json"): 0,
        ("delete", "--all", "--yes"): 0,
    }.items():
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(
                line_of(site, *words), stdout=writing, stderr=subprocess.PIPE, check=False
            )
        finally:
            os.close(writing)
        assert (done.returncode, done.stderr) == (code, b""), words
    assert files_in(site, "quarantine") == set(), "what was begun was not ended"


@pytest.mark.long
def test_folders_are_told_apart(site: Site, started: Keep) -> None:
    for name in ("in2", "out2", "q2"):
        (site.directory / name).mkdir()
    other = {"name": "other", "input": "in2", "output": "out2", "quarantine": "q2"}
    site.changes = {"folders": [site.folder, site.folder | other]}
    (site.directory / "in2" / "a").write_bytes(BAD)
    fill(site, started, {"a": BAD})
    site.wait_records(2)
    wait_until(lambda: not files_in(site, "in2"), "the source is removed")
    found = objects(command(site, "list", "--json", "--folder", "other"))
    assert [each["folder"] for each in found] == ["other"]
    done = command(site, "release", "a", "--yes")
    assert done.returncode == 1
    assert "a is ambiguous" in done.stderr
    done = command(site, "release", "a", "--yes", "--folder", "other")
    assert done.returncode == 0, done.stderr
    assert files_in(site, "out2") == {"a"}
    assert files_in(site, "quarantine") == pair("a")


@pytest.mark.long
def test_a_shared_quarantine_returns_each_file_to_its_own_folder(site: Site, started: Keep) -> None:
    for name in ("in2", "out2"):
        (site.directory / name).mkdir()
    other = {"name": "other", "input": "in2", "output": "out2"}
    site.changes = {"folders": [site.folder, site.folder | other]}
    (site.directory / "in2" / "a").write_bytes(BAD + b"2")
    fill(site, started, {"a": BAD})
    site.wait_records(2)
    wait_until(lambda: not files_in(site, "in2"), "the source is removed")
    found = objects(command(site, "list", "--json"))
    case = {each["folder"]: each["case"] for each in found}
    done = command(site, "release", case["other"], "--folder", "share", "--yes")
    assert done.returncode == 1
    assert "came through the folder other" in done.stderr
    assert command(site, "release", case["other"], "--yes").returncode == 0
    assert (site.directory / "out2" / "a").read_bytes() == BAD + b"2"
    assert files_in(site, "out") == set()


@pytest.mark.long
def test_a_quarantine_that_is_away_is_one_sentence(kata: Emulator, site: Site) -> None:
    del kata
    (site.directory / "quarantine").rmdir()
    for words in (["list"], ["rescan", "--all"]):
        done = command(site, *words)
        assert done.returncode == 1
        place = site.directory / "quarantine"
        said = f"kata-bridge quarantine: {place} cannot be read: No such file or directory.\n"
        assert done.stderr.startswith(said), words


WRONG = {
    "no verb": ([], 2, "required: VERB"),
    "nothing named": (["delete", "--yes"], 2, "name files by their case or path, or give --all"),
    "names and all": (["delete", "a", "--all"], 2, "or give --all"),
    "a filter for names": (["delete", "a", "--outcome", "detect"], 2, "go with --all"),
    "all detections": (["release", "--all", "--yes"], 2, "release --all needs --outcome"),
    "no folder": (["list", "--folder", "x\x1b[2J"], 2, "there are: share"),
    "no outcome": (["list", "--outcome", "bad"], 2, "invalid choice"),
    "no time": (["list", "--since", "yesterday"], 2, "not a time"),
    "no number": (["list", "--limit", "-1"], 2, "--limit"),
}


@pytest.mark.parametrize(("words", "code", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_done_is_one_sentence(
    site: Site,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    try:
        found = main(["quarantine", *words, *(["--config", str(site.config)] if words else [])])
    except SystemExit as error:
        assert isinstance(error.code, int)
        found = error.code
    shown, said = capsys.readouterr()
    assert found == code
    assert sentence in said
    assert "\x1b" not in shown + said


@pytest.mark.long
def test_what_is_not_there_is_said(kata: Emulator, site: Site) -> None:
    del kata
    done = command(site, "delete", "a\x1b[2J", "0" * 16, "--yes")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        rf"kata-bridge quarantine: {name} is not in quarantine." for name in (r"a\x1b[2J", "0" * 16)
    ]


def test_a_configuration_that_cannot_be_used_is_2(site: Site) -> None:
    site.changes = {"kata": {"max_in_flight": "x"}}
    assert command(site, "list").returncode == 2
    site.changes = {"spool": {"dir": "client.pem"}}
    (site.directory / "quarantine" / "bare").write_bytes(b"x")
    done = command(site, "delete", "bare", "--yes")
    assert done.returncode == 2
    assert "(spool.dir)" in done.stderr
    assert files_in(site, "quarantine") == {"bare"}
