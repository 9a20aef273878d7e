"""A delivery is whole or not there, keeps what may be kept, and writes through no link."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

import pytest

from bridge.folder.conflict import Conflict, Content
from bridge.folder.metadata import Metadata, read_metadata
from bridge.folder.publish import (
    Parcel,
    Published,
    Target,
    draft_name,
    publish,
    remove_drafts,
    write_sidecar,
)
from tests.support.folders import sha256

KEPT = Metadata(0o640, os.geteuid(), os.getegid(), 10**18, 10**18 + 7, {"user.colour": b"red"})
DRAFT = draft_name("me", "case")


def parcel(data: bytes = b"data", kept: Metadata = KEPT) -> Parcel:
    return Parcel(io.BytesIO(data), Content(sha256(data), len(data)), kept)


def test_a_delivery_has_content_mode_times_and_attributes(tmp_path: Path) -> None:
    target = Target(tmp_path, "sub/deep/a", Conflict.REPLACE)
    assert publish(parcel(), target, DRAFT) == Published("sub/deep/a", True)
    path = tmp_path / "sub" / "deep" / "a"
    state = path.stat()
    assert path.read_bytes() == b"data"
    assert stat.S_IMODE(state.st_mode) == 0o640
    assert (state.st_atime_ns, state.st_mtime_ns) == (10**18, 10**18 + 7)
    assert os.getxattr(path, "user.colour") == b"red"
    assert [each.name for each in path.parent.iterdir()] == ["a"]


def test_bytes_that_were_not_judged_are_not_delivered(tmp_path: Path) -> None:
    damaged = Parcel(io.BytesIO(b"dat"), Content(sha256(b"data"), 4), KEPT)
    with pytest.raises(OSError, match="is not what was judged"):
        publish(damaged, Target(tmp_path, "a", Conflict.REPLACE), DRAFT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", ["fsync", "utime", "fchmod"])
def test_a_disk_that_fails_leaves_the_target_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="No space left"):
            publish(parcel(), Target(tmp_path, "a", Conflict.REPLACE), DRAFT)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a", b"old")]


def test_a_draft_of_an_earlier_try_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / DRAFT).write_bytes(b"half of i")
    publish(parcel(), Target(tmp_path, "a", Conflict.RENAME), DRAFT)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_link_among_the_folders_of_the_target_is_not_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "sub").symlink_to(elsewhere)
    with pytest.raises(OSError, match="is a link"):
        publish(parcel(), Target(root, "sub/a", Conflict.REPLACE), DRAFT)
    assert list(elsewhere.iterdir()) == []


def test_a_draft_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    root = tmp_path / "out"
    root.mkdir()
    (root / DRAFT).symlink_to(victim)
    publish(parcel(), Target(root, "a", Conflict.REPLACE), DRAFT)
    write_sidecar(root, "a", b"{}", DRAFT)
    assert victim.read_bytes() == b"safe"
    assert (root / "a").read_bytes() == b"data"


def test_what_lies_beside_a_file_with_the_longest_name(tmp_path: Path) -> None:
    name = "x" * 255
    publish(parcel(), Target(tmp_path, name, Conflict.REPLACE), DRAFT)
    write_sidecar(tmp_path, name, b"{}", DRAFT)
    beside = [each for each in tmp_path.iterdir() if each.name != name]
    assert [each.read_bytes() for each in beside] == [b"{}"]
    assert stat.S_IMODE(beside[0].stat().st_mode) == 0o600


# -- what is kept ----------------------------------------------------------------------------------


def test_what_is_read_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    path.chmod(0o6751)
    os.setxattr(path, "user.note", b"\0\1")
    os.utime(path, ns=(5, 6))
    with path.open("rb") as file:
        kept = read_metadata(file.fileno())
    assert kept.mode == 0o751, "setuid and the like are not for us to hand on"
    assert (kept.atime_ns, kept.mtime_ns) == (5, 6)
    assert kept.attributes == {"user.note": b"\0\1"}
    assert (kept.uid, kept.gid) == (path.stat().st_uid, path.stat().st_gid)


def test_in_quarantine_nobody_else_may_read_it() -> None:
    open_to_all = {"system.posix_acl_access": b"x", "security.NTACL": b"y", "user.a": b"z"}
    private = Metadata(0o777, 1000, 1000, 1, 2, open_to_all).private(7, 8)
    assert private == Metadata(0o600, 7, 8, 1, 2, {"user.a": b"z"})


def test_a_target_without_attributes_or_owners_takes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "fchown", refuse)
    publish(parcel(), Target(tmp_path, "a", Conflict.REPLACE), DRAFT)
    assert (tmp_path / "a").read_bytes() == b"data"


def test_the_group_is_kept_where_the_owner_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    def own_only(_: int, uid: int, gid: int) -> None:
        if uid != -1:
            raise PermissionError
        given.append(gid)

    monkeypatch.setattr(os, "fchown", own_only)
    kept = Metadata(0o640, 4711, 4712, 1, 2)
    publish(parcel(kept=kept), Target(tmp_path, "a", Conflict.REPLACE), DRAFT)
    assert given == [4712]


def test_the_owner_is_kept_where_the_system_lets_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    kept = Metadata(0o600, 1234, 4321, 1, 2)
    publish(parcel(kept=kept), Target(tmp_path, "a", Conflict.REPLACE), DRAFT)
    assert given == [(1234, 4321)]


# -- what a crash left -----------------------------------------------------------------------------


@pytest.mark.parametrize("recursive", [True, False])
def test_only_our_own_old_drafts_are_removed(tmp_path: Path, recursive: bool) -> None:
    real = tmp_path / "real"
    (real / "sub").mkdir(parents=True)
    names = {
        "old": draft_name("me", "00000000000000a0"),
        "ours now": draft_name("me", "00000000000000c0"),
        "another's": draft_name("me2", "00000000000000a0"),
        "a person's": "00000000000000a0.part",
    }
    for name in names.values():
        (real / name).touch()
        (real / "sub" / name).touch()
    root = tmp_path / "root"
    root.symlink_to(real)
    remove_drafts(root, "me", "00000000000000b0", recursive)
    left = {each.name for each in real.iterdir()} - {"sub"}
    assert left == set(names.values()) - {names["old"]}
    below = {each.name for each in (real / "sub").iterdir()}
    assert below == (left if recursive else set(names.values()))
