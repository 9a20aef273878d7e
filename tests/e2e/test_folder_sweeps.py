"""What lies claimed and cannot go on keeps nobody else, and is neither forgotten nor doubled."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.core import Core, Door
from bridge.folder import folders as folders_module
from bridge.folder import sweep
from bridge.folder.claim import Claims
from bridge.folder.folders import Folders
from tests.support.folders import OWN, Places, check_ends, sha256
from tests.support.katabridge import Site
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_SECONDS", 0.1)


@asynccontextmanager
async def watched(site: Site) -> AsyncIterator[Folders]:
    async with Core(site.settings(), Door.FOLDER) as core:
        folders = Folders(core)
        running = asyncio.create_task(folders.run())
        try:
            yield folders
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def drop(site: Site, name: str, data: bytes) -> None:
    draft = site.directory / f"{name}.dropped"
    draft.write_bytes(data)
    draft.rename(site.directory / "in" / name)


def claim(site: Site, case: str, path: str, data: bytes) -> Path:
    """Put a file where the site's door would have claimed it."""
    (own,) = (site.directory / "in" / OWN).iterdir()
    claimed = own / case / path
    claimed.parent.mkdir(parents=True, exist_ok=True)
    claimed.write_bytes(data)
    return claimed


@pytest.fixture
def crashed(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site whose door was there before, and did not tidy up."""

    async def main() -> None:
        async with watched(site):
            drop(site, "first", b"first")
            await until(lambda: site.records() and not Places.of(site).waiting())

    with monkeypatch.context() as crash:
        crash.setattr(Claims, "clear", lambda _: None)
        asyncio.run(main())
    return site


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_claimed_folder_that_fails_for_good_stops_nothing(
    crashed: Site,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    bad = claim(crashed, "bad", "private/x", b"bad").parent
    claim(crashed, "good", "good", b"good")
    real = os.scandir

    def scandir(place: Any) -> Any:
        if isinstance(place, int) and Path(f"/proc/self/fd/{place}").readlink() == bad:
            raise OSError(number, os.strerror(number))
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)

    async def main() -> None:
        async with watched(crashed) as folders:
            drop(crashed, "new", b"new")
            await until(lambda: len(crashed.records()) == 3)
            said = f"claimed files cannot be read: {os.strerror(number)}"
            assert said in folders.facts()[0]["troubles"]  # type: ignore[operator]
            assert "private" not in str(folders.facts())

    asyncio.run(main())
    assert caplog.text.count(f"{bad} cannot be read") == 1
    assert f"{crashed.directory}/in cannot be read" not in caplog.text
    assert set(Places.of(crashed).delivered()) == {"first", "good", "new"}


def test_files_whose_names_are_taken_keep_no_sweep_from_those_behind_them(
    crashed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_MOST", 2)
    drop(crashed, "x.part", b"is ignored, and keeps its name")
    for number in range(10):
        claim(crashed, f"c{number}", "x.part", b"waits")
        claim(crashed, f"d{number}", f"behind{number}", b"behind %d" % number)
    names = {"first", *(f"behind{number}" for number in range(10))}

    async def main() -> None:
        async with watched(crashed):
            await until(lambda: set(Places.of(crashed).delivered()) == names)

    asyncio.run(main())


def test_names_that_are_taken_for_long_get_numbers_though_no_sweep_sees_all(
    crashed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "_MOST", 2)
    monkeypatch.setattr(sweep, "WAIT_SECONDS", 0.5)
    crashed.folder["ignore"] = ["x*.part"]
    drop(crashed, "x.part", b"is ignored, and keeps its name")
    for number in range(5):
        claim(crashed, f"c{number}", "x.part", b"waits")
    names = {"x.part", *(f"x ({number}).part" for number in range(2, 7))}

    async def main() -> None:
        async with watched(crashed):
            await until(lambda: set(Places.of(crashed).waiting()) == names)

    asyncio.run(main())


def test_once_counts_what_waits_for_its_name(crashed: Site) -> None:
    drop(crashed, "x.part", b"is ignored, and keeps its name")
    claim(crashed, "case", "x.part", b"waits")

    async def main() -> int:
        async with Core(crashed.settings(), Door.FOLDER) as core:
            return sum([await work for work in Folders(core).run_once()])

    assert asyncio.run(main()) == 1


def test_a_file_that_is_left_and_cannot_be_put_back_for_long_is_recorded_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders_module, "GONE_SECONDS", 0.3)
    data = b"is excluded by its content"
    site.changes = {"exclusions": [{"sha256": sha256(data)}]}
    refusals = []

    def refuse(*_: object, **__: object) -> None:
        refusals.append(1)
        raise OSError(errno.ENOSPC, "No space left on device")

    async def main() -> None:
        async with watched(site):
            with monkeypatch.context() as full:
                full.setattr(Claims, "put_back", refuse)
                drop(site, "a", data)
                await until(lambda: len(refusals) > 10)  # a second at least: it counts as gone
            await until((site.directory / "in" / "a").exists)
            drop(site, "b", b"b")
            await until((site.directory / "out" / "b").exists)

    asyncio.run(main())
    check_ends(Places.of(site), site.records(), [data, b"b"], left=1)
    assert len(site.records()) == 2
