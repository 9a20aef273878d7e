"""A reload does not forget which share a folder was, whoever watches it then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.core import Core, Door
from bridge.emulator import EICAR
from bridge.folder import mounts
from bridge.folder.folders import Folders
from tests.support.katabridge import Site

SHARES = [("input", b"clean"), ("output", b"clean"), ("quarantine", EICAR)]


@pytest.fixture
def mountinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is mounted, as a test writes it; nothing of it is in fstab."""
    monkeypatch.setattr(mounts, "_MOUNTINFO", tmp_path / "mountinfo")
    monkeypatch.setattr(mounts, "_FSTAB", tmp_path / "none")
    return tmp_path / "mountinfo"


def mount(mountinfo: Path, share: Path) -> None:
    root = "22 1 254:0 / / rw - ext4 /dev/vda rw\n"
    mountinfo.write_text(f"{root}31 22 0:41 / {share} rw - cifs //files/share rw\n")


def unmount(mountinfo: Path, share: Path) -> None:
    """What was below the mount point is an empty folder."""
    mountinfo.write_text("22 1 254:0 / / rw - ext4 /dev/vda rw\n")
    share.rename(share.with_name("mounted-elsewhere"))
    share.mkdir()


def names(place: Path) -> list[str]:
    return [path.name for path in place.iterdir()]


async def once(folders: Folders) -> int:
    """How many files stay."""
    return sum([await work for work in folders.run_once()])


@pytest.mark.parametrize(("key", "data"), SHARES, ids=[key for key, _ in SHARES])
def test_a_share_that_is_away_at_a_reload_is_waited_for(
    site: Site, mountinfo: Path, key: str, data: bytes
) -> None:
    share = site.directory / site.folder[key]
    source = site.directory / site.folder["input"]
    mount(mountinfo, share)

    async def main() -> None:
        async with Core(site.settings(), Door.FOLDER) as core:
            folders = Folders(core)
            assert await once(folders) == 0
            unmount(mountinfo, share)
            (source / "a").write_bytes(data)
            site.folder["rescan"] = "9s"
            folders.prepare(site.settings())()
            assert await once(folders) > 0

    asyncio.run(main())
    assert "a" in names(source)
    assert not site.records()
    if share != source:
        assert names(share) == []


def test_a_path_that_no_folder_names_any_longer_is_forgotten(site: Site, mountinfo: Path) -> None:
    share = site.directory / site.folder["output"]
    source = site.directory / site.folder["input"]
    other = site.directory / "other"
    other.mkdir()
    mount(mountinfo, share)

    async def main() -> None:
        async with Core(site.settings(), Door.FOLDER) as core:
            folders = Folders(core)
            unmount(mountinfo, share)
            (source / "a").write_bytes(b"clean")
            for output in (str(other), str(share)):
                site.folder["output"] = output
                folders.prepare(site.settings())()
            assert await once(folders) == 0

    asyncio.run(main())
    assert names(share) == ["a"]
