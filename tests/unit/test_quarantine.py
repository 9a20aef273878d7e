"""The parts of `kata-bridge quarantine`: what is found, trusted, taken and put back."""

from __future__ import annotations

import asyncio
import json
import os
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.commands import quarantine_list
from bridge.core import (
    Case,
    Decision,
    Door,
    FolderSettings,
    Mode,
    Outcome,
    OutcomeKind,
    Source,
)
from bridge.core.cef import format_cef, syslog_severity
from bridge.core.ledger import Entry as LedgerEntry
from bridge.core.verdicts import MemoryVerdicts, VerdictFront
from bridge.folder.conflict import Content
from bridge.folder.mounts import AwayError, SamePlace
from bridge.folder.opened import NotStillError
from bridge.folder.quarantine import Entry, Quarantine, State, find_all, pick, quarantines
from bridge.folder.quarantine.custody import Custody, NotRemovedError, NotTakenError, Taken
from bridge.folder.quarantine.delivery import deliver, delivered, digest_of
from bridge.folder.quarantine.entries import read_entry
from bridge.folder.quarantine.plans import Plan, Plans, unfinished
from bridge.folder.sidecar import Sidecar, format_sidecar, sidecar_name

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
CASE = "1m87warw33q4jd1z"
NOTE = Sidecar(
    file="a",
    case=CASE,
    time="2026-01-01T00:00:00.000+00:00",
    folder="share",
    path="a",
    size=5,
    sha256=HELLO,
    outcome="detect",
    source="kata",
    threat="X",
    mode=0o640,
    uid=os.getuid(),
    gid=os.getgid(),
    mtime_ns=10**18 + 7,
)


def folder(tmp_path: Path, name: str = "share", quarantine: str = "q") -> FolderSettings:
    places = {"input": f"{name}-in", "output": f"{name}-out", "quarantine": quarantine}
    for each in places.values():
        (tmp_path / each).mkdir(exist_ok=True)
    paths = {key: str(tmp_path / each) for key, each in places.items()}
    return FolderSettings.model_validate({"name": name, **paths})


def places_of(*folders: FolderSettings) -> list[Quarantine]:
    return quarantines(SimpleNamespace(folders=folders))  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Quarantine:
    """One quarantine of one folder."""
    (found,) = places_of(folder(tmp_path))
    return found


def put(place: Quarantine, path: str, data: bytes | None = b"hello", **changes: Any) -> Path:
    """A file in quarantine with its note; `data` None: only the note."""
    *parts, name = path.split("/")
    above = place.root.joinpath(*parts)
    above.mkdir(parents=True, exist_ok=True)
    if data is not None:
        (above / name).write_bytes(data)
    note = replace(NOTE, **{"file": name, "path": path} | changes)
    (above / sidecar_name(name)).write_bytes(format_sidecar(note))
    return above / name


def entries(place: Quarantine) -> dict[str, Entry]:
    found = [read_entry(place, each) for each in find_all(place).found]
    return {each.path: each for each in found if each is not None}


def one(place: Quarantine) -> Entry:
    (entry,) = entries(place).values()
    return entry


def lies(place: Quarantine) -> set[str]:
    """All files, without those that are taken."""
    walk = os.walk(place.root)
    found = {os.path.relpath(os.path.join(top, f), place.root) for top, _, fs in walk for f in fs}  # noqa: PTH118
    return {each for each in found if not each.startswith(".katabridge")}


# -- what is found ---------------------------------------------------------------------------------


def test_what_is_missing_is_said_and_what_is_not_ours_is_left_out(
    place: Quarantine, tmp_path: Path
) -> None:
    put(place, "sub/deep/whole")
    (place.root / "bare").write_bytes(b"x")
    put(place, "gone", None)
    put(place, "damaged")
    (place.root / "damaged.katabridge.json").write_bytes(b"{")
    (place.root / ".katabridge-o-1.part").write_bytes(b"draft")
    (place.root / ".katabridge" / "owner" / "case").mkdir(parents=True)
    (place.root / ".katabridge" / "owner" / "case" / "taken").write_bytes(b"x")
    (place.root / ".katabridge" / "owner" / "case" / "taken.katabridge.json").write_bytes(b"x")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"x")
    (place.root / "link").symlink_to(outside)
    (place.root / "link2").symlink_to(outside / "secret")
    os.mkfifo(place.root / "pipe")
    assert {path: each.state for path, each in entries(place).items()} == {
        "sub/deep/whole": State.WHOLE,
        "bare": State.NO_NOTE,
        "gone": State.NO_FILE,
        "damaged": State.DAMAGED,
    }
    listing = find_all(place)
    assert (len(listing.found), listing.left_out, listing.claimed) == (4, {}, 1)


def test_long_names_find_their_notes(place: Quarantine) -> None:
    names = ["x" * 255, "ы" * 127, "x" * 239, os.fsdecode(b"caf\xe9"), "a\nb"]
    for name in names:
        put(place, name)
    assert {path: each.state for path, each in entries(place).items()} == dict.fromkeys(
        names, State.WHOLE
    )


@pytest.mark.parametrize("seconds", [17179869184, -17179869184, (1 << 63) - 1, -(1 << 63)])
def test_the_time_of_a_file_may_be_any_that_a_file_system_has(
    place: Quarantine, seconds: int
) -> None:
    """Archives and broken clocks give such ones, and strangers choose theirs."""
    put(place, "a", mtime_ns=seconds * 10**9)
    assert one(place).state is State.WHOLE
    os.utime(place.root / "a", ns=(0, seconds * 10**9))


def test_a_note_that_is_a_link_or_a_pipe_is_not_read(place: Quarantine, tmp_path: Path) -> None:
    path = put(place, "a")
    note = path.with_name("a.katabridge.json")
    elsewhere = tmp_path / "note"
    note.rename(elsewhere)
    note.symlink_to(elsewhere)
    assert one(place).state is State.NO_NOTE
    note.unlink()
    os.mkfifo(note)
    assert one(place).state is State.NO_NOTE


FORGED: dict[str, tuple[dict[str, Any], str]] = {
    "another folder": ({"folder": "other"}, "it names the folder 'other'"),
    "outside": ({"path": "../../etc/passwd"}, "its path is no place below an input"),
    "our own names": ({"path": ".katabridge/x/y"}, "its path is one of katabridge's own"),
    "our own drafts": ({"path": "s/.katabridge-x.part"}, "its path is one of katabridge's own"),
    "another file": ({"file": "b"}, "it is about another file"),
    "no case": ({"case": "\x1b[2J"}, "it holds what katabridge never writes"),
    "no hash": ({"sha256": "0" * 63}, "it holds what katabridge never writes"),
    "no outcome": ({"outcome": "fine"}, "it holds what katabridge never writes"),
    "no user": ({"uid": -1}, "it holds what katabridge never writes"),
    "no group": ({"gid": 1 << 40}, "it holds what katabridge never writes"),
    "no time": ({"mtime_ns": (1 << 63) * 10**9}, "it holds what katabridge never writes"),
    "too much": ({"threat": "x" * 70_000}, "it is too large"),
}


@pytest.mark.parametrize(("change", "fault"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_note_is_no_note(place: Quarantine, change: dict[str, Any], fault: str) -> None:
    path = put(place, "a")
    note = asdict(replace(NOTE)) | change
    path.with_name("a.katabridge.json").write_text(json.dumps(note))
    entry = one(place)
    assert (entry.state, entry.note) == (State.DAMAGED, None)
    assert fault in entry.fault


def test_a_folder_that_only_shares_the_name_of_a_quarantine_is_no_owner(tmp_path: Path) -> None:
    one_place, other = places_of(folder(tmp_path), folder(tmp_path, "other", "q2"))
    put(one_place, "a", folder="other")
    put(other, "b", folder="other")
    assert one(one_place).state is State.DAMAGED
    assert one(other).state is State.WHOLE


def test_a_quarantine_inside_another_is_left_to_its_own(tmp_path: Path) -> None:
    outer, inner = places_of(folder(tmp_path), folder(tmp_path, "other", "q/inner"))
    put(inner, "a", folder="other")
    put(outer, "b")
    assert set(entries(outer)) == {"b"}
    assert set(entries(inner)) == {"a"}
    (found,), faults = pick([outer, inner], [str(inner.root / "a")])
    assert (found.quarantine, faults) == (inner, [])


# -- what a person means ---------------------------------------------------------------------------


def test_a_file_is_named_by_case_and_by_path(place: Quarantine) -> None:
    put(place, "sub/-rf", case="2" * 16)
    put(place, "b")
    put(place, "gone", None, case="3" * 16)
    for words, path in {
        ("2" * 16,): "sub/-rf",
        ("./sub/-rf",): "sub/-rf",
        (str(place.root / "sub" / "-rf"),): "sub/-rf",
        ("b", CASE, str(place.root / "b")): "b",
        ("3" * 16,): "gone",
        ("gone",): "gone",
        ("gone.katabridge.json",): "gone",
        ("b.katabridge.json",): "b",
    }.items():
        found, faults = pick([place], words)
        assert ([each.path for each in found], faults) == ([path], []), words


@pytest.mark.parametrize(
    "word", ["", ".", "/", "../a", "sub", "sub/../a", "/etc/passwd", "c", "9" * 16, "x" * 300, "\0"]
)
def test_what_is_not_there_is_said(place: Quarantine, word: str) -> None:
    put(place, "a")
    put(place, "sub/b")
    assert pick([place], [word]) == ([], [f"{word} is not in quarantine."])


def test_nothing_that_is_taken_or_behind_a_link_can_be_named(
    place: Quarantine, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a").write_bytes(b"x")
    (place.root / "link").symlink_to(tmp_path / "outside")
    (place.root / ".katabridge").mkdir()
    (place.root / ".katabridge" / "a").write_bytes(b"x")
    for word in ("link/a", ".katabridge/a", str(place.root / "link" / "a")):
        assert pick([place], [word])[0] == []


def test_what_means_two_files_is_ambiguous(tmp_path: Path) -> None:
    places = places_of(folder(tmp_path), folder(tmp_path, "other", "q2"))
    put(places[0], "a")
    put(places[1], "a", folder="other")
    for word in ("a", CASE):
        found, (fault,) = pick(places, [word])
        assert found == []
        assert "is ambiguous" in fault
        assert all(str(each.root / "a") in fault for each in places)
    (entry,), _ = pick(places, [str(places[1].root / "a")])
    assert entry.quarantine is places[1]


def test_a_list_reads_only_the_notes_that_it_shows(
    place: Quarantine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(300):
        path = put(place, f"{number:03d}")
        os.utime(sidecar_name(str(path)), ns=(0, 10**9 * (1000 + number)))
    count = 0

    def counted(*arguments: Any) -> Entry | None:
        nonlocal count
        count += 1
        return read_entry(*arguments)

    monkeypatch.setattr(quarantine_list, "read_entry", counted)
    options = Namespace(folder=None, outcome=None, since=None, limit=5, json=True)
    assert quarantine_list.run(None, [place], options) == 0  # type: ignore[arg-type]
    shown, said = capsys.readouterr()
    files = [Path(json.loads(line)["file"]).name for line in shown.splitlines()]
    assert files == ["299", "298", "297", "296", "295"]
    assert count == 6
    assert "the newest 5 are shown" in said


# -- taking ----------------------------------------------------------------------------------------


@pytest.fixture
def custody(place: Quarantine) -> Custody:
    """Ours."""
    return Custody(place, "us")


def test_what_is_taken_is_hidden_and_removed_with_its_note_and_folders(
    place: Quarantine, custody: Custody
) -> None:
    put(place, "sub/deep/a")
    put(place, "sub/b")
    taken = custody.take(entries(place)["sub/deep/a"], "c1")
    assert lies(place) == {"sub/b", "sub/b.katabridge.json"}
    custody.remove(taken, NOTE.sha256)
    assert not (place.root / "sub" / "deep").exists()
    custody.remove(custody.take(one(place), "c2"), None)
    custody.clear()
    assert list(place.root.iterdir()) == []


def test_only_one_of_two_takes_a_file(place: Quarantine, custody: Custody) -> None:
    put(place, "a")
    entry = one(place)
    custody.take(entry, "c1")
    with pytest.raises(NotTakenError, match="somebody else has taken it"):
        Custody(place, "them").take(entry, "c2")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"other"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
        lambda path: path.with_name("a.katabridge.json").write_bytes(format_sidecar(NOTE) + b" "),
    ],
    ids=["changed", "gone", "a link now", "another note"],
)
def test_what_is_not_as_it_was_seen_stays_in_its_place(
    place: Quarantine, custody: Custody, change: Callable[[Path], object]
) -> None:
    path = put(place, "a")
    entry = one(place)
    change(path)
    before = lies(place)
    with pytest.raises(NotTakenError):
        custody.take(entry, "c1")
    assert lies(place) == before
    assert path.with_name("a.katabridge.json").exists()


def test_what_is_open_for_writing_is_not_taken(place: Quarantine, custody: Custody) -> None:
    path = put(place, "a")
    with path.open("ab"), pytest.raises(NotTakenError, match="open for writing"):
        custody.take(one(place), "c1")
    assert lies(place) == {"a", "a.katabridge.json"}


def test_what_comes_to_the_same_place_meanwhile_is_not_removed(
    place: Quarantine, custody: Custody
) -> None:
    put(place, "a")
    taken = custody.take(one(place), "c1")
    put(place, "a", b"newer", case="4" * 16)
    custody.remove(taken, NOTE.sha256)
    entry = one(place)
    assert entry.state is State.WHOLE
    assert entry.note is not None
    assert entry.note.case == "4" * 16
    assert entry.file.read_bytes() == b"newer"


def test_what_is_put_back_beside_a_newer_file_keeps_its_own_note(
    place: Quarantine, custody: Custody
) -> None:
    put(place, "a")
    taken = custody.take(one(place), "c1")
    put(place, "a", b"newer", case="4" * 16)
    custody.put_back(taken)
    found = entries(place)
    assert {path: each.note and each.note.case for path, each in found.items()} == {
        "a": "4" * 16,
        "a (2)": CASE,
    }
    assert found["a (2)"].file.read_bytes() == b"hello"
    custody.clear()
    assert not (place.root / ".katabridge").exists()


def test_new_content_is_not_removed(place: Quarantine, custody: Custody, tmp_path: Path) -> None:
    path = put(place, "a")
    (tmp_path / "handle").hardlink_to(path)
    taken = custody.take(one(place), "c1")
    (tmp_path / "handle").write_bytes(b"written through another name")
    with pytest.raises(NotRemovedError, match="changed meanwhile and lies in quarantine again"):
        custody.remove(taken, NOTE.sha256)
    assert path.read_bytes() == b"written through another name"
    assert lies(place) == {"a", "a.katabridge.json"}


def test_a_share_that_is_away_is_no_empty_quarantine(
    place: Quarantine, custody: Custody, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place, "a")
    entry = one(place)

    def away(_: SamePlace) -> int:
        raise AwayError(19, "//nas/q (cifs) is not mounted on /q", str(place.root))

    monkeypatch.setattr(SamePlace, "open", away)
    for work in (lambda: find_all(place), lambda: custody.take(entry, "c1")):
        with pytest.raises(AwayError):
            work()


# -- the way out -----------------------------------------------------------------------------------


def test_mode_and_time_come_back_but_never_setuid(place: Quarantine, tmp_path: Path) -> None:
    path = put(place, "a", mode=0o6755)
    target = place.folders["share"]
    note = one(place).note
    assert note is not None
    with path.open("rb", buffering=0) as file:
        out = deliver(file, note, Content(HELLO, 5), target, ".katabridge-us-c.part")
    assert out == tmp_path / "share-out" / "a"
    assert out.stat().st_mode & 0o7777 == 0o755
    assert out.stat().st_mtime_ns == 10**18 + 7


@pytest.mark.parametrize(
    ("rule", "there", "expected"),
    [
        ("replace", {"a": b"hello"}, "a"),
        ("replace", {"a": b"other"}, None),
        ("replace", {"a": b"other", "a (2)": b"hello"}, None),
        ("rename", {"a": b"other", "a (2)": b"world", "a (3)": b"hello"}, "a (3)"),
        ("rename", {"a": b"other"}, None),
        ("keep-both", {"a": b"hello", "a (2)": b"other"}, "a"),
        ("replace", {}, None),
    ],
)
def test_what_was_delivered_is_found_again(
    place: Quarantine, rule: str, there: dict[str, bytes], expected: str | None
) -> None:
    target = place.folders["share"].model_copy(update={"on_conflict": rule})
    for name, data in there.items():
        (target.output / name).write_bytes(data)
    found = delivered(NOTE, Content(HELLO, 5), target)
    assert found == (None if expected is None else target.output / expected)


def test_a_link_in_the_place_of_a_file_is_not_hashed(place: Quarantine, tmp_path: Path) -> None:
    path = put(place, "a")
    entry = one(place)
    assert digest_of(entry) == HELLO
    (tmp_path / "b").write_bytes(b"hello")
    path.unlink()
    path.symlink_to(tmp_path / "b")
    with pytest.raises(NotStillError):
        digest_of(entry)


# -- plans -----------------------------------------------------------------------------------------


def test_a_plan_outlives_the_process(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9\n")
    plan = Plan(
        root="/q",
        taken=Taken(CASE, f"sub/{name}", None, f"{name}.katabridge.json", NOTE),
        name=name,
        context={"by": "ann", "moved_to": None},
        sha256=HELLO,
        size=5,
        outcome=Outcome(OutcomeKind.DETECT, Source.RULE, rule="released by hand", threat="X"),
        decision=Decision.PASS,
        delivers_to="share",
        removes=True,
    )
    plans = Plans(tmp_path, "n.quarantine.0")
    assert unfinished(tmp_path, ["n.quarantine.0"]) == []
    plans.keep(plan)
    (tmp_path / "n.quarantine.0.quarantine" / "0damaged").write_bytes(b"{}")
    assert list(Plans(tmp_path, "n.quarantine.0").left()) == [plan]
    assert unfinished(tmp_path, ["n.quarantine.0", "n.quarantine.1"]) == ["n.quarantine.0"]
    plans.drop(CASE)
    assert list(plans.left()) == []


# -- what a SIEM sees ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "decision", "outcome", "signature", "severity"),
    [
        ("released by hand", "pass", "detect", "released", ("10", 1)),
        ("released by hand", "pass", "error", "released", ("6", 3)),
        ("deleted by hand", "block", "detect", "deleted", ("3", 5)),
        (None, "block", "detect", "detect", ("8", 4)),
    ],
)
def test_a_siem_tells_what_a_person_did_from_a_new_threat(
    rule: str | None, decision: str, outcome: str, signature: str, severity: tuple[str, int]
) -> None:
    context = {"by": "ann", "quarantined_as": CASE, "path": "/q/a", "moved_to": "/out/a"}
    record = {"rule": rule, "decision": decision, "outcome": outcome, "context": context}
    line = format_cef(record, version="1", host="h")
    header = line.split("|")
    assert (header[4], header[6]) == (signature, severity[0])
    assert ("by hand" in header[5]) is (rule is not None)
    assert f"suser=ann filePath=/out/a oldFilePath=/q/a msg=quarantined_as: {CASE}" in line
    assert syslog_severity(record) == severity[1]


# -- what the core does for it ---------------------------------------------------------------------


def test_an_older_verdict_is_unknown_to_who_judges_anew_and_known_to_others() -> None:
    async def main() -> None:
        store, keep = MemoryVerdicts(), dict.fromkeys(OutcomeKind, 3600.0)
        others = VerdictFront(store, keep)
        await others.put(HELLO, Outcome(OutcomeKind.DETECT, Source.KATA))
        anew = VerdictFront(store, keep, since=time.time())
        assert await anew.get(HELLO) is None
        assert anew.peek(HELLO) is None
        known = await VerdictFront(store, keep).get(HELLO)
        assert known is not None
        assert known.kind is OutcomeKind.DETECT
        await anew.put(HELLO, Outcome(OutcomeKind.NOT_DETECTED, Source.KATA))
        for front in (anew, VerdictFront(store, keep), VerdictFront(store, keep, since=0.0)):
            known = await front.get(HELLO)
            assert known is not None
            assert known.kind is OutcomeKind.NOT_DETECTED

    asyncio.run(main())


@pytest.mark.parametrize("source", list(Source))
def test_only_what_a_judge_says_is_a_detection(source: Source) -> None:
    outcome = Outcome(OutcomeKind.DETECT, source)
    case = Case(Door.FOLDER, Mode.ADVANCED, "a", {})
    entry = LedgerEntry(case, None, outcome, Decision.PASS)
    assert entry.detection is (source is not Source.RULE)
