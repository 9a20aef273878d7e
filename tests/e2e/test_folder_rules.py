"""The folder door's rules: sub-folders, names that are taken, several folders, `--once`."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bridge.emulator import EICAR, Emulator
from bridge.folder.sidecar import parse_sidecar
from tests.support.folders import Places, check_ends
from tests.support.katabridge import Site
from tests.support.processes import Program, module, wait_until

Keep = Callable[[Program], Program]


def drop(site: Site, path: str, data: bytes, place: str = "in") -> Path:
    target = site.directory / place / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return target


def once(site: Site) -> Program:
    """Run `kata-bridge watch --once` to its end."""
    command = [*module("bridge.cli"), "watch", "--once", "--config", site.config]
    program = Program(command, site.directory / "once.out")
    program.process.wait(60)
    return program


# -- sub-folders -----------------------------------------------------------------------------------


def test_sub_folders_are_rebuilt_in_output_and_quarantine(site: Site, started: Keep) -> None:
    site.folder["recursive"] = True
    files = {
        "a": b"top",
        "x/b": b"one deep",
        "x/y/z/c": b"three deep",
        "x/y/evil.com": EICAR,
        "имя/n\n": b"names",
        os.fsdecode(b"caf\xe9/caf\xe9"): b"not UTF-8",
    }
    for path, data in files.items():
        drop(site, path, data)
    program = started(site.start_watch())
    places = Places.of(site)
    places.wait_empty()
    site.wait_records(len(files))
    check_ends(places, site.records(), list(files.values()))
    assert {p: f.read_bytes() for p, f in places.delivered().items()} == {
        path: data for path, data in files.items() if data != EICAR
    }
    assert list(places.quarantined()) == ["x/y/evil.com"]
    assert (site.directory / "in" / "x" / "y" / "z").is_dir(), "emptied folders stay"
    lines = [line for line in program.output().splitlines() if "not_detected" in line]
    assert len(lines) == len(files) - 1, "a line feed in a name broke the log"


def test_without_recursion_sub_folders_are_left_alone(
    kata: Emulator, site: Site, started: Keep
) -> None:
    deep = drop(site, "x/b", b"deep")
    drop(site, "a", b"top")
    started(site.start_watch())
    site.wait_records(1)
    wait_until(lambda: not (site.directory / "in" / "a").exists(), "the other one went")
    assert deep.exists()
    assert kata.memory.calls["submit"] == 1


def test_a_link_in_the_output_is_not_followed(site: Site, started: Keep) -> None:
    site.folder["recursive"] = True
    elsewhere = site.directory / "elsewhere"
    elsewhere.mkdir()
    (site.directory / "out" / "sub").symlink_to(elsewhere)
    drop(site, "sub/a", b"a")
    program = started(site.start_watch())
    drop(site, "b", b"b")
    said = "out/sub/a: is a link or a file, not a folder; sub/a (not_detected) stays in input"
    wait_until(lambda: said in program.output(), "it is said")
    wait_until((site.directory / "out" / "b").exists, "the other one goes its way")
    assert list(elsewhere.iterdir()) == []
    (site.directory / "out" / "sub").unlink()
    wait_until((site.directory / "out" / "sub" / "a").exists, "it is taken up", 20)
    assert program.output().count("is a link or a file") == 1


@pytest.mark.long
def test_a_folder_of_the_input_that_becomes_a_link_shows_nothing(
    kata: Emulator, site: Site, started: Keep
) -> None:
    site.folder["recursive"] = True
    secret = site.directory / "secret"
    secret.mkdir()
    (secret / "a").write_bytes(b"a secret")
    (site.directory / "in" / "sub").symlink_to(secret)
    started(site.start_watch())
    drop(site, "b", b"b")
    site.wait_records(1)
    assert kata.memory.calls["submit"] == 1
    assert (secret / "a").exists()


@pytest.mark.long
@pytest.mark.parametrize("name", ["x" * 255, "ы" * 127])
def test_the_longest_names_end_in_quarantine_with_a_note(
    site: Site, started: Keep, name: str
) -> None:
    drop(site, name, EICAR)
    started(site.start_watch())
    places = Places.of(site)
    places.wait_empty()
    site.wait_records(1)
    check_ends(places, site.records(), [EICAR])


# -- names that are not taken, names that are taken ------------------------------------------------


def test_temporary_names_wait_for_their_rename(kata: Emulator, site: Site, started: Keep) -> None:
    part = drop(site, "film.part", b"half")
    lock = drop(site, "~$report.docx", b"lock")
    started(site.start_watch())
    drop(site, "other", b"other")
    site.wait_records(1)
    assert part.exists()
    assert lock.exists()
    part.rename(part.with_name("film"))
    site.wait_records(2)
    assert lock.exists()
    assert kata.memory.calls["submit"] == 2


@pytest.mark.long
def test_other_temporary_names_by_configuration(site: Site, started: Keep) -> None:
    site.folder["ignore"] = ["*.tmp"]
    drop(site, "a.part", b"a")
    kept = drop(site, "b.TMP", b"b")
    started(site.start_watch())
    (record,) = site.wait_records(1)
    assert record["name"] == "a.part"
    assert kept.exists()


@pytest.mark.parametrize(
    ("rule", "output"),
    [
        ("replace", {"a.txt": b"new"}),
        ("rename", {"a.txt": b"old", "a (2).txt": b"new"}),
        ("keep-both", {"a.txt": b"new", "a (2).txt": b"old"}),
    ],
)
def test_a_name_that_is_taken_in_output(
    site: Site, started: Keep, rule: str, output: dict[str, bytes]
) -> None:
    site.folder["on_conflict"] = rule
    drop(site, "a.txt", b"old", "out")
    drop(site, "a.txt", b"new")
    started(site.start_watch())
    (record,) = site.wait_records(1)
    Places.of(site).wait_empty()
    assert {p.name: p.read_bytes() for p in (site.directory / "out").iterdir()} == output
    assert Path(record["context"]["moved_to"]).read_bytes() == b"new"


@pytest.mark.long
def test_two_threats_of_one_name_are_both_kept(site: Site, started: Keep) -> None:
    started(site.start_watch())
    places = Places.of(site)
    contents = [b"#kata state=detect\n1", b"#kata state=detect\n2"]
    for number, data in enumerate(contents, start=1):
        drop(site, "invoice.doc", data)
        site.wait_records(number)
        places.wait_empty()
    check_ends(places, site.records(), contents)
    assert sorted(places.quarantined()) == ["invoice (2).doc", "invoice.doc"]


def test_what_is_known_of_a_quarantined_file_lies_beside_it(site: Site, started: Keep) -> None:
    path = drop(site, "evil.com", EICAR)
    path.chmod(0o754)
    os.utime(path, ns=(1, 10**18))
    started(site.start_watch())
    (record,) = site.wait_records(1)
    beside = site.directory / "quarantine" / "evil.com.katabridge.json"
    known = parse_sidecar(beside.read_bytes())
    assert (known.file, known.path, known.folder) == ("evil.com", "evil.com", "share")
    assert record["threat"] == "EICAR-Test-File"
    for key in ("case", "outcome", "source", "sha256", "size", "scan_id", "threat", "technology"):
        assert getattr(known, key) == record[key], key
    assert (known.mode, known.mtime_ns) == (0o754, 10**18)
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name",
    ["evil.com.KataBridge.JSON", pytest.param("evil.com.katabridge.json", marks=pytest.mark.long)],
)
def test_a_file_that_looks_like_a_note_is_not_taken_for_one(
    site: Site, started: Keep, name: str
) -> None:
    """Nor replaced by one, on shares of Windows, which know no capitals."""
    forged = b'#kata state=detect\n{"file": "evil.com", "path": "../../etc/passwd"}'
    drop(site, "evil.com", EICAR)
    drop(site, name, forged)
    started(site.start_watch())
    places = Places.of(site)
    places.wait_empty()
    site.wait_records(2)
    check_ends(places, site.records(), [EICAR, forged])
    names = Counter(name.lower() for name in [*places.quarantined(), *places.sidecars()])
    assert set(names.values()) == {1}


def test_a_folder_that_looks_like_a_note_keeps_no_threat_in_input(
    site: Site, started: Keep
) -> None:
    site.folder["recursive"] = True
    first = b"#kata state=detect\n1"
    started(site.start_watch())
    drop(site, "evil.com.katabridge.json/a", first)
    site.wait_records(1)
    drop(site, "evil.com", EICAR)
    places = Places.of(site)
    places.wait_empty()
    check_ends(places, site.records(), [EICAR, first])
    said = {parse_sidecar(path.read_bytes()).path for path in places.sidecars().values()}
    assert said == {"evil.com.katabridge.json/a", "evil.com"}


# -- what others do meanwhile ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["out", *(pytest.param(each, marks=pytest.mark.long) for each in ("in", "quarantine"))]
)
def test_a_folder_that_is_exchanged_for_a_link_leads_nobody_elsewhere(
    kata: Emulator, site: Site, started: Keep, place: str
) -> None:
    elsewhere = site.directory / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_bytes(b"secret")
    program = started(site.start_watch())
    drop(site, "first", b"#kata delay=1\nclean" if place == "out" else b"#kata delay=1 state=error")
    wait_until(lambda: kata.memory.scans, "it is at KATA")
    folder = site.directory / place
    folder.rename(site.directory / "aside")
    folder.symlink_to(elsewhere)
    wait_until(lambda: "when this service began" in program.output(), "it is said")
    assert [each.name for each in elsewhere.iterdir()] == ["secret"]
    folder.unlink()
    (site.directory / "aside").rename(folder)
    Places.of(site).wait_empty()
    assert [record["name"] for record in site.wait_records(1)] == ["first"]


def test_two_links_to_one_file_are_two_files(site: Site, started: Keep) -> None:
    """The removal of the first moves the ctime of the second, which is no new content."""
    (site.directory / "in" / "b").hardlink_to(drop(site, "a", b"content"))
    started(site.start_watch())
    Places.of(site).wait_empty()
    records = site.wait_records(2)
    assert sorted(record["name"] for record in records) == ["a", "b"]


def test_a_claimed_file_that_is_taken_away_is_not_delivered(
    kata: Emulator, site: Site, started: Keep
) -> None:
    drop(site, "a", b"#kata delay=1\na")
    started(site.start_watch())
    wait_until(lambda: kata.memory.scans, "it is at KATA")
    (claimed,) = Places.of(site).waiting().values()
    claimed.unlink()
    (record,) = site.wait_records(1)
    assert (record["outcome"], record["decision"]) == ("unavailable", "hold")
    assert not Places.of(site).delivered()


def left_by_a_crash(site: Site, started: Keep, name: str, data: bytes) -> None:
    """A file that an earlier process had claimed."""
    started(site.start_watch()).stop()
    owner = (site.directory / "spool" / "test.folder.0.owner").read_text()
    drop(site, f".katabridge/test.folder.0-{owner}/{'0' * 16}/{name}", data)


def test_a_delivery_before_a_crash_is_known_again_though_its_name_is_taken(
    site: Site, started: Keep
) -> None:
    """It was published and not recorded, and then somebody dropped another file of that name."""
    first, second = b"#kata state=error\n1", b"#kata state=error\n2"
    left_by_a_crash(site, started, "evil.txt", first)
    drop(site, "evil.txt", first, "quarantine")
    drop(site, "evil.txt", second)
    started(site.start_watch())
    places = Places.of(site)
    site.wait_records(1)
    assert sorted(places.quarantined()) == ["evil (2).txt", "evil.txt"]
    # the other is removed after its record; this one waits for its name, free at the next sweep
    wait_until(lambda: len(places.waiting()) == 1, "one is left")
    assert not (site.directory / "in" / "evil (2).txt").exists()


@pytest.mark.long
def test_the_draft_of_a_crash_is_removed(site: Site, started: Keep) -> None:
    left_by_a_crash(site, started, "a", b"a")
    owner = (site.directory / "spool" / "test.folder.0.owner").read_text()
    draft = drop(site, f".katabridge-test.folder.0-{owner}-{'0' * 16}.part", b"half", "out")
    started(site.start_watch())
    wait_until(lambda: not draft.exists(), "it is removed")
    Places.of(site).wait_empty()
    assert [record["name"] for record in site.wait_records(1)] == ["a"]


# -- what stays ------------------------------------------------------------------------------------


def test_a_file_that_is_excluded_by_name_is_not_touched(
    kata: Emulator, site: Site, started: Keep
) -> None:
    site.changes = {"exclusions": [{"name": "*.iso"}]}
    path = drop(site, "a.iso", b"image")
    before = path.stat()
    started(site.start_watch())
    (record,) = site.wait_records(1)
    assert (record["outcome"], record["decision"]) == ("excluded", "skip")
    after = path.stat()
    assert (after.st_ctime_ns, after.st_atime_ns) == (before.st_ctime_ns, before.st_atime_ns)
    assert kata.memory.calls["submit"] == 0


def test_a_file_that_is_excluded_by_content_is_put_back_and_recorded_once(
    kata: Emulator, site: Site, started: Keep
) -> None:
    site.changes = {"exclusions": [{"format": "pdf"}]}
    path = drop(site, "a", b"%PDF-1.7\n")
    program = started(site.start_watch())
    site.wait_records(1)
    program.stop()
    started(site.start_watch())  # a restart does not record it again
    drop(site, "z", b"z")
    records = site.wait_records(2)
    assert [record["name"] for record in records] == ["a", "z"]
    assert path.read_bytes() == b"%PDF-1.7\n"
    assert kata.memory.calls["submit"] == 1


@pytest.mark.long
def test_a_limit_that_is_raised_takes_up_what_was_left(site: Site, started: Keep) -> None:
    site.changes = {"kata": {"max_object_size": "1KiB"}}
    drop(site, "big", b"x" * 2000)
    program = started(site.start_watch())
    assert site.wait_records(1)[0]["outcome"] == "oversize"
    program.stop()
    site.changes = {"kata": {"max_object_size": "1MiB"}}
    started(site.start_watch())
    assert site.wait_records(2)[1]["outcome"] == "not_detected"
    Places.of(site).wait_empty()


@pytest.mark.long
def test_an_input_that_is_empty_by_mistake_forgets_nothing(site: Site, started: Keep) -> None:
    site.changes = {"kata": {"max_object_size": "1KiB"}}
    path = drop(site, "big", b"x" * 2000)
    started(site.start_watch())
    site.wait_records(1)
    aside = site.directory / "aside"
    path.rename(aside)
    drop(site, "a", b"a")  # its way through shows that the input was looked at meanwhile
    site.wait_records(2)
    aside.rename(path)
    drop(site, "b", b"b")
    site.wait_records(3)
    assert sorted(record["name"] for record in site.records()) == ["a", "b", "big"]


# -- several folders, several bridges --------------------------------------------------------------


def second_folder(site: Site, **changes: object) -> dict[str, object]:
    for name in ("in2", "out2", "quarantine2"):
        (site.directory / name).mkdir()
    return {
        **site.folder,
        "name": "second",
        "input": "in2",
        "output": "out2",
        "quarantine": "quarantine2",
        **changes,
    }


def test_a_backlog_in_one_folder_does_not_starve_another(
    kata: Emulator, site: Site, started: Keep
) -> None:
    site.changes = {
        "folders": [site.folder, second_folder(site)],
        "kata": {"max_in_flight": 20},
    }
    for number in range(300):
        drop(site, f"{number}", b"#kata delay=1\n%d" % number)
    started(site.start_watch())
    wait_until(lambda: len(kata.memory.scans) >= 14, "the backlog fills its places")
    drop(site, "urgent", b"urgent", "in2")
    wait_until((site.directory / "out2" / "urgent").exists, "it is through", 30)
    assert len(site.records()) < 150, "it waited for the backlog"


@pytest.mark.long
def test_each_folder_has_its_own_rules(site: Site, started: Keep) -> None:
    second = second_folder(site, recursive=True, ignore=[], on_conflict="rename")
    site.changes = {"folders": [site.folder, second]}
    drop(site, "x/a.part", b"a")
    drop(site, "x/a.part", b"b", "in2")
    started(site.start_watch())
    (record,) = site.wait_records(1)
    assert record["context"]["folder"] == "second"
    assert (site.directory / "out2" / "x" / "a.part").read_bytes() == b"b"


def test_two_bridges_on_one_share_never_take_the_same_file(
    kata: Emulator, site: Site, started: Keep
) -> None:
    contents = [b"#kata delay=0.2\n%d" % number for number in range(150)]
    other = site.directory / "other"
    changed = yaml.safe_load(site.config.read_text())
    changed["kata"]["node"] = "test"  # the same name by mistake, with a spool of its own
    changed |= {
        "spool": {"dir": "other/spool", "min_free": "1MiB"},
        "logs": {"dir": "other/log"},
        "verdicts": {"store": f"sqlite://{other}/verdicts.db"},
    }
    other.mkdir()
    config = site.directory / "other.yaml"
    config.write_text(yaml.safe_dump(changed))
    started(site.start_watch())
    command = [*module("bridge.cli"), "watch", "--config", config]
    second = started(Program(command, other / "out"))
    wait_until(lambda: "KATA takes files" in second.output(), "both are there")
    for number, data in enumerate(contents):
        drop(site, f"{number}", data)
    places = Places.of(site)
    places.wait_empty(60)
    logs = [site.directory / "log", other / "log"]
    histories = [log / "log-history.log" for log in logs]
    counts = [len(path.read_text().splitlines()) for path in histories if path.exists()]
    assert sum(counts) == 150
    assert len(counts) == 2, "one of them did nothing"
    assert kata.memory.calls["submit"] == 150
    assert len(places.delivered()) == 150


# -- once ------------------------------------------------------------------------------------------


def test_once_deals_with_what_is_there_and_ends(site: Site) -> None:
    site.folder["recursive"] = True
    contents = [b"clean", EICAR, b"#kata state=error\n", b"deep"]
    for name, data in zip(("a", "b", "c", "x/d"), contents, strict=True):
        drop(site, name, data)
    program = once(site)
    assert program.process.returncode == 0, program.output()
    check_ends(Places.of(site), site.records(), contents)


@pytest.mark.long
def test_once_in_an_empty_folder(site: Site) -> None:
    assert once(site).process.returncode == 0
    assert site.records() == []


def test_once_leaves_what_cannot_be_judged_and_says_so(kata: Emulator, site: Site) -> None:
    kata.memory.accept = "manual"
    for number in range(30):
        drop(site, f"{number}", b"%d" % number)
    program = once(site)
    assert program.process.returncode == 1
    assert "folder share: 30 files stay in input" in program.output()
    assert len(Places.of(site).waiting()) == 30
    assert site.records() == []


def test_once_leaves_a_file_that_is_still_written(site: Site) -> None:
    drop(site, "a", b"a")
    with drop(site, "growing", b"x").open("ab"):
        assert once(site).process.returncode == 0
    assert list(Places.of(site).waiting()) == ["growing"]


def test_once_says_what_it_cannot_read(site: Site) -> None:
    (site.directory / "in").rename(site.directory / "away")
    program = once(site)
    assert program.process.returncode == 1
    assert "is no folder (folders, share: input)" in program.output()


# -- hints -----------------------------------------------------------------------------------------


def test_a_hint_makes_a_slow_clock_quicker(site: Site, started: Keep) -> None:
    site.folder["rescan"] = "1h"
    program = started(site.start_watch())
    wait_until(lambda: "KATA takes files" in program.output(), "it is at work")
    out, number = site.directory / "out", 0
    while not list(out.iterdir()) and number < 20:
        number += 1
        drop(site, f"{number}", b"a")  # the first ones may come before somebody listens
        time.sleep(1)
    assert list(out.iterdir()), "it waited for its clock"
