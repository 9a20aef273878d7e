"""`kata-bridge quarantine` as a program, beside the running folder door."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import main
from bridge.core import new_case_id
from bridge.emulator import EICAR, Emulator
from bridge.emulator.script import Script, State
from bridge.folder.sidecar import Sidecar, format_sidecar, sidecar_name
from tests.support.commands import Done, call
from tests.support.katabridge import Site
from tests.support.processes import Program, module, wait_until
from tests.support.terminals import Terminal

Keep = Callable[[Program], Program]
BAD = b"#kata state=error\n"
PRELUDE = """
import os, sys, time, pathlib, bridge.cli
from bridge.core import Core
from bridge.folder.quarantine import carrying
from bridge.folder.quarantine.custody import Custody
"""


def line_of(site: Site, *words: str) -> list[str]:
    return [*module("bridge.cli"), "quarantine", *words, "--config", str(site.config)]


def patched(site: Site, patch: str, *words: str) -> list[str]:
    """The command with something in it replaced."""
    arguments = ["quarantine", *words, "--config", str(site.config)]
    return [sys.executable, "-c", f"{PRELUDE}\n{patch}\nsys.exit(bridge.cli.main({arguments!r}))"]


def run(line: Sequence[str], **environment: str) -> Done:
    done = subprocess.run(
        line,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def command(site: Site, *words: str, **environment: str) -> Done:
    return call("quarantine", *words, "--config", site.config, **environment)


def fill(site: Site, started: Keep, files: dict[str, bytes]) -> Program:
    """Have the daemon, which goes on running, put files into quarantine."""
    for path, data in files.items():
        place = site.directory / "in" / path
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_bytes(data)
        place.chmod(0o640)
        os.utime(place, ns=(10**18, 10**18 + 7))
    program = started(site.start_watch())
    site.wait_records(len(files))
    wait_until(lambda: not files_in(site, "in"), "the sources are removed", 20)
    return program


def plant(site: Site, files: dict[str, bytes]) -> None:
    """Put files into quarantine as the daemon does, without one."""
    for path, data in files.items():
        place = site.directory / "quarantine" / path
        place.parent.mkdir(exist_ok=True, parents=True)
        place.write_bytes(data)
        note = Sidecar(
            file=place.name,
            case=new_case_id(),
            time=datetime.now().astimezone().isoformat(timespec="milliseconds"),
            folder="share",
            path=path,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            outcome="detect" if data == EICAR else "error",
            source="kata",
            threat="EICAR-Test-File" if data == EICAR else None,
        )
        note_path(site, path).write_bytes(format_sidecar(note))


def files_in(site: Site, place: str) -> set[str]:
    """All files in and below a place, notes and hidden ones too."""
    top = site.directory / place
    walk = os.walk(top)
    return {os.path.relpath(Path(above) / name, top) for above, _, names in walk for name in names}


def note_path(site: Site, path: str) -> Path:
    *parts, name = path.split("/")
    return site.directory.joinpath("quarantine", *parts, sidecar_name(name))


def note_of(site: Site, path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(note_path(site, path).read_bytes())
    return loaded


def forge(site: Site, path: str, changes: dict[str, Any]) -> None:
    """Write a note as a stranger would."""
    note_path(site, path).write_text(json.dumps(note_of(site, path) | changes))


def objects(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def pair(path: str) -> set[str]:
    return {path, f"{path}.katabridge.json"}


# -- list ------------------------------------------------------------------------------------------


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


# -- release ---------------------------------------------------------------------------------------


def test_a_release_brings_the_file_where_it_would_have_gone(site: Site, started: Keep) -> None:
    site.folder["recursive"] = True
    fill(site, started, {"sub/deep/a.com": EICAR, "sub/b": BAD})
    note = note_of(site, "sub/deep/a.com")
    done = command(site, "release", note["case"], "--yes", "--json", SUDO_USER="ann")
    assert (done.returncode, done.stderr) == (0, "")
    out = site.directory / "out" / "sub" / "deep" / "a.com"
    assert out.read_bytes() == EICAR
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert out.stat().st_mtime_ns == 10**18 + 7
    assert files_in(site, "quarantine") == pair("sub/b"), "or something of ours is left"
    assert not (site.directory / "quarantine" / "sub" / "deep").exists()
    (*_, record) = site.wait_records(3)
    (shown,) = objects(done)
    assert record["case"] == shown["case"] != note["case"]
    assert [*record] == [*site.records()[0]], "other keys than in all records"
    says = ("door", "name", "size", "sha256", "md5", "outcome", "source", "decision", "rule")
    assert [record[key] for key in says] == [
        *("FOLDER", "a.com", 68, note["sha256"], note["md5"]),
        *("detect", "rule", "pass", "released by hand"),
    ]
    assert record["context"] == {
        "folder": "share",
        "path": str(site.directory / "quarantine" / "sub" / "deep" / "a.com"),
        "moved_to": str(out),
        "by": "ann",
        "quarantined_as": note["case"],
    }
    detections = [each["case"] for each in site.records("log-detects.log")]
    assert detections == [note["case"]], "a release is no new detection"


@pytest.mark.long
def test_without_sudo_it_is_the_login_name(site: Site) -> None:
    plant(site, {"a": BAD})
    assert command(site, "release", "a", "--yes", SUDO_USER="").returncode == 0
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert site.records()[-1]["context"]["by"] == me


@pytest.mark.long
def test_a_timeout_can_be_released_too(site: Site) -> None:
    plant(site, {"a": BAD})
    forge(site, "a", {"outcome": "timeout"})
    assert command(site, "release", "a", "--yes").returncode == 0
    assert files_in(site, "out") == {"a"}
    assert [each["outcome"] for each in site.records()] == ["timeout"]


@pytest.mark.parametrize("verb", ["release", "delete"])
def test_a_person_is_asked_and_told_what_it_is(site: Site, verb: str) -> None:
    plant(site, {"a.com": EICAR})
    with Terminal(line_of(site, verb, "a.com")) as terminal:
        terminal.expect("[y/N]")
        assert "quarantine/a.com: detect EICAR-Test-File" in terminal.shown
        terminal.type("n")
        assert terminal.wait() == 1
    assert files_in(site, "quarantine") == pair("a.com")
    assert site.records() == []
    with Terminal(line_of(site, verb, "a.com")) as terminal:
        terminal.expect("[y/N]")
        terminal.type("y")
        assert terminal.wait() == 0
    assert files_in(site, "quarantine") == set()
    assert site.records()[-1]["threat"] == "EICAR-Test-File"


@pytest.mark.long
@pytest.mark.parametrize("verb", ["release", "delete"])
def test_where_nobody_can_be_asked_nothing_is_done(site: Site, verb: str) -> None:
    plant(site, {"a.com": EICAR})
    done = command(site, verb, "a.com")
    assert done.returncode == 2
    assert f"{verb} needs --yes" in done.stderr
    assert files_in(site, "quarantine") == pair("a.com")


@pytest.mark.long
def test_what_is_not_what_was_quarantined_is_not_released(site: Site) -> None:
    plant(site, {"a": BAD})
    (site.directory / "quarantine" / "a").write_bytes(b"#kata state=other\n")
    for verb in (["release", "--yes"], ["rescan"]):
        done = command(site, *verb, "a")
        assert done.returncode == 1
        assert "it is not what was quarantined" in done.stderr
    assert files_in(site, "quarantine") == pair("a")
    assert files_in(site, "out") == set()
    assert site.records() == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"path": "../../../etc/cron.d/x"}, "no place below an input"),
        ({"folder": "other"}, "whose quarantine this is not"),
        ({"path": "link/x"}, "is a link or a file, not a folder"),
    ],
    ids=["outside", "another folder", "through a link"],
)
def test_a_forged_note_leads_nowhere(
    site: Site, tmp_path: Path, change: dict[str, str], sentence: str
) -> None:
    plant(site, {"a": BAD})
    outside = tmp_path / "outside"
    outside.mkdir()
    (site.directory / "out" / "link").symlink_to(outside)
    forge(site, "a", change)
    done = command(site, "release", "a", "--yes")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert files_in(site, "quarantine") == pair("a")
    assert files_in(site, "out") == {"link"} - {"link"}
    assert list(outside.iterdir()) == []
    assert site.records() == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("replace", {"a.txt": BAD}),
        ("rename", {"a.txt": b"there", "a (2).txt": BAD}),
        ("keep-both", {"a.txt": BAD, "a (2).txt": b"there"}),
    ],
)
def test_a_taken_name_goes_by_the_folders_rule(
    site: Site, rule: str, expected: dict[str, bytes]
) -> None:
    site.folder["on_conflict"] = rule
    plant(site, {"a.txt": BAD})
    (site.directory / "out" / "a.txt").write_bytes(b"there")
    assert command(site, "release", "a.txt", "--yes").returncode == 0
    out = site.directory / "out"
    assert {name: (out / name).read_bytes() for name in files_in(site, "out")} == expected
    (ours,) = [name for name, data in expected.items() if data == BAD]
    assert site.records()[-1]["context"]["moved_to"] == str(out / ours)


@pytest.mark.long
def test_an_output_that_takes_nothing_leaves_all_as_it_was(site: Site) -> None:
    plant(site, {"a": BAD})
    (site.directory / "out" / "a").mkdir()
    before = note_path(site, "a").read_bytes()
    done = command(site, "release", "a", "--yes")
    assert done.returncode == 1
    assert "it cannot be delivered" in done.stderr
    assert files_in(site, "quarantine") == pair("a"), "or something of ours is left"
    assert note_path(site, "a").read_bytes() == before
    assert site.records() == []
    (site.directory / "out" / "a").rmdir()
    assert command(site, "release", "a", "--yes").returncode == 0


BARRIER = """
take = Custody.take
def wait(self, entry, case_id):
    here = pathlib.Path({directory!r})
    (here / str(os.getpid())).touch()
    while len(list(here.iterdir())) < 2: time.sleep(0.01)
    return take(self, entry, case_id)
Custody.take = wait
"""


@pytest.mark.long
@pytest.mark.parametrize("verb", ["release", "delete"])
def test_of_two_at_once_one_succeeds(site: Site, tmp_path: Path, verb: str) -> None:
    plant(site, {"a.com": EICAR})
    (tmp_path / "barrier").mkdir()
    patch = BARRIER.format(directory=str(tmp_path / "barrier"))
    programs = [
        Program(patched(site, patch, verb, "a.com", "--yes"), tmp_path / f"{number}.out")
        for number in range(2)
    ]
    codes = {program.process.wait(60): program.output() for program in programs}
    assert set(codes) == {0, 1}, codes
    assert len(codes[1].splitlines()) == 1, codes
    assert f"no {verb} of" in codes[1]
    assert "somebody else has taken it" in codes[1] or "it is gone" in codes[1]
    assert len(site.records()) == 1
    assert files_in(site, "quarantine") == set()
    assert files_in(site, "out") == ({"a.com"} if verb == "release" else set())


CRASHES = {
    "before anything": "carrying.Plans.keep = lambda *_: os._exit(9)",
    "before it is taken": "Custody.take = lambda *_: os._exit(9)",
    "before the file, after the note": "import bridge.folder.claim as c; "
    "c.Claims.take = lambda *_: os._exit(9)",
    "before it is delivered": "carrying.deliver = lambda *_: os._exit(9)",
    "before its record": "Core.record_act = lambda *_: os._exit(9)",
    "before its removal": "Custody.remove = lambda *_: os._exit(9)",
    "between file and note": "Custody._remove_note = lambda *_: os._exit(9)",
    "after all": "Core.confirm = lambda *_: os._exit(9)",
}


@pytest.mark.parametrize(
    ("verb", "crash"),
    [("release", crash) for crash in CRASHES]
    + [("delete", crash) for crash in ("before its removal", "between file and note")],
)
def test_a_crash_loses_nothing_and_leaves_nothing_unrecorded(
    site: Site, verb: str, crash: str
) -> None:
    site.folder["recursive"] = True
    site.folder["on_conflict"] = "rename"
    plant(site, {"sub/a.com": EICAR})
    case = note_of(site, "sub/a.com")["case"]
    line = patched(site, CRASHES[crash], verb, case, "--yes")
    crashed = subprocess.run(line, capture_output=True, timeout=60, check=False)
    assert crashed.returncode == 9, crashed.stderr
    # whatever is asked for next puts right what was left
    again = command(site, verb, case, "--yes")
    had_been_done = list(CRASHES).index(crash) > list(CRASHES).index("before it is delivered")
    assert again.returncode == int(had_been_done), again.stderr
    assert files_in(site, "quarantine") == set()
    assert files_in(site, "out") == ({"sub/a.com"} if verb == "release" else set())
    (record,) = site.records()
    assert record["rule"] == f"{verb}d by hand"
    assert record["context"]["quarantined_as"] == case
    if verb == "release":
        assert record["context"]["moved_to"] == str(site.directory / "out" / "sub" / "a.com")
    assert not list((site.directory / "spool" / "test.quarantine.0.quarantine").iterdir())


@pytest.mark.long
def test_what_a_crash_left_is_seen_in_the_list(site: Site) -> None:
    plant(site, {"a.com": EICAR})
    line = patched(site, CRASHES["before its record"], "release", "a.com", "--yes")
    assert subprocess.run(line, capture_output=True, timeout=60, check=False).returncode == 9
    done = command(site, "list")
    assert "1 more in" in done.stderr
    assert "a command was cut off" in done.stderr
    done = command(site, "delete", "nothing", "--yes")
    assert done.returncode == 1
    assert "was delivered to" in done.stderr
    assert "is recorded now" in done.stderr
    assert site.records()[-1]["decision"] == "pass"
    done = command(site, "list")
    assert done.stderr == "kata-bridge quarantine: nothing is there.\n"


# -- delete ----------------------------------------------------------------------------------------


def test_a_delete_removes_both_and_records_it(site: Site) -> None:
    plant(site, {"a.com": EICAR})
    case = note_of(site, "a.com")["case"]
    path = site.directory / "quarantine" / "a.com"
    done = command(site, "delete", str(path), "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert files_in(site, "quarantine") == files_in(site, "out") == set()
    (record,) = site.records()
    says = ("outcome", "source", "decision", "rule", "sha256")
    assert [record[key] for key in says] == [
        *("detect", "rule", "block", "deleted by hand", hashlib.sha256(EICAR).hexdigest())
    ]
    assert (record["context"]["moved_to"], record["context"]["quarantined_as"]) == (None, case)
    assert site.records("log-detects.log") == []


@pytest.mark.long
def test_what_has_no_counterpart_can_be_deleted_only(site: Site) -> None:
    plant(site, {"a": BAD, "tampered": BAD})
    place = site.directory / "quarantine"
    (place / "bare").write_bytes(b"bare")
    (place / "a").unlink()
    (place / "tampered").write_bytes(b"other")
    case = note_of(site, "a")["case"]
    for verb in (["release", "--yes"], ["rescan"]):
        done = command(site, *verb, "bare", case)
        assert done.returncode == 1
        assert "bare: there is no note beside it" in done.stderr
        assert "a: there is only a note, and no file" in done.stderr
    done = command(site, "delete", "bare", case, "tampered", "--yes")
    assert done.returncode == 0, done.stderr
    assert files_in(site, "quarantine") == set()
    records = {each["name"]: each for each in site.records()}
    says = ("outcome", "sha256", "threat")
    assert {name: [each[key] for key in says] for name, each in records.items()} == {
        "bare": ["error", hashlib.sha256(b"bare").hexdigest(), None],
        "a": ["error", None, None],
        "tampered": ["error", hashlib.sha256(b"other").hexdigest(), None],
    }


@pytest.mark.long
def test_a_tampered_file_is_not_recorded_as_what_it_was(site: Site) -> None:
    plant(site, {"a.com": EICAR})
    (site.directory / "quarantine" / "a.com").write_bytes(b"harmless")
    assert command(site, "delete", "a.com", "--yes").returncode == 0
    assert site.records()[-1]["outcome"] == "error"


@pytest.mark.long
def test_all_of_an_outcome_are_deleted(site: Site) -> None:
    plant(site, {"a.com": EICAR, "b": BAD, "c": BAD + b"c"})
    done = command(site, "delete", "--all", "--outcome", "error", "--yes")
    assert done.returncode == 0, done.stderr
    assert files_in(site, "quarantine") == pair("a.com")
    assert len(site.records()) == 2
    done = command(site, "delete", "--all", "--outcome", "error", "--yes")
    assert (done.returncode, done.stderr) == (0, "kata-bridge quarantine: nothing to delete.\n")


# -- rescan ----------------------------------------------------------------------------------------


def now_says(monkeypatch: pytest.MonkeyPatch, state: State, delay: float | None = None) -> None:
    """Have KATA say something else of everything from now on."""
    says = Script(state=state, delay=delay)
    monkeypatch.setattr("bridge.emulator.memory.read_script", lambda _: says)


def speak(kata: Emulator) -> None:
    """Have KATA be done with everything."""
    with kata.memory.lock:
        for key, scan in kata.memory.scans.items():
            kata.memory.scans[key] = replace(scan, done_at=0.0)


def test_what_is_found_clean_now_is_delivered(
    kata: Emulator, site: Site, started: Keep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(site, started, {"a.com": EICAR})
    sha256 = hashlib.sha256(EICAR).hexdigest()
    case = note_of(site, "a.com")["case"]
    now_says(monkeypatch, "not detected", delay=1000)
    program = Program(line_of(site, "rescan", "a.com", "--json"), tmp_path / "rescan.out")
    wait_until(lambda: kata.memory.calls["submit"] == 2, "KATA is asked again", 20)
    known = [*module("bridge.cli"), "known", "show", sha256, "--json", "--config", site.config]
    others = subprocess.run([str(each) for each in known], capture_output=True, check=False)
    assert json.loads(others.stdout)["kind"] == "detect", "others must see the old verdict yet"
    speak(kata)
    assert program.process.wait(60) == 0, program.output()
    (shown,) = [json.loads(line) for line in program.output().splitlines()]
    _, record = site.records()
    assert record["case"] == shown["case"]
    says = ("outcome", "source", "decision", "rule")
    assert [record[key] for key in says] == ["not_detected", "kata", "pass", None]
    assert record["context"]["quarantined_as"] == case
    assert record["context"]["moved_to"] == str(site.directory / "out" / "a.com")
    assert (site.directory / "out" / "a.com").read_bytes() == EICAR
    assert stat.S_IMODE((site.directory / "out" / "a.com").stat().st_mode) == 0o640
    assert files_in(site, "quarantine") == set()
    after = subprocess.run([str(each) for each in known], capture_output=True, check=False)
    assert json.loads(after.stdout)["kind"] == "not_detected"
    assert not kata.memory.scans, "the scan is not forgotten at KATA"


def test_what_is_still_bad_stays_with_a_new_note(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(site, {"a": BAD})
    before = note_of(site, "a")
    now_says(monkeypatch, "detect")
    done = command(site, "rescan", "a")
    assert done.returncode == 0, done.stderr
    assert "stays in quarantine" in done.stdout
    assert files_in(site, "quarantine") == pair("a")
    after, (record,) = note_of(site, "a"), site.records()
    assert (after["case"], after["outcome"], after["threat"]) == (
        *(record["case"], "detect", record["threat"]),
    )
    assert after["time"] > before["time"]
    kept = ("file", "folder", "path", "size", "sha256", "mode", "mtime_ns")
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    assert (record["decision"], record["context"]["moved_to"]) == ("block", None)
    assert record["context"]["quarantined_as"] == before["case"]
    assert command(site, "release", record["case"], "--yes").returncode == 0


def test_kata_away_leaves_all_as_it_was(kata: Emulator, site: Site) -> None:
    plant(site, {"a.com": EICAR})
    before = note_path(site, "a.com").read_bytes()
    kata.memory.accept = "manual"
    done = command(site, "rescan", "a.com")
    assert done.returncode == 2
    assert "a.com was not judged and stays: unavailable" in done.stderr
    assert "waiting for the KATA administrator" in done.stderr
    assert note_path(site, "a.com").read_bytes() == before
    assert files_in(site, "quarantine") == pair("a.com")
    assert (site.records()[-1]["outcome"], site.records()[-1]["decision"]) == (
        *("unavailable", "hold"),
    )


@pytest.mark.long
def test_what_is_not_judged_for_a_rule_keeps_what_is_known_of_it(site: Site) -> None:
    plant(site, {"a.com": EICAR})
    before = note_path(site, "a.com").read_bytes()
    site.changes = {"exclusions": [{"name": "*.com"}]}
    done = command(site, "rescan", "a.com")
    assert done.returncode == 2
    assert "was not judged and stays: excluded" in done.stderr
    assert note_path(site, "a.com").read_bytes() == before
    assert files_in(site, "out") == set()


@pytest.mark.long
def test_the_switch_that_passes_everything_releases_nothing(site: Site) -> None:
    plant(site, {"a.com": EICAR})
    bypass = [*module("bridge.cli"), "bypass", "--for", "1h", "--config", str(site.config)]
    assert run(bypass).returncode == 0
    assert command(site, "rescan", "a.com").returncode == 2
    assert files_in(site, "quarantine") == pair("a.com")


@pytest.mark.long
def test_a_file_that_goes_away_while_it_is_judged(
    kata: Emulator,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    plant(site, {"a.com": EICAR})
    now_says(monkeypatch, "not detected", delay=1000)
    program = Program(line_of(site, "rescan", "a.com"), tmp_path / "rescan.out")
    wait_until(lambda: kata.memory.calls["submit"] == 1, "KATA is asked again", 20)
    assert command(site, "delete", "a.com", "--yes").returncode == 0
    speak(kata)
    assert program.process.wait(60) == 1, program.output()
    assert "somebody else has taken it" in program.output()
    assert files_in(site, "out") == files_in(site, "quarantine") == set()
    assert [each["decision"] for each in site.records()] == ["block", "hold"]


@pytest.mark.long
def test_many_are_judged_together_with_a_bar(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}" for number in range(12)]
    plant(site, {name: BAD + name.encode() for name in names})
    now_says(monkeypatch, "not detected", delay=1000)
    with Terminal(line_of(site, "rescan", "--all")) as terminal:
        terminal.expect("KATA")
        wait_until(lambda: len(kata.memory.scans) == 12, "all are at KATA at once", 20)
        speak(kata)
        assert terminal.wait() == 0
    assert files_in(site, "out") == set(names)
    assert files_in(site, "quarantine") == set()


@pytest.mark.long
def test_ctrl_c_ends_a_rescan_orderly(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = [f"{number}" for number in range(20)]
    plant(site, {name: BAD + name.encode() for name in names})
    now_says(monkeypatch, "not detected", delay=1000)
    program = Program(line_of(site, "rescan", "--all"), tmp_path / "rescan.out")
    wait_until(lambda: len(kata.memory.scans) == 16, "16 wait for their verdicts", 20)
    program.process.send_signal(signal.SIGINT)
    assert program.process.wait(20) == 2
    assert "Traceback" not in program.output()
    assert "stopped: 4 files were not come to" in program.output()
    assert not kata.memory.scans, "scans were left at KATA"
    assert {(each["outcome"], each["decision"]) for each in site.records()} == {
        ("unavailable", "hold")
    }
    assert files_in(site, "quarantine") == set().union(*(pair(name) for name in names))


# -- who, where, and how not -----------------------------------------------------------------------


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
