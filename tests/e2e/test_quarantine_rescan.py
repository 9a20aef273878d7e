"""`kata-bridge quarantine rescan`: what KATA says now decides."""

from __future__ import annotations

import hashlib
import json
import signal
import stat
from pathlib import Path

import pytest

from bridge.emulator import EICAR, Emulator
from bridge.emulator.script import Script, State
from tests.support.commands import call
from tests.support.judging import end_scans
from tests.support.katabridge import Site
from tests.support.processes import Program, wait_until
from tests.support.quarantine import (
    BAD,
    Keep,
    command,
    files_in,
    fill,
    line_of,
    note_of,
    note_path,
    pair,
    plant,
)
from tests.support.terminals import Terminal


def now_says(monkeypatch: pytest.MonkeyPatch, state: State, delay: float | None = None) -> None:
    """Have KATA say something else of everything from now on."""
    says = Script(state=state, delay=delay)
    monkeypatch.setattr("bridge.emulator.memory.read_script", lambda _: says)


def test_what_is_found_clean_now_is_delivered(
    kata: Emulator, site: Site, started: Keep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(site, started, {"a.com": EICAR})
    sha256 = hashlib.sha256(EICAR).hexdigest()
    case = note_of(site, "a.com")["case"]
    now_says(monkeypatch, "not detected", delay=1000)
    program = Program(line_of(site, "rescan", "a.com", "--json"), tmp_path / "rescan.out")
    wait_until(lambda: kata.memory.calls["submit"] == 2, "KATA is asked again", 20)
    known = ("known", "show", sha256, "--json", "--config", site.config)
    others = call(*known)
    assert json.loads(others.stdout)["kind"] == "detect", "others must see the old verdict yet"
    end_scans(kata)
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
    assert json.loads(call(*known).stdout)["kind"] == "not_detected"
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
    assert call("bypass", "--for", "1h", "--config", site.config).returncode == 0
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
    end_scans(kata)
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
        end_scans(kata)
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
