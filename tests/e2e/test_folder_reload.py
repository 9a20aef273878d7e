"""SIGHUP for the folder door: folders and rules change, and no file or record is lost or doubled.

Most of it runs in this process, where a fault of a disk can be planted at the worst moment.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from bridge.core import Core, Door, Reloader, StartError
from bridge.emulator import EICAR, Emulator
from bridge.folder import sweep
from bridge.folder.claim import Claims
from bridge.folder.crew import Wanted
from bridge.folder.folders import Folders
from bridge.folder.left import LeftFiles
from bridge.folder.publish import draft_name
from tests.support.folders import OWN, Places, check_ends, sha256
from tests.support.katabridge import Site
from tests.support.kds import KdsSite
from tests.support.processes import Program, wait_until
from tests.support.waiting import until

Keep = Callable[[Program], Program]
OLD_CASE = "0" * 16


def folder(site: Site, name: str, place: str, **changes: Any) -> dict[str, Any]:
    """A folder whose three places are named `in`, `out` and `quarantine` with `place` behind."""
    places = {key: f"{key}{place}" for key in ("out", "quarantine")}
    for each in (f"in{place}", *places.values()):
        (site.directory / each).mkdir(exist_ok=True)
    return {
        **site.folder,
        "name": name,
        "input": f"in{place}",
        "output": places["out"],
        "quarantine": places["quarantine"],
        **changes,
    }


def drop(site: Site, name: str, data: bytes, place: str = "in") -> Path:
    path = site.directory / place / name
    draft = site.directory / f"{name}.dropped"
    draft.write_bytes(data)
    return draft.rename(path)


def lie(site: Site, place: str) -> list[str]:
    """The names in a folder, but for what is katabridge's own."""
    return sorted(p.name for p in (site.directory / place).iterdir() if OWN not in p.name)


class Bridge:
    """The folder door in this process."""

    def __init__(self, site: Site, core: Core, folders: Folders, reloader: Reloader) -> None:
        self.site, self.core, self.folders, self._reloader = site, core, folders, reloader

    async def reload(self, *folders: dict[str, Any], **changes: Any) -> list[str]:
        """Put these folders, and other changes, in force."""
        self.site.changes = {"folders": list(folders), **changes}
        return await self._reloader.apply(await asyncio.to_thread(self.site.settings))

    def figure(self, name: str, decision: str) -> float | None:
        """How many files of a folder ended so."""
        labels = {"folder": name, "decision": decision}
        return self.core.metrics.registry.get_sample_value("katabridge_folder_files_total", labels)


@asynccontextmanager
async def watched(site: Site) -> AsyncIterator[Bridge]:
    async with Core(site.settings(), Door.FOLDER) as core:
        folders = Folders(core)
        reloader = core.reloader()
        reloader.join(folders.prepare)
        running = asyncio.create_task(folders.run())
        try:
            yield Bridge(site, core, folders, reloader)
        finally:
            running.cancel()
            ended = await asyncio.gather(running, return_exceptions=True)
            assert isinstance(ended[0], asyncio.CancelledError), ended


def of_watchers() -> Counter[str]:
    """What of this process belongs to watchers: threads, and descriptors of hints."""
    names = (thread.name.rstrip("0123456789_") for thread in threading.enumerate())
    found = Counter(n for n in names if n in ("hints", "alive") or n.startswith("folder-"))
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        if "inotify" in target or OWN in target:
            found[target] += 1
    return found


# -- under load ------------------------------------------------------------------------------------


CONTENTS = (b"#kata delay=0.2\nclean ", EICAR + b" ", b"#kata state=error delay=0.1\n", b"quick ")


async def keep_dropping(site: Site, dropped: dict[str, bytes], enough: asyncio.Event) -> None:
    """Drop files into both inputs all the time."""
    for number in itertools.count():
        if enough.is_set():
            return
        data = CONTENTS[number % len(CONTENTS)] + b"%d" % number
        name = f"f{number}"
        dropped[name] = data
        drop(site, name, data, ("in", "in2")[number % 2])
        await asyncio.sleep(0.02)


def plans(site: Site) -> list[list[dict[str, Any]]]:
    """Folders to go through; the third one, where something is left, is in all of them."""
    third = [folder(site, "third", "3", settle=f"{n}ms", rescan="1h") for n in (100, 200)]
    one, two = folder(site, "share", ""), folder(site, "second", "2")
    for each in (one, two):
        each["settle"] = "50ms"
    swapped = [{**one, "input": "in2"}, {**two, "input": "in"}]
    return [
        [one, third[1]],
        [one, two, third[1]],
        [{**one, "settle": "60ms"}, {**two, "recursive": True}, third[0]],
        [*swapped, third[0]],
        [{**two, "name": "renamed"}, one, third[0]],
    ]


@pytest.mark.long
def test_twenty_reloads_under_load(kata: Emulator, site: Site) -> None:
    site.changes = {
        "folders": plans(site)[0],
        "exclusions": [{"name": "*.skip"}],
        "kata": {"alerts": False},  # no end waits for the names of threats
    }
    left = drop(site, "a.skip", b"left for good", "in3")
    before = of_watchers()

    async def main() -> None:
        async with watched(site) as bridge:
            dropped: dict[str, bytes] = {}
            enough = asyncio.Event()
            await until(site.records)
            dropping = asyncio.create_task(keep_dropping(site, dropped, enough))
            for number in range(20):
                seen = len(site.records())
                rules = {"exclusions": [{"name": "*.skip"}], "kata": {"max_in_flight": 5 + number}}
                await bridge.reload(*plans(site)[number % 5], **rules)
                await until(partial(more_records, site, seen + 3))
                if number % 5 == 2:
                    with pytest.raises(StartError, match="is no folder"):
                        missing = {**plans(site)[1][1], "name": "x", "input": "nowhere"}
                        await bridge.reload(plans(site)[0][0], missing)
            enough.set()
            await dropping
            assert len([r for r in site.records() if r["name"] == "a.skip"]) == 1
            # without the exclusion; where something was left, the next look is due in an hour
            await bridge.reload(*plans(site)[1][:2], plans(site)[4][2])
            await until(lambda: not any(places.waiting() for places in triples(site)))
            assert not left.exists()
            assert len(site.records()) == len(dropped) + 2
            assert of_watchers()["hints"] == before["hints"] + 3
            check(site, dropped)

    asyncio.run(main())
    wait_until(lambda: of_watchers() == before, f"{of_watchers()} as before: {before}")


def more_records(site: Site, than: int) -> bool:
    return len(site.records()) > than


def triples(site: Site) -> list[Places]:
    kinds = ("in", "out", "quarantine")
    return [Places(*(site.directory / f"{n}{place}" for n in kinds)) for place in ("", "2", "3")]


def check(site: Site, dropped: dict[str, bytes]) -> None:
    """Each file lies in one place, the one of its verdict, with one record that says so."""
    moved = {r["name"]: r for r in site.records() if r["name"] in dropped}
    assert moved.keys() == dropped.keys()
    lying: Counter[str] = Counter()
    for triple in triples(site)[:2]:
        assert not triple.leftovers()
        targets = {"pass": triple.delivered(), "block": triple.quarantined()}
        for decision, files in targets.items():
            for name, path in files.items():
                lying[name] += 1
                assert path.read_bytes() == dropped[name]
                record = moved[name]
                assert record["context"]["moved_to"] == str(path)
                assert (record["decision"], record["sha256"]) == (decision, sha256(dropped[name]))
                clean = dropped[name].startswith((CONTENTS[0], CONTENTS[3]))
                assert (decision == "pass") == clean
    assert lying == Counter(list(dropped))


# -- at the worst moment ---------------------------------------------------------------------------


def test_what_cannot_be_removed_goes_to_who_watches_that_input_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is delivered and recorded: for a watcher that knows nothing of it, it is a new file."""
    one, two = folder(site, "share", ""), folder(site, "second", "2")
    real, tries = Claims.remove, []

    def refuse(*_: object) -> bool:
        tries.append(1)
        raise PermissionError(1, "Operation not permitted", "a")

    async def main() -> None:
        async with watched(site) as bridge:
            monkeypatch.setattr(Claims, "remove", refuse)
            drop(site, "a", b"a")
            await until(lambda: tries)
            await bridge.reload({**one, "settle": "200ms"})
            await until(lambda: len(tries) > 1)
            await bridge.reload(two)  # not watched at all for a while
            await until(lambda: bridge.figure("share", "pass") is None)
            await bridge.reload(two, {**one, "name": "again"})
            await until(lambda: len(tries) > 2)
            monkeypatch.setattr(Claims, "remove", real)
            await until(lambda: not Places.of(site, 1).waiting())
            drop(site, "b", b"b")
            await until(lambda: len(site.records()) == 2)

    asyncio.run(main())
    assert [record["name"] for record in site.records()] == ["a", "b"]
    assert lie(site, "out") == ["a", "b"]
    assert not Places.of(site).waiting()


def test_a_delivered_file_is_not_taken_again_where_the_watcher_ended_before_it_could_be_removed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, real = folder(site, "share", ""), Claims.remove
    removing, goes_on = threading.Event(), threading.Event()

    def refuse(*_: object) -> bool:
        removing.set()
        goes_on.wait(30)
        return raise_host_down()

    async def main() -> None:
        async with watched(site) as bridge:
            monkeypatch.setattr(Claims, "remove", refuse)
            drop(site, "a", b"a")
            assert await asyncio.to_thread(removing.wait, 30)
            await bridge.reload({**one, "settle": "200ms"})
            await until(lambda: "before has ended" in str(bridge.folders.facts()))
            goes_on.set()
            await until(lambda: "before has ended" not in str(bridge.folders.facts()))
            monkeypatch.setattr(Claims, "remove", real)
            await until(lambda: not Places.of(site).waiting())

    asyncio.run(main())
    assert [record["name"] for record in site.records()] == ["a"]
    assert lie(site, "out") == ["a"]


def test_a_file_whose_record_is_begun_is_left_by_it_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watcher ends between the record and what is remembered of it."""
    one = folder(site, "share", "")
    site.changes = rules = {"exclusions": [{"name": "*.iso"}]}
    finish = Core.finish
    recorded, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(*arguments: Any) -> None:
        await finish(*arguments)
        recorded.set()
        await go_on.wait()

    monkeypatch.setattr(Core, "finish", slowly)

    async def main() -> None:
        async with watched(site) as bridge:
            drop(site, "a.iso", b"a")
            await asyncio.wait_for(recorded.wait(), 30)
            await bridge.reload({**one, "settle": "200ms"}, **rules)
            await until(lambda: "before has ended" in str(bridge.folders.facts()))
            go_on.set()
            drop(site, "b.iso", b"b")
            await until(lambda: len(site.records()) == 2)

    asyncio.run(main())
    assert [record["name"] for record in site.records()] == ["a.iso", "b.iso"]


async def deliver_and_keep(site: Site, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """A process whose share fails at the end: its files are recorded, and their sources stay."""
    with monkeypatch.context() as failing:
        failing.setattr(Claims, "remove", lambda *_: raise_host_down())
        async with watched(site):
            for number in range(count):
                drop(site, f"{number}", b"%d" % number)
            await until(lambda: len(site.records()) == count)


def raise_host_down() -> bool:
    raise OSError(errno.EHOSTDOWN, "Host is down")


async def take_up(site: Site) -> None:
    """The process after it."""
    async with watched(site):
        await until(lambda: not Places.of(site).waiting())


def test_more_is_left_over_than_one_sweep_deals_with(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(deliver_and_keep(site, monkeypatch, 5))
    assert len(Places.of(site).waiting()) == 5
    monkeypatch.setattr(sweep, "_MOST", 2)
    asyncio.run(take_up(site))
    check_ends(Places.of(site), site.records(), [b"%d" % number for number in range(5)])
    assert len(site.records()) == 5


@pytest.mark.sample(3)
@pytest.mark.parametrize("depth", [1, 2], ids=["our own folder", "the folder of a case"])
@pytest.mark.parametrize(
    "number", [errno.EHOSTDOWN, errno.EMFILE, errno.EACCES, errno.ENOKEY], ids=errno.errorcode.get
)
def test_a_share_that_fails_when_claims_are_looked_for_forgets_none(
    site: Site, monkeypatch: pytest.MonkeyPatch, number: int, depth: int
) -> None:
    asyncio.run(deliver_and_keep(site, monkeypatch, 1))
    monkeypatch.setattr(sweep, "_SECONDS", 0.1)
    real, failed = os.scandir, list[int]()

    def scandir(place: Any) -> Any:
        if isinstance(place, int):  # the door's: a test names a path
            *_, inside = f"{Path(f'/proc/self/fd/{place}').readlink()}/".split(f"/in/{OWN}/")
            if inside.count("/") == depth and len(failed) < 3:
                failed.append(place)
                raise OSError(number, os.strerror(number))
        return real(place)

    monkeypatch.setattr(os, "scandir", scandir)
    asyncio.run(take_up(site))
    assert len(failed) == 3
    check_ends(Places.of(site), site.records(), [b"0"])
    assert len(site.records()) == 1


@pytest.mark.parametrize(
    "exclusion", [{"name": "*.iso"}, {"format": "pdf"}], ids=["by name", "by bytes"]
)
@pytest.mark.parametrize("change", [False, True], ids=["the same rules", "others"])
def test_a_start_after_a_crash_looks_again_at_what_other_rules_left(
    site: Site, monkeypatch: pytest.MonkeyPatch, exclusion: dict[str, str], change: bool
) -> None:
    """Nothing but the journal remembers that it is left, and by which rules."""
    site.changes = {"exclusions": [exclusion]}

    async def dropped(name: str, data: bytes, records: int) -> None:
        async with watched(site):
            drop(site, name, data)
            await until(lambda: len(site.records()) == records)

    with monkeypatch.context() as crash:
        crash.setattr(LeftFiles, "save", lambda _: [])
        asyncio.run(dropped("a.iso", b"%PDF-1.7\n", 1))
    if change:
        site.changes = {}
    asyncio.run(dropped("b", b"b", 3 if change else 2))
    first, *others = [(record["name"], record["outcome"]) for record in site.records()]
    again = [("a.iso", "not_detected")] if change else []
    assert (first, sorted(others)) == (("a.iso", "excluded"), [*again, ("b", "not_detected")])
    assert lie(site, "in") == ([] if change else ["a.iso"])


def test_of_a_folder_that_is_removed_nothing_is_out(site: Site) -> None:
    one, two = folder(site, "share", ""), folder(site, "second", "2")
    site.changes = {"folders": [one, two]}

    async def main() -> None:
        async with watched(site) as bridge:
            for place in ("in", "in2"):
                (site.directory / place).rename(site.directory / f"away{place}")
            lasting = bridge.core.events.lasting
            await until(lambda: len(lasting()) == 2)
            await bridge.reload(one)  # its own share is away, and that holds up nothing
            await until(lambda: [each.subject for each in lasting()] == ["share"])
            assert [facts["name"] for facts in bridge.folders.facts()] == ["share"]
            with pytest.raises(StartError, match="in2 is no folder"):
                await bridge.reload(one, two)

    asyncio.run(main())


class Noted(asyncio.Event):
    """A hint of which is known that somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = False

    async def wait(self) -> Literal[True]:
        self.awaited = True
        return await super().wait()


def test_an_end_right_after_a_hint_is_an_end(site: Site) -> None:
    site.folder["rescan"] = "1h"

    async def main() -> None:
        async with Core(site.settings(), Door.FOLDER) as core:
            folders = Folders(core)
            what = Wanted(core.settings.folders[0], str(core.settings.folders[0].input))
            for turns_between in range(6):
                watcher = folders.make(what)
                watcher._hint = hint = Noted()
                running = asyncio.create_task(watcher.run())
                await until(partial(getattr, hint, "awaited"))
                hint.set()
                for _ in range(turns_between):
                    await asyncio.sleep(0)
                running.cancel()
                await asyncio.wait({running}, timeout=5)
                assert running.cancelled(), f"{turns_between} turns after a hint"

    asyncio.run(main())


def test_a_watcher_that_begins_leaves_the_drafts_of_others_alone(site: Site) -> None:
    """Two folders may have one output."""
    one = folder(site, "share", "")
    two = {**folder(site, "second", "2"), "output": "out"}

    async def main() -> None:
        async with watched(site) as bridge:
            owner = (site.directory / "spool" / "test.folder.0.owner").read_text()
            names = [draft_name(f"test.folder.0-{owner}", case) for case in (OLD_CASE, "Z" * 16)]
            old, new = [site.directory / "out" / name for name in names]
            await until(lambda: not old.exists())
            drop(site, "a", b"a")
            await until(site.records)
            case = site.records()[0]["case"]
            new = new.with_name(draft_name(f"test.folder.0-{owner}", case))
            old.touch()
            new.touch()
            await bridge.reload(one, two)
            await until(lambda: not old.exists())
            assert new.exists()

    asyncio.run(main())


# -- as a program ----------------------------------------------------------------------------------


def hang_up(program: Program, sentence: str) -> None:
    """Send SIGHUP and wait until the log says what came of it once more."""
    said = program.output().count(sentence)
    program.process.send_signal(signal.SIGHUP)
    program.wait_for(lambda: program.output().count(sentence) > said, sentence)


def test_a_hangup_reloads_folders_or_changes_nothing(site: Site, started: Keep) -> None:
    watch = started(site.start_watch())
    one, two = folder(site, "share", ""), folder(site, "second", "2")
    refused = f"the configuration {site.config} is not reloaded: "
    for changes, why in (
        ({"folders": []}, "no folder is configured (folders)"),
        (
            {"folders": [one, {**two, "output": "nowhere"}]},
            "is no folder (folders, second: output)",
        ),
        ({"folders": [{**one, "rescan": "1"}]}, "rescan"),
    ):
        site.changes = changes
        assert site.config
        hang_up(watch, refused)
        assert why in watch.output()
        assert "; the old one stays in force" in watch.output()
    drop(site, "a", b"a")
    site.wait_records(1)
    done = f"the configuration {site.config} is reloaded"
    site.changes = {"folders": [two], "exclusions": [{"name": "*.iso"}]}
    assert site.config
    hang_up(watch, done)
    wait_until(lambda: "no longer watches" in watch.output(), "it is said")
    assert f"watches {site.directory}/in2 as folder second" in watch.output()
    assert f"no longer watches {site.directory}/in as folder share" in watch.output()
    for name in ("b", "b.iso"):
        drop(site, name, b"b", "in2")
    drop(site, "nobody", b"a")
    assert {r["name"] for r in site.wait_records(3)} == {"a", "b", "b.iso"}
    site.changes = {"folders": [one, two], "kata": {"connections": 3}}
    assert site.config
    hang_up(watch, f"{done}; what takes a restart stays as it was: kata.connections")
    assert {r["name"] for r in site.wait_records(5)} >= {"nobody", "b.iso"}
    assert (lie(site, "out"), lie(site, "out2")) == (["a", "nobody"], ["b", "b.iso"])


def test_a_hangup_reads_the_configuration_of_kds_anew(site: Site, started: Keep) -> None:
    kds = KdsSite(site)
    watch = started(kds.watch())
    (site.directory / "exclude_list.txt").write_text("*.doc\n")
    other = site.directory / "elsewhere"
    text = kds.conf.read_text()
    kds.conf.write_text(text.replace(f"{site.directory}/out/", f"{other}/"))
    hang_up(watch, f"out_dir: {other} cannot be used (No such file or directory)")
    other.mkdir()
    hang_up(watch, f"the configuration {kds.conf} is reloaded")
    for name in ("a.doc", "b"):
        drop(site, name, b"content")
    outcomes = {r["name"]: r["outcome"] for r in site.wait_records(2)}
    assert outcomes == {"a.doc": "excluded", "b": "not_detected"}
    assert lie(site, "elsewhere") == ["b"]
