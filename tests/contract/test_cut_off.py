"""What is cut off, full, or comes too late in the core: nothing is lost, nothing is left behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge.core import Case, Core, Decision, Door, Mode, Outcome, OutcomeKind
from bridge.core.bypass import set_bypass
from bridge.core.kata.wire import Answer, CallResult
from bridge.core.model import Item
from bridge.emulator import EICAR, Emulator
from bridge.folder.left import LeftFiles
from bridge.folder.settle import Lasting
from tests.support.judging import judge, make_item, with_core
from tests.support.katabridge import Site
from tests.support.waiting import until

K = OutcomeKind


@pytest.fixture(autouse=True)
def quick(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits in most of these tests: KATA is asked often all the same."""
    site.changes = {"kata": {"poll_interval": "300ms"}}
    monkeypatch.setattr("bridge.core.later._FIRST_PAUSE", 0.2)


def case(mode: Mode = Mode.STANDARD, door: Door = Door.ICAP) -> Case:
    return Case(door, mode, "a.bin", {"client_ip": "10.1.1.1"})


async def pass_unjudged(core: Core, each: Case, data: bytes, wait: float = 0.2) -> None:
    item = await make_item(core, data)
    outcome = await core.judge(each, item, wait=wait)
    await core.finish(each, item, outcome, core.decide(each, outcome))
    item.body.release()


Submit = Callable[[str, str, Item], Coroutine[Any, Any, CallResult]]


def first_submit(core: Core, instead: Submit) -> None:
    """Have the first upload do something else."""
    real, done = core._client.submit, False

    async def submit(node: str, scan_id: str, item: Item) -> CallResult:
        nonlocal done
        if done:
            return await real(node, scan_id, item)
        done = True
        return await instead(node, scan_id, item)

    core._client.submit = submit  # type: ignore[assignment, method-assign]


async def _reset(node: str, scan_id: str, item: Item) -> CallResult:
    del node, scan_id, item
    return CallResult(Answer.UNREACHABLE, "reset")


def test_what_was_passed_is_asked_about_until_kata_answers(kata: Emulator, site: Site) -> None:
    each = case()
    data = b"#kata http=500 times=4\n" + EICAR

    async def work(core: Core) -> None:
        kata.memory.attempts.clear()
        await pass_unjudged(core, each, data)
        await until(lambda: len(kata.memory.submitted) == 1)
        await until(lambda: not core._journal.load().cases)

    with_core(site, work)
    assert kata.memory.calls["submit"] == 5, "the first three failures were the end"


def test_of_two_scans_of_one_content_the_accepted_one_is_taken_up(
    kata: Emulator, site: Site
) -> None:
    each = case()

    async def before(core: Core) -> None:
        first_submit(core, _reset)
        await pass_unjudged(core, each, b"#kata state=detect delay=2\n", wait=1.5)
        await until(lambda: kata.memory.scans)

    async def after(core: Core) -> None:
        assert len(core._journal.load().scans) == 2
        await until(lambda: site.records("log-detects.log"))

    with_core(site, before)
    with_core(site, after)
    assert kata.memory.calls["submit"] == 1


def test_a_scan_that_arrives_after_its_delete_is_deleted_later(kata: Emulator, site: Site) -> None:
    async def work(core: Core) -> None:
        late: list[asyncio.Task[CallResult]] = []
        real = core._client.submit

        async def cut_off(node: str, scan_id: str, item: Item) -> CallResult:
            item.body.retain()

            async def arrive() -> CallResult:
                await until(lambda: kata.memory.calls["delete"] >= 2)
                result = await real(node, scan_id, item)
                item.body.release()
                return result

            late.append(asyncio.create_task(arrive()))
            return CallResult(Answer.UNREACHABLE, "no answer within 60 s")

        first_submit(core, cut_off)
        await judge(core, b"some")
        await asyncio.gather(*late)
        assert len(kata.memory.scans) == 1
        await core._poster.sweep()
        assert not kata.memory.scans

    with_core(site, work)


def test_a_record_outlives_a_full_disk_and_a_kill(kata: Emulator, site: Site) -> None:
    del kata
    each = case(door=Door.FOLDER)

    async def before(core: Core) -> None:
        def full(lines: Sequence[bytes]) -> int:
            raise OSError(28, "No space left on device", lines)

        core._records._history._file.append = full  # type: ignore[method-assign]
        item = await make_item(core, b"some")
        outcome = await core.judge(each, item)
        await core.finish(each, item, outcome, Decision.PASS, note="remove the source")
        await core.confirm(each.id)  # the door has removed the source
        item.body.release()
        assert len(core._journal.load().records) == 1, "a kill now loses the record"

    async def after(core: Core) -> None:
        assert core.notes() == {each.id: "remove the source"}
        await core.confirm(each.id)
        assert core._journal.load().records == []

    with_core(site, before, Door.FOLDER)
    assert site.records() == []
    with_core(site, after, Door.FOLDER)
    assert [record["case"] for record in site.records()] == [each.id]


def test_records_that_no_disk_took_before_the_stop_are_written_after_the_start(
    kata: Emulator, site: Site
) -> None:
    del kata

    async def before(core: Core) -> None:
        await judge(core, EICAR)
        await until(site.records)  # and from now on it is known

        def full(lines: Sequence[bytes]) -> int:
            raise OSError(28, "No space left on device", lines)

        for log in (core._records._history, core._records._detects):
            log._file.append = full  # type: ignore[method-assign]
        await judge(core, EICAR)
        await judge(core, b"clean")

    async def after(core: Core) -> None:
        await until(lambda: not core._journal.load().records)

    with_core(site, before)
    assert len(site.records()) == 1
    with_core(site, after)
    assert [record["outcome"] for record in site.records()] == ["detect", "detect", "not_detected"]
    assert len(site.records("log-detects.log")) == 2
    assert len({record["case"] for record in site.records()}) == 3


def test_rows_leave_the_journal_when_the_disk_has_room_again(kata: Emulator, site: Site) -> None:
    del kata

    async def work(core: Core) -> None:
        log = core._records._history._file
        append, full = log.append, True

        def maybe(lines: Sequence[bytes]) -> int:
            if full:
                raise OSError(28, "No space left on device")
            return append(lines)

        log.append = maybe  # type: ignore[method-assign]
        await judge(core, EICAR)
        await until(lambda: core._records.waiting)
        full = False
        await until(lambda: not core._journal.load().records)

    with_core(site, work)
    assert len(site.records()) == 1


def test_a_late_line_is_written_before_its_scan_is_deleted(kata: Emulator, site: Site) -> None:
    lines_at_delete: list[int] = []

    async def work(core: Core) -> None:
        delete, alerts = core._client.delete, core._client.alerts

        async def noting(node: str, scan_id: str) -> CallResult:
            lines_at_delete.append(len(site.records("log-detects.log")))
            return await delete(node, scan_id)

        async def slow(node: str, token: str | None) -> CallResult:
            await asyncio.sleep(0.5)
            return await alerts(node, token)

        core._client.delete = noting  # type: ignore[assignment, method-assign]
        core._client.alerts = slow  # type: ignore[assignment, method-assign]
        await pass_unjudged(core, case(), b"#kata state=detect delay=1\n")
        await until(lambda: lines_at_delete)

    with_core(site, work)
    assert lines_at_delete == [1]
    assert not kata.memory.scans


def test_a_stop_deletes_no_scan_whose_case_has_no_record(kata: Emulator, site: Site) -> None:
    async def work(core: Core) -> None:
        item = await make_item(core, b"some")
        await core.judge(case(Mode.ADVANCED), item)  # and no `finish`: the door is cut off
        item.body.release()

    with_core(site, work)
    assert len(kata.memory.scans) == 1


def test_a_timeout_that_is_passed_leaves_nothing_behind(kata: Emulator, site: Site) -> None:
    site.changes["icap"] = {"policy": {"timeout": "pass"}}

    async def work(core: Core) -> None:
        for number in range(3):
            _, decision = await judge(core, b"#kata state=timeout\n%d" % number)
            assert decision is Decision.PASS
        assert core._journal.load().cases == []
        assert core.spool.disk_used == 0

    with_core(site, work)
    assert list((site.directory / "spool" / "test.icap.0.kept").iterdir()) == []
    assert kata.memory.calls["submit"] == 3


def test_a_fault_of_ours_ends_a_later_case_in_error(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    del kata

    async def work(core: Core) -> None:
        async def broken(each: Case, item: Item) -> Outcome:
            raise RuntimeError("planted")

        core._later.use(broken, core.decide, core._submitter, core.metrics)
        item = await make_item(core, b"some")
        await core.accept(case(Mode.MONITOR), item)
        item.body.release()
        await until(site.records)

    with_core(site, work)
    assert site.records()[0]["outcome"] == "error"
    assert "planted" in caplog.text


def test_a_case_whose_acceptance_is_cut_off_is_not_judged_later(kata: Emulator, site: Site) -> None:
    del kata

    async def work(core: Core) -> None:
        item = await make_item(core, b"some")
        task = asyncio.create_task(core.accept(case(Mode.MONITOR), item))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        item.body.release()
        await until(lambda: not core._later._tells)
        assert core._journal.load().cases == []

    with_core(site, work)


def test_a_bypass_ends_for_a_case_that_is_tried_again(kata: Emulator, site: Site) -> None:
    del kata
    each = case(Mode.ADVANCED, Door.FOLDER)

    async def work(core: Core) -> None:
        folder = core.settings.spool.dir
        item = await make_item(core, EICAR)
        set_bypass(folder, {Door.FOLDER: time.time() + 60})
        core._bypass.refresh(Door.FOLDER)
        assert core.decide(each, await core.judge(each, item)) is Decision.PASS
        set_bypass(folder, {})
        core._bypass.refresh(Door.FOLDER)
        assert core.decide(each, await core.judge(each, item)) is Decision.BLOCK
        item.body.release()

    with_core(site, work, Door.FOLDER)


def test_scans_that_were_taken_up_count_among_those_at_kata(kata: Emulator, site: Site) -> None:
    site.changes["kata"] |= {"max_in_flight": 2}

    async def before(core: Core) -> None:
        for number in range(2):
            await pass_unjudged(core, case(), b"#kata delay=3\n%d" % number)
        await until(lambda: len(kata.memory.scans) == 2)

    async def after(core: Core) -> None:
        await asyncio.sleep(0)
        assert core.gate.inside == 2
        task = asyncio.create_task(judge(core, b"new"))
        await asyncio.sleep(0.5)
        assert len(kata.memory.submitted) == 2, "a third was sent"
        assert (await task)[0].kind is K.NOT_DETECTED

    with_core(site, before)
    with_core(site, after)


def test_what_a_folder_leaves_is_saved_while_it_changes(tmp_path: Path) -> None:
    left = LeftFiles(tmp_path / "left.json", "rules", 0)
    faults: list[BaseException] = []
    saved: list[str] = []
    ending = threading.Event()

    def save() -> None:
        while not ending.is_set():
            try:
                saved.extend(left.save())
            except BaseException as error:
                faults.append(error)

    savers = [threading.Thread(target=save) for _ in range(2)]
    for saver in savers:
        saver.start()
    files = [Lasting(f"{n}", n, n) for n in range(2000)]
    for number, file in enumerate(files):
        left.add(file, f"{number}")
        if not number % 20:
            present = set(files[max(number - 299, 0) : number + 1])
            left.forget_gone(present.__contains__, number)
            time.sleep(0.001)  # lets the savers run
    left.forget_gone(set(files[-300:]).__contains__, 2000)
    ending.set()
    for saver in savers:
        saver.join()
    assert faults == []
    saved += left.save()
    assert sorted(saved, key=int) == [f"{n}" for n in range(2000)], "a case not said, or twice"
    again = LeftFiles(tmp_path / "left.json", "rules", 0)
    assert [file in again for file in files] == [False] * 1700 + [True] * 300
