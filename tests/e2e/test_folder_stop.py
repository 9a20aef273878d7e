"""A stop of the folder door while a share hangs: it ends, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import errno
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from bridge.core import Core, Door
from bridge.emulator import EICAR, Emulator
from bridge.folder import service, sight
from bridge.folder.claim import Claims
from bridge.folder.deliver import Delivery, Judged
from bridge.folder.folders import Folders
from bridge.folder.settle import Look
from tests.support.faults import hanging_when, met, start_watch
from tests.support.folders import OWN, Places, check_ends
from tests.support.katabridge import Site
from tests.support.processes import Program, wait_until

Keep = Callable[[Program], Program]
CONTENTS = {"judged": b"judged", "at KATA": b"#kata delay=60\nat KATA"}


def drop(site: Site, name: str, data: bytes) -> None:
    draft = site.directory / f"{name}.dropped"
    draft.write_bytes(data)
    draft.rename(site.directory / "in" / name)


def reloaded(program: Program, times: int) -> bool:
    return program.said().count("is reloaded") == times


def claimed(site: Site) -> list[str]:
    found = (site.directory / "in" / OWN).glob("*/*/*")
    return sorted(path.name for path in found if path.is_file())


def stop(site: Site, program: Program) -> str:
    """End it while the share hangs; what it says of that."""
    assert program.stop() == 0
    assert "Traceback" not in program.output()
    (lasting,) = [line for line in program.said().splitlines() if " error " in line]
    assert f"folder share: what was under way for {site.directory}/in has not ended" in lasting
    assert lasting.endswith("; does a share not answer? The next start takes it up")
    assert "kata-bridge watch has stopped" in program.said()
    return program.said()


@pytest.mark.parametrize(
    ("place", "call", "hang"),
    [
        pytest.param("out", "fsync", ["clean"], id="a delivery"),
        pytest.param("in", "unlink", ["bad", "clean"], id="the end of a delivery"),
    ],
)
def test_a_stop_while_a_share_hangs(
    site: Site, started: Keep, place: str, call: str, hang: list[str]
) -> None:
    switch = site.directory / "away"
    watch = started(start_watch(site, hanging_when(site.directory / place, switch, call)))
    wait_until(lambda: "KATA takes files" in watch.said(), "it has begun")
    switch.touch()
    contents = {"clean": b"clean", "bad": EICAR}
    for name, data in contents.items():
        drop(site, name, data)
    wait_until(met(switch).exists, "it hangs")
    wait_until(lambda: claimed(site) == hang, f"what hangs: {hang}")
    stop(site, watch)
    switch.unlink()
    started(site.start_watch())
    contents["after"] = b"after"
    drop(site, "after", b"after")
    site.wait_records(len(contents))
    Places.of(site).wait_empty()
    check_ends(Places.of(site), site.records(), list(contents.values()))


def test_a_reload_and_a_stop_while_an_input_hangs(site: Site, started: Keep) -> None:
    """What has not changed is reloaded as ever, new folders on that share are waited for."""
    (site.directory / "in" / "inner").mkdir()
    switch = site.directory / "away"
    code = hanging_when(site.directory / "in", switch, "open", "lstat")
    watch = started(start_watch(site, code))
    wait_until(lambda: "KATA takes files" in watch.said(), "it has begun")
    switch.touch()
    wait_until(met(switch).exists, "it hangs")
    new = {**site.folder, "name": "new", "input": "in/inner"}
    for number, folders in enumerate([[site.folder], [site.folder, new]], start=1):
        site.changes = {"folders": folders, "kata": {"max_in_flight": number}}
        assert site.config
        watch.process.send_signal(signal.SIGHUP)
        wait_until(partial(reloaded, watch, number), "it is reloaded", 30)
    wait_until(lambda: "as folder new" in watch.said(), "the new one is watched")
    assert watch.stop() == 0
    for name in ("share", "new"):
        assert f"folder {name}: what was under way for" in watch.said()


def test_a_thread_that_wakes_up_after_that_has_no_consequence(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the file that hangs, nor one that waits for its thread, is delivered or recorded."""
    real = Delivery.deliver
    hanging, back = threading.Semaphore(0), threading.Event()

    def hang(delivery: Delivery, file: Judged, still: Callable[[], None]) -> Path:
        hanging.release()
        back.wait(30)
        return real(delivery, file, still)

    async def cut_off() -> None:
        async with Core(site.settings(), Door.FOLDER) as core:
            folders = Folders(core)
            running = asyncio.create_task(folders.run())
            for number in range(6):
                drop(site, f"f{number}", b"%d" % number)
            for _ in range(4):
                assert await asyncio.to_thread(hanging.acquire, timeout=30)
            running.cancel()
            assert not (await asyncio.wait({running}, timeout=0.1))[0]
            assert [folder.name for folder in folders.give_up()] == ["share"]
            back.set()
            await asyncio.wait({running}, timeout=30)
            assert running.cancelled()
            assert folders.give_up()  # nothing was tidied up
        assert not site.records()
        assert not Places.of(site).delivered()

    async def go_on() -> None:
        async with Core(site.settings(), Door.FOLDER) as core:
            running = asyncio.create_task(Folders(core).run())
            async with asyncio.timeout(30):
                while Places.of(site).waiting():
                    await asyncio.sleep(0.02)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    monkeypatch.setattr(Delivery, "deliver", hang)
    asyncio.run(cut_off())
    monkeypatch.setattr(Delivery, "deliver", real)
    asyncio.run(go_on())
    check_ends(Places.of(site), site.records(), [b"%d" % number for number in range(6)])


@pytest.mark.parametrize("where", ["at KATA", "at a share that hangs"])
def test_once_that_is_stopped_does_not_say_that_all_went(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.1)
    begun, goes_on = threading.Event(), threading.Event()

    def hang(*_: object) -> Path:
        begun.set()
        goes_on.wait(30)
        raise OSError(errno.EHOSTDOWN, "Host is down")

    async def main() -> int:
        stop = asyncio.Event()
        serving = asyncio.create_task(service.serve(site.settings(), stop, once=True))
        async with asyncio.timeout(30):
            while not (kata.memory.scans if where == "at KATA" else begun.is_set()):
                await asyncio.sleep(0.02)
        stop.set()
        try:
            return await asyncio.wait_for(serving, 30)
        finally:
            goes_on.set()

    if where == "at KATA":
        drop(site, where, CONTENTS[where])
    else:
        drop(site, "judged", CONTENTS["judged"])
        monkeypatch.setattr(Delivery, "deliver", hang)
    assert asyncio.run(main()) == 1
    assert not site.records()


@pytest.mark.parametrize("once", [False, True], ids=["for good", "once"])
def test_a_stop_while_a_failed_watcher_ends_cuts_off_nothing(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch, once: bool
) -> None:
    """Neither a delivery nor a file that is put back."""
    deliver, put_back = Delivery.deliver, Claims.put_back
    begun, goes_on = threading.Event(), threading.Event()

    def slowly(delivery: Delivery, file: Judged, still: Callable[[], None]) -> Path:
        path = deliver(delivery, file, still)
        begun.set()
        goes_on.wait(30)
        return path

    def back(claims: Claims, case_id: str, path: str, *, number: bool = False) -> Look:
        goes_on.wait(30)
        return put_back(claims, case_id, path, number=number)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    async def main() -> None:
        async with Core(site.settings(), Door.FOLDER) as core:
            folders = Folders(core)
            for name, data in CONTENTS.items():
                drop(site, name, data)
            works = folders.run_once() if once else [folders.run()]
            (running,) = [asyncio.create_task(work) for work in works]
            assert await asyncio.to_thread(begun.wait, 30)
            (watcher,) = folders._watchers
            async with asyncio.timeout(30):
                while len(kata.memory.scans) < len(CONTENTS):
                    await asyncio.sleep(0.02)
                monkeypatch.setattr(sight, "list_input", fail)
                while not watcher.is_ending:
                    watcher.look_soon()
                    await asyncio.sleep(0.02)
            for _ in range(2):
                running.cancel()
                await asyncio.wait({running}, timeout=0.05)
            goes_on.set()
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(running, 30)

    monkeypatch.setattr(Delivery, "deliver", slowly)
    monkeypatch.setattr(Claims, "put_back", back)
    asyncio.run(main())
    check_ends(Places.of(site), site.records(), list(CONTENTS.values()), left=1)
    assert not Places.of(site).leftovers()
