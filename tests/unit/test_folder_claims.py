"""Claims: of several one succeeds, nothing is lost, and what a crash leaves finds its place."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bridge.core import account_name
from bridge.folder import abandoned, claim, opened, sticky
from bridge.folder.abandoned import Abandoned
from bridge.folder.claim import ClaimError, Claims
from bridge.folder.listing import DEEPEST, list_input
from bridge.folder.mounts import AwayError, SamePlace
from bridge.folder.opened import BeingWrittenError, NotStillError
from bridge.folder.settle import Look
from tests.support.folders import sha256


def claims(root: Path, owner: str = "one") -> Claims:
    return Claims(SamePlace(root), owner)


def look(root: Path, path: str) -> Look:
    listing = list_input(root, recursive=True, ignored=lambda _: False)
    (found,) = [each for each in listing.looks if each.path == path]
    return found


def drop(root: Path, path: str, data: bytes = b"x") -> Look:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)
    return look(root, path)


def everything(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_claimed_file_lies_where_its_name_says_and_comes_back(tmp_path: Path) -> None:
    mine = claims(tmp_path)
    seen = drop(tmp_path, "sub/a")
    claimed = mine.take(seen, "case")
    assert everything(tmp_path) == {".katabridge/one/case/sub/a": b"x"}
    assert claimed.lasting == seen.lasting
    assert mine.left_over(1).files
    assert mine.left_over(10).files == [("case", "sub/a")]
    assert mine.put_back("case", "sub/a").lasting == seen.lasting
    assert everything(tmp_path) == {"sub/a": b"x"}
    mine.clear()
    assert not (tmp_path / ".katabridge").exists()


def test_of_many_bridges_one_takes_a_file(tmp_path: Path) -> None:
    files = [drop(tmp_path, f"{number}") for number in range(30)]
    bridges = [claims(tmp_path, f"b{number}") for number in range(8)]

    def take(number: int) -> list[str]:
        taken = []
        for file in files[number:] + files[:number]:
            try:
                bridges[number].take(file, "case")
                taken.append(file.path)
            except NotStillError:
                continue
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = [path for paths in threads.map(take, range(8)) for path in paths]
    assert sorted(taken) == sorted(file.path for file in files)


@pytest.mark.parametrize("change", ["gone", "longer", "other", "link", "folder"])
def test_what_is_not_what_was_seen_is_not_taken(tmp_path: Path, change: str) -> None:
    seen = drop(tmp_path, "a")
    path = tmp_path / "a"
    if change == "longer":
        path.write_bytes(b"xx")
    else:
        path.unlink()
    if change == "other":
        (tmp_path / "b").write_bytes(b"y")  # keeps the inode of `a` from being used again
        path.write_bytes(b"x")
    elif change == "link":
        path.symlink_to("/etc/hostname")
    elif change == "folder":
        path.mkdir()
    before = everything(tmp_path)
    with pytest.raises(NotStillError):
        claims(tmp_path).take(seen, "case")
    assert everything(tmp_path) == before


def test_another_file_that_takes_the_name_at_the_last_moment_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = drop(tmp_path, "a")
    drop(tmp_path, "b", b"y")
    real = os.rename

    def late(*arguments: Any, **more: Any) -> None:
        (tmp_path / "b").replace(tmp_path / "a")
        real(*arguments, **more)

    with monkeypatch.context() as patch, pytest.raises(NotStillError):
        patch.setattr(os, "rename", late)
        claims(tmp_path).take(seen, "case")
    assert everything(tmp_path) == {"a": b"y"}


def refuse_moves(patch: pytest.MonkeyPatch, user: int, number: int) -> None:
    """As for another user, who has no rights beyond his own."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    patch.setattr(os, "rename", refuse)
    patch.setattr(os, "geteuid", lambda: user)
    patch.setattr(sticky, "_STATUS", Path("/nonexistent"))


def test_an_input_that_lets_no_file_go_is_the_folders_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trouble of the folder, not one of each file: so it is an outage."""
    seen = drop(tmp_path, "a")
    tmp_path.chmod(0o1777)
    refuse_moves(monkeypatch, tmp_path.stat().st_uid + 12345, errno.EPERM)
    with pytest.raises(ClaimError) as caught:
        claims(tmp_path).take(seen, "case")
    assert caught.value.filename == str(tmp_path)
    assert f"it belongs to {account_name(tmp_path.stat().st_uid)} and is sticky (mode 1777): " in (
        str(caught.value)
    )
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(ClaimError, match="and nothing may be moved out of it"):
        claims(tmp_path).take(seen, "case")
    assert everything(tmp_path) == {"a": b"x"}


@pytest.mark.parametrize("mode", [0o755, 0o1755])
def test_a_file_that_alone_cannot_be_moved_is_no_fault_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """It may be immutable (chattr); its folder is ours."""
    seen = drop(tmp_path, "a")
    tmp_path.chmod(mode)
    refuse_moves(monkeypatch, tmp_path.stat().st_uid, errno.EPERM)
    with pytest.raises(PermissionError) as caught:
        claims(tmp_path).take(seen, "case")
    assert not isinstance(caught.value, ClaimError)


def test_who_may_move_all_files_is_kept_by_no_sticky_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o1777)
    status = tmp_path / "status"
    monkeypatch.setattr(sticky, "_STATUS", status)
    other = tmp_path.stat().st_uid + 12345
    for mask, user, keeps in (
        ("0000000000000000", other, True),
        ("0000000000000008", other, False),
        ("nonsense", 0 if other else 1, False),
        ("nonsense", other, True),
    ):
        status.write_text(f"Name:\tx\nCapEff:\t{mask}\n")
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert sticky.keeps_files_of_others(tmp_path.stat()) is keeps, (mask, user)


def test_a_file_that_is_being_written_is_not_taken(tmp_path: Path) -> None:
    seen = drop(tmp_path, "a")
    with (tmp_path / "a").open("ab"):
        with pytest.raises(BeingWrittenError):
            claims(tmp_path).take(seen, "case")
        assert everything(tmp_path) == {"a": b"x"}
    claims(tmp_path).take(seen, "case")


def test_leases_that_tell_nothing_keep_no_file_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SamePlace, "leases_tell", False)
    seen = drop(tmp_path, "a")
    with (tmp_path / "a").open("ab"):
        claims(tmp_path).take(seen, "case")


def test_a_claimed_file_is_removed_only_while_it_is_what_was_copied(tmp_path: Path) -> None:
    mine = claims(tmp_path)
    seen = drop(tmp_path, "a")
    (tmp_path / "link").hardlink_to(tmp_path / "a")
    claimed = mine.take(look(tmp_path, "a"), "case")
    assert seen.inode == claimed.inode
    with (tmp_path / "link").open("r+b"), pytest.raises(BeingWrittenError):
        mine.remove("case", claimed, sha256(b"x"))
    (tmp_path / "link").write_bytes(b"y")
    assert not mine.remove("case", claimed, sha256(b"x"))
    assert mine.put_back("case", "a").path == "a"
    assert (tmp_path / "a").read_bytes() == b"y"
    again = mine.take(look(tmp_path, "a"), "case")
    assert mine.remove("case", again, sha256(b"y"))
    assert mine.remove("case", again, sha256(b"y")), "it is gone already"
    assert everything(tmp_path) == {"link": b"y"}


def test_a_writer_that_comes_while_it_is_looked_at_keeps_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = claims(tmp_path)
    drop(tmp_path, "a")
    (tmp_path / "link").hardlink_to(tmp_path / "a")
    claimed = mine.take(look(tmp_path, "a"), "case")
    real = opened.keep_writers_out

    def late(*arguments: Any, **more: Any) -> None:
        (tmp_path / "link").write_bytes(b"y")
        real(*arguments, **more)

    monkeypatch.setattr(claim, "keep_writers_out", late)
    assert not mine.remove("case", claimed, sha256(b"x"))
    assert (tmp_path / ".katabridge" / "one" / "case" / "a").read_bytes() == b"y"


def test_a_place_that_is_taken_by_then_costs_nobody_a_file(tmp_path: Path) -> None:
    mine = claims(tmp_path)
    mine.take(drop(tmp_path, "a.txt", b"old"), "case")
    (tmp_path / "a.txt").write_bytes(b"new")
    with pytest.raises(FileExistsError):
        mine.put_back("case", "a.txt")
    assert mine.left_over(10).files == [("case", "a.txt")]
    assert mine.put_back("case", "a.txt", number=True).path == "a (2).txt"
    assert everything(tmp_path) == {"a.txt": b"new", "a (2).txt": b"old"}


def test_a_sub_folder_that_is_gone_is_made_again(tmp_path: Path) -> None:
    mine = claims(tmp_path)
    mine.take(drop(tmp_path, "sub/a"), "case")
    (tmp_path / "sub").rmdir()
    mine.put_back("case", "sub/a")
    assert everything(tmp_path) == {"sub/a": b"x"}


def test_folders_that_a_crash_left_empty_are_removed(tmp_path: Path) -> None:
    mine = claims(tmp_path)
    own = tmp_path / ".katabridge" / "one"
    for case in ("crashed", "busy"):
        (own / case / "deep" / "er").mkdir(parents=True)
        (own / case / "beside").mkdir()
    mine.take(drop(tmp_path, "sub/a"), "claimed")
    mine.tidy({"busy"})
    assert sorted(each.name for each in own.iterdir()) == ["busy", "claimed"]
    assert mine.left_over(10).files == [("claimed", "sub/a")]
    mine.put_back("claimed", "sub/a")
    mine.clear()
    assert not own.exists()


def test_a_rename_that_was_cut_in_two_is_completed(tmp_path: Path) -> None:
    mine = claims(tmp_path)
    mine.take(drop(tmp_path, "a"), "case")
    (tmp_path / "a").hardlink_to(tmp_path / ".katabridge" / "one" / "case" / "a")
    assert mine.put_back("case", "a").path == "a"
    assert everything(tmp_path) == {"a": b"x"}


def test_our_own_folder_that_is_a_link_leads_nobody_elsewhere(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    elsewhere.mkdir()
    seen = drop(root, "a")
    (root / ".katabridge").symlink_to(elsewhere)
    with pytest.raises(ClaimError, match="is a link"):
        claims(root).take(seen, "case")
    assert list(elsewhere.iterdir()) == []
    assert everything(root) == {"a": b"x"}


def test_a_share_that_is_away_does_not_look_like_files_that_are_gone(tmp_path: Path) -> None:
    root = tmp_path / "in"
    mine = claims(root)
    claimed = mine.take(drop(root, "a"), "case")
    root.rename(tmp_path / "away")
    with pytest.raises(AwayError):
        mine.remove("case", claimed, sha256(b"x"))
    with pytest.raises(AwayError):
        mine.require("case", claimed)
    with pytest.raises(AwayError):
        mine.left_over(10)
    (tmp_path / "away").rename(root)
    assert mine.remove("case", claimed, sha256(b"x"))


def test_a_pipe_in_the_place_of_our_sign_of_life_holds_nobody_up(tmp_path: Path) -> None:
    mine = claims(tmp_path)
    mine.take(drop(tmp_path, "a"), "case")
    os.mkfifo(tmp_path / ".katabridge" / "one" / ".alive")
    mine.live()
    assert mine.left_over(10).files == [("case", "a")]


def test_what_strangers_make_of_our_folder_does_not_end_a_look(tmp_path: Path) -> None:
    (tmp_path / ".katabridge").touch()
    mine = claims(tmp_path)
    assert mine.left_over(10).files == []
    assert Abandoned(SamePlace(tmp_path), "me").look(0) == 0
    with pytest.raises(ClaimError):
        mine.take(drop(tmp_path, "a"), "case")
    assert (tmp_path / "a").exists()


def test_no_more_than_an_input_has_is_looked_through_in_our_folder(tmp_path: Path) -> None:
    """Each folder is opened from the root on: a tree without end would take all our time."""
    mine = claims(tmp_path)
    deepest, deeper = "d/" * DEEPEST + "a", "d/" * (DEEPEST + 1) + "a"
    mine.take(drop(tmp_path, deepest), "case")
    planted = tmp_path / ".katabridge" / "one" / "case" / deeper
    planted.parent.mkdir()
    planted.write_bytes(b"x")
    assert mine.left_over(10).files == [("case", deepest)]
    mine.put_back("case", deepest)
    mine.clear()
    assert everything(tmp_path).keys() == {deepest, str(planted.relative_to(tmp_path))}


def failing(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    """What lies in that folder cannot be listed."""
    real = os.scandir

    def scandir(place: Any) -> Any:
        if isinstance(place, int) and Path(f"/proc/self/fd/{place}").readlink() == folder:
            raise OSError(number, os.strerror(number))
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)


FAULTS = [errno.EIO, errno.ESTALE, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.ENETDOWN]


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
@pytest.mark.parametrize("path", ["bad", "bad/sub"])
def test_a_folder_of_a_case_that_fails_is_told_of_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, path: str
) -> None:
    mine, own = claims(tmp_path), tmp_path / ".katabridge" / "one"
    for case in ("bad", "good"):
        mine.take(drop(tmp_path, "sub/a"), case)
    with monkeypatch.context() as patch:
        failing(patch, own / path, number)
        found = mine.left_over(10)
        mine.tidy(())
    assert found.files == [("good", "sub/a")]
    assert {case: error.filename for case, error in found.unread.items()} == {
        "bad": str(own / path)
    }
    assert mine.left_over(10).files == [("bad", "sub/a"), ("good", "sub/a")]


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
def test_our_own_folder_that_fails_does_not_look_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    mine, own = claims(tmp_path), tmp_path / ".katabridge" / "one"
    mine.take(drop(tmp_path, "a"), "case")
    failing(monkeypatch, own, number)
    with pytest.raises(ClaimError) as failed:
        mine.left_over(10)
    assert failed.value.filename == str(own)


def test_a_list_that_was_cut_short_goes_on_behind_its_end(tmp_path: Path) -> None:
    mine = claims(tmp_path)
    for case in ("c1", "c2", "c3", "c4"):
        mine.take(drop(tmp_path, "a"), case)
    files, _, rest = mine.left_over(2)
    assert (files, sorted(rest)) == ([("c1", "a"), ("c2", "a")], ["c3", "c4"])
    files, _, rest = mine.left_over(3, {"c4"}, "c2")
    assert (files, sorted(rest)) == ([("c3", "a"), ("c1", "a"), ("c2", "a")], [])


def test_who_gave_no_sign_of_life_for_long_delivers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = claims(tmp_path)
    claimed = mine.take(drop(tmp_path, "a"), "case")
    mine.require("case", claimed)
    monkeypatch.setattr(claim, "SILENCE_SECONDS", -1.0)
    with pytest.raises(AwayError, match="no sign of life"):
        mine.require("case", claimed)


@pytest.mark.parametrize("change", ["chmod", "link", "touch"])
def test_a_change_that_leaves_the_content_makes_no_new_content(tmp_path: Path, change: str) -> None:
    mine = claims(tmp_path)
    claimed = mine.take(drop(tmp_path, "a"), "case")
    path = tmp_path / ".katabridge" / "one" / "case" / "a"
    if change == "chmod":
        path.chmod(0o600)
    elif change == "link":
        (tmp_path / "link").hardlink_to(path)
    else:
        os.utime(path)
    assert mine.remove("case", claimed, sha256(b"x"))
    assert not path.exists()


# -- claims of a bridge that is gone ---------------------------------------------------------------


def test_what_was_abandoned_for_long_is_put_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = claims(tmp_path, "gone")
    gone.take(drop(tmp_path, "sub/a"), "case")
    gone.live()
    watching = Abandoned(SamePlace(tmp_path), "me")
    assert watching.look(1000) == 0
    assert watching.look(1000 + abandoned.ABANDONED_SECONDS - 1) == 0
    assert watching.look(1000 + abandoned.ABANDONED_SECONDS) == 1
    assert everything(tmp_path) == {"sub/a": b"x"}
    assert not (tmp_path / ".katabridge").exists()
    assert "1 files that gone had claimed are put back" in caplog.text


def test_claims_of_one_that_cannot_be_read_keep_nobody_from_those_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in ("bad", "gone"):
        claims(tmp_path, owner).take(drop(tmp_path, owner), "case")
    watching = Abandoned(SamePlace(tmp_path), "me")
    watching.look(0)
    failing(monkeypatch, tmp_path / ".katabridge" / "bad", errno.EACCES)
    with pytest.raises(ClaimError):
        watching.look(abandoned.ABANDONED_SECONDS)
    assert everything(tmp_path).keys() == {".katabridge/bad/case/bad", "gone"}


def test_a_bridge_that_lives_keeps_its_files_whatever_its_clock_says(tmp_path: Path) -> None:
    other = claims(tmp_path, "other")
    other.take(drop(tmp_path, "a"), "case")
    watching = Abandoned(SamePlace(tmp_path), "me")
    sign = tmp_path / ".katabridge" / "other" / ".alive"
    for step in range(10):
        other.live()
        os.utime(sign, ns=(step, step))  # half a century ago, but it moves
        assert watching.look(step * abandoned.ABANDONED_SECONDS / 2) == 0
    assert everything(tmp_path).keys() == {
        ".katabridge/other/case/a",
        ".katabridge/other/.alive",
    }


def test_our_own_claims_are_not_taken_for_abandoned(tmp_path: Path) -> None:
    mine = claims(tmp_path, "me")
    mine.take(drop(tmp_path, "a"), "case")
    watching = Abandoned(SamePlace(tmp_path), "me")
    assert watching.look(0) == watching.look(10 * abandoned.ABANDONED_SECONDS) == 0
    assert mine.left_over(10).files == [("case", "a")]
