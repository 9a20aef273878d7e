"""`kata-bridge quarantine release` and `delete`: what comes where, and what is refused."""

from __future__ import annotations

import hashlib
import stat
import subprocess
from pathlib import Path

import pytest

from bridge.emulator import EICAR
from tests.support.katabridge import Site
from tests.support.quarantine import (
    BAD,
    Keep,
    command,
    files_in,
    fill,
    forge,
    line_of,
    note_of,
    note_path,
    objects,
    pair,
    plant,
)
from tests.support.terminals import Terminal


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
