"""A share that is not mounted is not an empty folder."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from bridge.folder import mounts
from bridge.folder.mounts import (
    AwayError,
    Mount,
    SamePlace,
    mount_around,
    parse_fstab,
    parse_mounts,
)
from bridge.folder.places import folder

MOUNTINFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /mnt/in rw shared:3 - autofs systemd-1 rw
31 30 0:41 / /mnt/in rw shared:4 master:2 - cifs //files/in\\040box rw,vers=3
32 22 0:42 / /mnt/in\\040two rw - nfs4 nas:/two rw
33 22 0:43 / /home/eve/\x0b rw - fuse.eve eve rw
broken
"""
FSTAB = """\
# comment
/dev/vda / ext4 defaults 0 1
//files/in\\040box /mnt/in cifs credentials=/etc/c 0 0
broken line
"""
ROOT = Mount("/", "ext4", "/dev/vda")
SHARE = Mount("/mnt/in", "cifs", "//files/in box")


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/mnt/in", SHARE),
        ("/mnt/in/deep/er", SHARE),
        ("/mnt/inner", ROOT),
        ("/mnt/in two/x", Mount("/mnt/in two", "nfs4", "nas:/two")),
        ("/", ROOT),
    ],
)
def test_the_innermost_and_latest_mount_counts(path: str, mount: Mount) -> None:
    assert mount_around(path, parse_mounts(MOUNTINFO)) == mount


def test_fstab() -> None:
    assert parse_fstab(FSTAB) == [ROOT, SHARE]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose mounts a test writes itself."""
    (tmp_path / "share").mkdir()
    (tmp_path / "fstab").write_text("")
    mounted(tmp_path, "cifs")
    monkeypatch.setattr(mounts, "_MOUNTINFO", tmp_path / "mountinfo")
    monkeypatch.setattr(mounts, "_FSTAB", tmp_path / "fstab")
    return tmp_path


def mounted(machine: Path, kind: str | None) -> None:
    lines = ["22 1 254:0 / / rw - ext4 /dev/vda rw"]
    if kind is not None:
        lines.append(f"31 22 0:41 / {machine}/share rw - {kind} //files/share rw")
    (machine / "mountinfo").write_text("\n".join(lines) + "\n")


def moved(place: SamePlace) -> None:
    """As if the folder lay on another device now."""
    place._identity = (-1, -1)


def test_an_unmounted_share_is_away_until_it_is_back(machine: Path) -> None:
    place = SamePlace(machine / "share")
    place.check()
    mounted(machine, None)
    moved(place)
    for _ in range(2):
        with pytest.raises(AwayError, match=r"//files/share \(cifs\) is not mounted on"):
            place.check()
    mounted(machine, "nfs4")  # with another device number, and perhaps by another name
    place.check()
    place.check()


def test_a_folder_that_somebody_puts_in_its_place_is_refused(machine: Path) -> None:
    share = machine / "share"
    place = SamePlace(share)
    place.check()
    share.rename(machine / "aside")
    share.mkdir()
    with pytest.raises(AwayError, match="is not the folder that it was when this service began"):
        place.check()
    share.rmdir()
    with pytest.raises(AwayError, match="No such file"):
        place.check()
    (machine / "aside").rename(share)
    place.check()


@pytest.mark.parametrize("known", [False, True], ids=["first looked at", "known"])
@pytest.mark.parametrize("call", [(os, "fstat"), (mounts, "_read")], ids=["path", "mounts"])
def test_what_was_opened_just_before_its_share_was_mounted_is_not_taken_for_the_share(
    machine: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[ModuleType, str], known: bool
) -> None:
    """Once taken, the share itself would be refused for good. `call`: when it is mounted."""
    share, aside = machine / "share", machine / "of the server"
    before = SamePlace(share)
    before.check()
    place = before if known else SamePlace(share, before)
    mounted(machine, None)
    share.rename(aside)
    share.mkdir()
    real = getattr(*call)

    def mount_first(*arguments: object) -> object:
        if aside.exists():
            share.rmdir()
            aside.rename(share)
            mounted(machine, "cifs")
        return real(*arguments)

    with monkeypatch.context() as just_then:
        just_then.setattr(*call, mount_first)
        with pytest.raises(AwayError):
            place.check()
    assert not aside.exists()
    place.check()


def test_what_goes_away_while_it_is_first_looked_at_is_away(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never FileNotFoundError: that is said of files in it."""
    share = machine / "share"
    real = mounts._read

    def remove_first(path: Path) -> str:
        if share.exists():
            share.rmdir()
        return real(path)

    monkeypatch.setattr(mounts, "_read", remove_first)
    with pytest.raises(AwayError, match="No such file"):
        SamePlace(share).check()


def test_several_threads_may_look_first(machine: Path) -> None:
    for _ in range(50):
        place = SamePlace(machine / "share")
        together = threading.Barrier(8)

        def look(place: SamePlace = place, together: threading.Barrier = together) -> None:
            together.wait()
            place.check()

        with ThreadPoolExecutor(8) as threads:
            for done in [threads.submit(look) for _ in range(8)]:
                done.result()


def test_a_link_that_somebody_puts_in_its_place_leads_nobody_elsewhere(machine: Path) -> None:
    share, elsewhere = machine / "share", machine / "elsewhere"
    elsewhere.mkdir()
    place = SamePlace(share)
    with folder(place):
        pass
    share.rename(machine / "aside")
    share.symlink_to(elsewhere)
    for remounted in (False, True):
        if remounted:
            moved(place)
        with pytest.raises(AwayError), folder(place, ["sub"], make=0o700):
            pass
    assert list(elsewhere.iterdir()) == []


def test_a_share_of_fstab_that_is_not_mounted_yet_is_waited_for(machine: Path) -> None:
    (machine / "fstab").write_text(f"//files/share {machine}/share cifs defaults 0 0\n")
    mounted(machine, None)
    place = SamePlace(machine / "share")
    with pytest.raises(AwayError, match="//files/share"):
        place.check()
    mounted(machine, "cifs")
    place.check()


def test_a_machine_without_these_files_compares_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "_MOUNTINFO", tmp_path / "none")
    monkeypatch.setattr(mounts, "_FSTAB", tmp_path / "none")
    SamePlace(tmp_path).check()


def test_a_link_that_leads_in_a_circle_does_not_look_like_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "in").symlink_to("in")
    with pytest.raises(AwayError, match="Too many levels"):
        SamePlace(tmp_path / "in").check()


def test_a_folder_that_is_gone_is_said_as_such(tmp_path: Path) -> None:
    with pytest.raises(AwayError, match="No such file"):
        SamePlace(tmp_path / "gone").check()


@pytest.mark.parametrize(
    ("kind", "tell"), [("cifs", False), ("nfs4", False), ("fuse.x", False), ("ext4", True)]
)
def test_where_a_refused_lease_tells_nothing(machine: Path, kind: str, tell: bool) -> None:
    mounted(machine, kind)
    place = SamePlace(machine / "share")
    place.check()
    assert place.leases_tell is tell
