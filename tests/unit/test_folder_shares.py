"""A reload does not forget which share a folder was, whoever watches it then."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bridge.core import Core, Door
from bridge.emulator import EICAR
from bridge.folder import mounts, sweep
from bridge.folder.claim import Claims
from bridge.folder.folders import Folders
from bridge.folder.sweep import Sweeper
from tests.support.folders import Places, check_ends
from tests.support.katabridge import Site
from tests.support.waiting import until

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


def unmounted(mountinfo: Path) -> None:
    mountinfo.write_text("22 1 254:0 / / rw - ext4 /dev/vda rw\n")


def exchange(place: Path, aside: Path, other: Path) -> None:
    """Put another folder in a place."""
    place.rename(aside)
    other.rename(place)


def unmount(mountinfo: Path, share: Path) -> None:
    """What was below the mount point is an empty folder."""
    unmounted(mountinfo)
    share.rename(share.with_name("mounted-elsewhere"))
    share.mkdir()


def mount_again(mountinfo: Path, share: Path) -> None:
    share.rmdir()
    share.with_name("mounted-elsewhere").rename(share)
    mount(mountinfo, share)


def refusing(tries: list[int]) -> Callable[..., bool]:
    """A removal that fails; `tries` grows with each."""

    def refuse(*_: object) -> bool:
        tries.append(1)
        raise OSError(errno.EHOSTDOWN, "Host is down")

    return refuse


def counted_sweeps(monkeypatch: pytest.MonkeyPatch) -> list[Sweeper]:
    """Who swept, once for each time."""
    sweeps: list[Sweeper] = []
    real = Sweeper.sweep

    async def counted(sweeper: Sweeper) -> None:
        try:
            await real(sweeper)
        finally:
            sweeps.append(sweeper)

    monkeypatch.setattr(Sweeper, "sweep", counted)
    return sweeps


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


@pytest.mark.parametrize(("key", "data"), SHARES, ids=[key for key, _ in SHARES])
def test_a_share_that_is_away_when_it_is_named_again_is_waited_for(
    site: Site, mountinfo: Path, key: str, data: bytes
) -> None:
    share, was = site.directory / site.folder[key], site.folder[key]
    (site.directory / "other").mkdir()
    source = site.directory / site.folder["input"]
    mount(mountinfo, share)

    async def main() -> None:
        async with Core(site.settings(), Door.FOLDER) as core:
            folders = Folders(core)
            assert await once(folders) == 0
            unmount(mountinfo, share)
            (source / "a").write_bytes(data)
            for place in ("other", was):
                site.folder[key] = place
                folders.prepare(site.settings())()
            assert await once(folders) > 0
            mount(mountinfo, share)
            assert await once(folders) == 0

    asyncio.run(main())
    assert [record["name"] for record in site.records()] == ["a"]


def test_a_folder_that_was_replaced_while_nobody_named_it_is_taken(
    site: Site, mountinfo: Path
) -> None:
    share = site.directory / site.folder["output"]
    (site.directory / "other").mkdir()
    mount(mountinfo, share)

    async def main() -> None:
        async with Core(site.settings(), Door.FOLDER) as core:
            folders = Folders(core)
            assert await once(folders) == 0
            share.rename(share.with_name("aside"))
            share.mkdir()
            (site.directory / site.folder["input"] / "a").write_bytes(b"clean")
            for place in ("other", str(share)):
                site.folder["output"] = place
                folders.prepare(site.settings())()
            assert await once(folders) == 0

    asyncio.run(main())
    assert names(share) == ["a"]


@contextlib.asynccontextmanager
async def naming(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """A folder door that runs; what names its folders anew, and waits until they were swept."""
    sweeps = counted_sweeps(monkeypatch)
    async with Core(site.settings(), Door.FOLDER) as core:
        folders = Folders(core)
        running = asyncio.create_task(folders.run())

        async def name(*wanted: dict[str, object]) -> None:
            site.changes = {"folders": list(wanted)}
            folders.prepare(site.settings())()
            begun = len(set(sweeps))
            await until(lambda: len(set(sweeps)) > begun)

        yield name
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_what_is_left_to_do_on_a_share_outlasts_that_nobody_names_it(
    site: Site, mountinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is delivered and recorded, and its share goes away before it is removed there."""
    share = site.directory / site.folder["input"]
    (site.directory / "other").mkdir()
    mount(mountinfo, share)
    here, elsewhere = site.folder, {**site.folder, "name": "other", "input": "other"}
    tries: list[int] = []

    async def main() -> None:
        async with naming(site, monkeypatch) as name:
            with monkeypatch.context() as failing:
                failing.setattr(Claims, "remove", refusing(tries))
                (share / "a").write_bytes(b"clean")
                await until(lambda: tries)
                await name(elsewhere)
                unmount(mountinfo, share)
            await name(elsewhere, here)
            mount_again(mountinfo, share)
            await until(lambda: not Places.of(site, 1).waiting())

    asyncio.run(main())
    check_ends(Places.of(site, 1), site.records(), [b"clean"])
    assert len(site.records()) == 1


def test_what_is_left_to_do_below_a_link_outlasts_that_it_is_named_while_unmounted(
    site: Site, mountinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The input is a link on the share; below the mount point lies a folder of its name."""
    share, lower = site.directory / "share", site.directory / "lower"
    (share / "real").mkdir(parents=True)
    (share / "in").symlink_to("real")
    (lower / "in").mkdir(parents=True)
    (site.directory / "other").mkdir()
    mount(mountinfo, share)
    site.folder["input"] = "share/in"
    here, elsewhere = site.folder, {**site.folder, "name": "other", "input": "other"}
    tries: list[int] = []

    async def main() -> None:
        async with naming(site, monkeypatch) as name:
            with monkeypatch.context() as refused:
                refused.setattr(Claims, "remove", refusing(tries))
                (share / "in" / "a").write_bytes(b"clean")
                await until(lambda: tries)
                await name(elsewhere)
            exchange(share, site.directory / "away", lower)
            unmounted(mountinfo)
            await name(elsewhere, here)
            exchange(share, lower, site.directory / "away")
            mount(mountinfo, share)
            await until(lambda: not Places.of(site, 1).waiting())

    asyncio.run(main())
    check_ends(Places.of(site, 1), site.records(), [b"clean"])
    assert len(site.records()) == 1


@pytest.mark.parametrize("drops", [False, True], ids=["nothing", "a file"])
def test_what_is_left_to_do_on_a_share_outlasts_a_start_before_its_mount(
    site: Site, mountinfo: Path, monkeypatch: pytest.MonkeyPatch, drops: bool
) -> None:
    """Nothing says that a share belongs there: it is mounted by hand, after the start. What is
    dropped below the mount point meanwhile is taken, and makes our folder there."""
    share = site.directory / site.folder["input"]
    mount(mountinfo, share)
    tries: list[int] = []
    sweeps = counted_sweeps(monkeypatch)
    monkeypatch.setattr(sweep, "_SECONDS", 0.1)

    async def process(work: Callable[[], Awaitable[None]]) -> None:
        async with Core(site.settings(), Door.FOLDER) as core:
            running = asyncio.create_task(Folders(core).run())
            await work()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def deliver() -> None:
        (share / "a").write_bytes(b"clean")
        await until(lambda: tries)

    async def take_up() -> None:
        await until(lambda: sweeps)
        if drops:
            (share / "b").write_bytes(b"below")
            await until(lambda: len(site.records()) == 2 and not Places.of(site).waiting())
            swept = len(sweeps)
            await until(lambda: len(sweeps) > swept + 5)  # looks; some of them when it is time
            share.rename(site.directory / "below")
            share.mkdir()
        mount_again(mountinfo, share)
        await until(lambda: not Places.of(site).waiting())

    with monkeypatch.context() as failing:
        failing.setattr(Claims, "remove", refusing(tries))
        asyncio.run(process(deliver))
    unmount(mountinfo, share)
    sweeps.clear()
    asyncio.run(process(take_up))
    check_ends(Places.of(site), site.records(), [b"clean", *([b"below"] if drops else [])])
    assert len(site.records()) == 1 + drops
