"""The folder door under people and machines that interfere: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bridge.core import Core, Door, StartError
from bridge.emulator import EICAR, Emulator
from bridge.folder import handling, listing, service, sight
from bridge.folder.claim import Claims
from bridge.folder.folders import Folders
from bridge.folder.left import LeftFiles
from bridge.folder.metadata import Metadata, read_metadata
from bridge.folder.settle import Lasting, Look
from tests.support.folders import Places
from tests.support.katabridge import Site
from tests.support.processes import Program, module, wait_until
from tests.support.waiting import until

Keep = Callable[[Program], Program]


def drop(site: Site, name: str, data: bytes) -> Path:
    path = site.directory / "in" / name
    path.write_bytes(data)
    return path


def beside(site: Site, path: Path) -> Path:
    """Another name of the file, by which a writer reaches it wherever it is claimed."""
    link = site.directory / "link"
    link.hardlink_to(path)
    return link


def names(site: Site, place: str) -> set[str]:
    there = Places.of(site)
    found = {"in": there.waiting, "out": there.delivered, "quarantine": there.quarantined}[place]()
    return {path.name for path in found.values()}


@pytest.mark.long
def test_a_file_that_others_open_for_writing_all_the_time_ends_nothing(
    site: Site, started: Keep
) -> None:
    watcher = started(site.start_watch())
    paths = [drop(site, f"{n}", b"%d" % n) for n in range(200)]
    stop = threading.Event()

    def interfere() -> None:
        while not stop.is_set():
            for path in paths:
                try:
                    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
                except FileNotFoundError:
                    continue

    threads = [threading.Thread(target=interfere) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    stop.set()
    for thread in threads:
        thread.join()
    assert watcher.process.poll() is None, f"it ended with {watcher.process.poll()}"
    wait_until(lambda: not names(site, "in"), "every file goes its way", 30)
    assert len(names(site, "out")) == 200


@pytest.mark.parametrize(
    "moment", [0.8, *(pytest.param(each, marks=pytest.mark.long) for each in (0.5, 1.1))]
)
def test_a_stop_under_load_loses_nothing_and_records_nothing_twice(
    site: Site, started: Keep, moment: float
) -> None:
    watcher = started(site.start_watch())
    for n in range(300):
        drop(site, f"{n}", b"%d" % n)
    time.sleep(moment)
    assert watcher.stop() == 0
    delivered = names(site, "out")
    recorded = Counter(record["name"] for record in site.records())
    assert set(recorded) == delivered, "a delivery without its record, or the other way round"
    assert not delivered & names(site, "in"), "delivered and recorded, but the source is there"
    started(site.start_watch())
    wait_until(lambda: not names(site, "in"), "the rest goes its way", 30)
    recorded = Counter(record["name"] for record in site.records())
    assert len(recorded) == 300
    assert set(recorded.values()) == {1}


@pytest.mark.long
def test_files_that_kata_dislikes_do_not_hold_up_the_others(
    kata: Emulator, site: Site, started: Keep
) -> None:
    del kata
    watcher = started(site.start_watch())
    for n in range(12):
        drop(site, f"bad{n}", b"#kata http=500\n%d" % n)
    wait_until(lambda: "bad0 stays in input" in watcher.output(), "the bad ones were tried", 20)
    for n in range(5):
        drop(site, f"good{n}", b"%d" % n)
    wait_until(lambda: len(names(site, "out")) == 5, "the good ones are through", 30)
    wait_until(lambda: len(names(site, "in")) == 12, "only the bad ones are left")


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", ["a\\", "ü\\", "a\\b", 'a"b', "a\rb"])
def test_names_that_could_break_a_form(
    kata: Emulator, site: Site, started: Keep, name: str
) -> None:
    started(site.start_watch())
    drop(site, name, b"x")
    wait_until(lambda: names(site, "out") == {name}, "it is delivered")
    assert len(kata.memory.submitted[0].name) == len(name)


def test_what_is_delivered_is_never_setuid(site: Site, started: Keep) -> None:
    drop(site, "tool", b"x").chmod(0o6755)
    started(site.start_watch())
    wait_until(lambda: names(site, "out") == {"tool"}, "it is delivered")
    assert stat.S_IMODE((site.directory / "out" / "tool").stat().st_mode) == 0o755


@pytest.mark.sample(1)
@pytest.mark.parametrize("by_link", [False, True], ids=["same name", "same file"])
def test_a_new_version_with_the_old_size_and_time_is_judged(
    kata: Emulator, site: Site, started: Keep, by_link: bool
) -> None:
    first = b"#kata delay=2\nAAAA"
    path = drop(site, "a", first)
    os.utime(path, ns=(10**18, 10**18))
    link = beside(site, path)
    started(site.start_watch())
    wait_until(lambda: kata.memory.scans, "the first version is at KATA")
    target = link if by_link else path
    target.write_bytes(first.replace(b"AAAA", b"BBBB"))
    os.utime(target, ns=(10**18, 10**18))
    site.wait_records(2)
    wait_until(lambda: not names(site, "in"), "both are judged", 20)
    assert (site.directory / "out" / "a").read_bytes().endswith(b"BBBB")
    assert len(site.records()) == 2


def test_a_claimed_file_that_is_opened_again_is_not_removed(
    kata: Emulator, site: Site, started: Keep
) -> None:
    path = drop(site, "log", b"#kata delay=1\nline 1\n")
    link = beside(site, path)
    started(site.start_watch())
    wait_until(lambda: kata.memory.scans, "it is at KATA")
    with link.open("ab") as file:
        wait_until(site.records, "its record")
        assert names(site, "out") == {"log"}
        wait_until(lambda: names(site, "in") == {"log"}, "it is still there")
        file.write(b"line 2\n")
    wait_until(lambda: not names(site, "in"), "it is judged again", 20)
    assert (site.directory / "out" / "log").read_bytes().endswith(b"line 2\n")
    assert len(site.wait_records(2)) == 2


def test_a_file_that_is_opened_but_not_changed_is_delivered_once(
    kata: Emulator, site: Site, started: Keep
) -> None:
    link = beside(site, drop(site, "a", b"#kata delay=1\nx"))
    watcher = started(site.start_watch())
    wait_until(lambda: kata.memory.scans, "it is at KATA")
    with link.open("r+b"):  # as backup and indexing programs do
        wait_until(lambda: "cannot be removed from input yet" in watcher.output(), "it stays")
        assert names(site, "in") == names(site, "out") == {"a"}
    wait_until(lambda: not names(site, "in"), "it is removed when nobody has it open", 20)
    assert len(site.wait_records(1)) == 1


def test_a_writer_with_a_hard_link_cannot_change_what_was_delivered(
    kata: Emulator, site: Site, started: Keep
) -> None:
    clean = b"#kata delay=1\nclean"
    link = beside(site, drop(site, "a", clean))
    started(site.start_watch())
    wait_until(lambda: kata.memory.scans, "it is at KATA")
    link.write_bytes(EICAR)
    wait_until(lambda: names(site, "quarantine") == {"a"}, "the new content is judged, too", 20)
    assert (site.directory / "out" / "a").read_bytes() == clean
    link.write_bytes(b"later still")
    assert (site.directory / "out" / "a").read_bytes() == clean
    assert (site.directory / "quarantine" / "a").read_bytes() == EICAR


@pytest.mark.long
def test_a_damaged_snapshot_is_not_delivered(kata: Emulator, site: Site, started: Keep) -> None:
    data = b"#kata delay=1\n" + b"x" * 2_000_000
    path = drop(site, "a", data)
    watcher = started(site.start_watch())
    wait_until(lambda: kata.memory.scans, "it is at KATA")
    (spooled,) = (site.directory / "spool" / "test.folder.0").iterdir()
    os.truncate(spooled, 1000)
    wait_until(lambda: "is not what was judged" in watcher.output(), "it is noticed", 20)
    assert path.exists()
    assert names(site, "out") == set()
    wait_until(lambda: names(site, "out") == {"a"}, "a new snapshot is taken", 20)
    assert (site.directory / "out" / "a").read_bytes() == data
    assert len(site.wait_records(1)) == 1


# -- with the watcher in this process, to make the file system fail --------------------------------


def watching(site: Site, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Watch the site's folder while `work` runs."""

    async def main() -> None:
        settings = site.settings()
        async with Core(settings, Door.FOLDER) as core:
            task = asyncio.create_task(Folders(core).run())
            try:
                await asyncio.wait_for(work(), 30)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_a_source_that_cannot_be_removed_is_delivered_and_recorded_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = drop(site, "a", EICAR)

    def refuse(*_: object) -> bool:
        raise PermissionError(1, "Operation not permitted", str(path))

    tries = []

    def refuse_and_count(*arguments: object) -> bool:
        tries.append(1)
        return refuse(*arguments)

    async def work() -> None:
        await until(lambda: len(tries) >= 2)

    with monkeypatch.context() as patch:
        patch.setattr(Claims, "remove", refuse_and_count)
        watching(site, work)
        watching(site, work)  # a restart remembers
    assert names(site, "in") == {"a"}
    assert len(site.wait_records(1)) == len(site.records("log-detects.log")) == 1
    assert "cannot be removed from input yet; it is not taken again" in caplog.text

    async def goes() -> None:
        await until(lambda: not names(site, "in"))

    watching(site, goes)
    assert len(site.wait_records(1)) == 1


def test_a_withdrawn_file_leaves_a_record(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "GONE_SECONDS", 0.5)
    kata.memory.accept = "manual"
    path = drop(site, "a", b"x")

    async def work() -> None:
        await until(lambda: kata.memory.calls["submit"] >= 1)
        await asyncio.sleep(0.3)
        path.unlink()
        await until(site.records)

    watching(site, work)
    (record,) = site.wait_records(1)
    assert (record["outcome"], record["decision"]) == ("unavailable", "hold")


def test_a_held_file_that_is_open_when_tried_again_keeps_its_case(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "GONE_SECONDS", 0.5)
    path = drop(site, "a", b"#kata http=500\n")

    async def work() -> None:
        await until(lambda: kata.memory.calls["submit"] >= 3)
        with path.open("ab"):
            await asyncio.sleep(3)  # its next try falls into this time
        path.unlink()
        await until(site.records)

    watching(site, work)
    assert [record["outcome"] for record in site.records()] == ["unavailable"]


def test_a_watcher_that_fails_ends_the_daemon(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(sight, "list_input", fail)

    async def main() -> None:
        await asyncio.wait_for(service.serve(site.settings(), asyncio.Event()), 30)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main())


def test_what_stays_is_remembered_even_where_it_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "left.json"
    path.mkdir()  # as good as a full disk
    left, lasting = LeftFiles(path, "rules", 60), Lasting("a", 1, 1)
    left.add(lasting, "case")
    assert left.save() == []
    assert left.save() == []
    assert lasting in left
    assert caplog.text.count("cannot be written") == 1
    path.rmdir()
    assert left.save() == ["case"]
    assert lasting in LeftFiles(path, "rules", 60)
    assert lasting not in LeftFiles(path, "other rules", 60)


def test_a_share_that_fails_in_the_middle_is_said_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(50):
        drop(site, f"{number}", b"%d" % number)
    tries = []

    def down(*_: object) -> Look:
        tries.append(1)
        raise OSError(errno.EHOSTDOWN, "Host is down")

    async def fails() -> None:
        await until(lambda: len(tries) >= 50)
        monkeypatch.undo()
        await until(lambda: len(names(site, "out")) == 50)

    monkeypatch.setattr(Claims, "take", down)
    watching(site, fails)
    assert caplog.text.count("Host is down; files stay in input") == 1
    assert caplog.text.count("reading files of the input works again") == 1


def test_a_share_that_hangs_while_it_is_copied_holds_up_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What asks a share is a thread of its folder's; those of the spool are for all."""
    second = {"name": "second", "input": "in2", "output": "out2", "quarantine": "quarantine2"}
    for name in ("in2", "out2", "quarantine2"):
        (site.directory / name).mkdir()
    site.changes = {"folders": [site.folder, {**site.folder, **second}]}
    is_back, away = threading.Event(), set[int]()
    looked_at, real_stat = "bridge.folder.snapshot.read_metadata", os.fstat

    def look(descriptor: int) -> Metadata:
        kept = read_metadata(descriptor)
        if not is_back.is_set():
            away.add(descriptor)
        return kept

    def stat_of(descriptor: int) -> os.stat_result:
        if descriptor in away:
            is_back.wait(30)
        return real_stat(descriptor)

    async def hangs() -> None:
        try:
            await until(lambda: len(away) == 4)
            large = site.directory / "in2" / "large"
            large.write_bytes(b"large" * 100_000)
            monkeypatch.setattr(looked_at, read_metadata)
            await until((site.directory / "out2" / "large").exists)
            assert names(site, "out") == set()
        finally:
            is_back.set()
        await until(lambda: len(names(site, "out")) == 4)

    monkeypatch.setattr(looked_at, look)
    monkeypatch.setattr(os, "fstat", stat_of)
    for number in range(4):
        drop(site, f"{number}", b"%d" % number * 300_000)
    watching(site, hangs)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EHOSTDOWN, None),
        (errno.ESTALE, None),
        (errno.EACCES, "must be readable and writable for this service"),
        (errno.ENOENT, "is no folder"),
    ],
)
def test_a_share_that_does_not_answer_at_the_start_is_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str | None
) -> None:
    real = os.open

    def down(path: Any, *arguments: Any, **more: Any) -> int:
        if path == site.directory / "in":
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *arguments, **more)

    async def main() -> None:
        settings = site.settings()
        async with Core(settings, Door.FOLDER) as core:
            with monkeypatch.context() as patch:
                patch.setattr(os, "open", down)
                Folders(core)

    if sentence is None:
        asyncio.run(main())
    else:
        with pytest.raises(StartError, match=sentence):
            asyncio.run(main())


def test_once_does_not_call_an_input_empty_that_it_could_not_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(site, "a", b"a")
    real, looks = listing.list_input, []

    def fails_first(*arguments: Any, **more: Any) -> Any:
        looks.append(1)
        if len(looks) == 1:
            raise OSError(errno.EIO, "Input/output error")
        return real(*arguments, **more)

    monkeypatch.setattr(sight, "list_input", fails_first)

    async def main() -> int:
        return await service.serve(site.settings(), asyncio.Event(), once=True)

    assert asyncio.run(main()) == 1
    assert names(site, "in") == {"a"}


def test_folders_that_are_links_in_a_circle_are_one_sentence(site: Site) -> None:
    loop = site.directory / "loop"
    loop.symlink_to(loop)
    site.folder["input"] = "loop"
    program = Program(
        [*module("bridge.cli"), "watch", "--config", site.config], site.directory / "out.txt"
    )
    assert program.process.wait(20) == 1
    assert "loop is no folder (folders, share: input)" in program.output()
    assert "Traceback" not in program.output()


def test_a_threat_that_cannot_be_quarantined_is_said(site: Site, started: Keep) -> None:
    site.folder["quarantine_conflict"] = "replace"
    (site.directory / "quarantine" / "evil.com").mkdir()
    (site.directory / "in" / "evil.com").write_bytes(EICAR)
    watcher = started(site.start_watch())
    said = "KATA found a threat: evil.com (detect) stays in input"
    wait_until(lambda: said in watcher.output(), "it is said")
    assert "quarantine/evil.com: Is a directory" in watcher.output()
    (site.directory / "quarantine" / "evil.com").rmdir()
    assert site.wait_records(1)[0]["decision"] == "block"
