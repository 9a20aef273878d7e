"""What was passed or accepted before its verdict: followed up, also over a restart."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import pytest

from bridge.core import Case, Core, Decision, Door, Mode, Outcome, OutcomeKind
from bridge.core.bypass import set_bypass
from bridge.core.journal import JournalError, ScanPhase
from bridge.core.kata.wire import Answer, CallResult
from bridge.emulator import EICAR, Emulator
from tests.support.judging import make_item, with_core
from tests.support.katabridge import Site
from tests.support.waiting import until

K = OutcomeKind
SLOW_BAD = b"#kata state=detect delay=1.5\n"


@pytest.fixture(autouse=True)
def looks_often(site: Site) -> None:
    """Nobody waits in these tests: KATA is asked often all the same."""
    site.changes = {"kata": {"poll_interval": "300ms"}}


def case(mode: Mode, name: str = "a.bin") -> Case:
    return Case(Door.ICAP, mode, name, {"client_ip": "10.1.1.1", "url": "http://h/a.bin"})


async def pass_unjudged(core: Core, each: Case, data: bytes) -> Outcome:
    """What a door in `standard` does when `hold` is over."""
    item = await make_item(core, data, each.name)
    outcome = await core.judge(each, item, wait=0.2)
    await core.finish(each, item, outcome, core.decide(each, outcome))
    item.body.release()
    return outcome


async def accept(core: Core, each: Case, data: bytes) -> None:
    """What a door in `monitor` does."""
    item = await make_item(core, data, each.name)
    await core.accept(each, item)
    item.body.release()


def kept_bodies(site: Site) -> list[str]:
    return [path.name for path in (site.directory / "spool" / "test.icap.0.kept").iterdir()]


def test_a_late_detection_names_who_got_it_and_what_it_was(kata: Emulator, site: Site) -> None:
    each = case(Mode.STANDARD)

    async def work(core: Core) -> None:
        outcome = await pass_unjudged(core, each, SLOW_BAD)
        assert (outcome.kind, each.decision) == (K.PENDING, Decision.PASS)
        await until(lambda: site.records("log-detects.log"))
        await until(lambda: not kata.memory.scans)
        await until(lambda: not kept_bodies(site))

    with_core(site, work)
    (record,) = site.records()
    (late,) = site.records("log-detects.log")
    assert (record["case"], record["outcome"], record["decision"]) == (each.id, "pending", "pass")
    assert (late["case"], late["late"], late["decision"]) == (each.id, True, "pass")
    assert late["threat"] == "EICAR-Test-File"
    assert late["context"]["client_ip"] == "10.1.1.1"


RESTARTS: dict[str, Callable[[Core, Case], Awaitable[object]]] = {
    "passed by standard": lambda core, each: pass_unjudged(core, each, SLOW_BAD),
    "accepted by monitor": lambda core, each: accept(core, each, SLOW_BAD),
}


@pytest.mark.parametrize("way", RESTARTS.values(), ids=RESTARTS.keys())
def test_a_restart_loses_no_late_detection_and_asks_nothing_twice(
    kata: Emulator, site: Site, way: Callable[[Core, Case], Awaitable[object]]
) -> None:
    each = case(Mode.STANDARD)

    async def before(core: Core) -> None:
        await way(core, each)
        await until(lambda: kata.memory.scans)

    async def after(core: Core) -> None:
        del core
        await until(lambda: site.records("log-detects.log"))
        await until(lambda: not kata.memory.scans)
        await until(lambda: not kept_bodies(site))

    with_core(site, before)
    with_core(site, after)
    (late,) = site.records("log-detects.log")
    assert (late["case"], late["late"]) == (each.id, True)
    assert late["sha256"]
    assert [record["case"] for record in site.records()] == [each.id]
    assert kata.memory.calls["submit"] == 1


def test_who_comes_again_and_again_is_told_that_the_time_is_over(
    kata: Emulator, site: Site
) -> None:
    site.changes = {"kata": {"poll_interval": "300ms", "verdict_timeout": "1s"}}

    async def work(core: Core) -> None:
        item = await make_item(core, b"#kata state=detect delay=3600\n", "a.bin")
        since, kinds = asyncio.get_running_loop().time(), []
        for turn in range(20):
            each = case(Mode.ADVANCED)
            outcome = await core.judge(each, item, wait=0.2, since=since if turn else None)
            await core.finish(each, item, outcome, core.decide(each, outcome))
            kinds.append(outcome.kind)
            if outcome.kind is not K.PENDING:
                break
        item.body.release()
        assert kinds[-1] is K.TIMEOUT
        assert len(kinds) > 2

    with_core(site, work)
    assert kata.memory.calls["submit"] == 1


def test_what_monitor_gave_up_waiting_for_is_looked_after_over_a_restart(
    kata: Emulator, site: Site
) -> None:
    site.changes = {"kata": {"poll_interval": "300ms", "verdict_timeout": "1s"}}
    each = case(Mode.MONITOR)

    async def before(core: Core) -> None:
        await accept(core, each, b"#kata state=detect delay=4\n")
        await until(site.records)
        await until(lambda: kata.memory.scans)

    async def after(core: Core) -> None:
        del core
        await until(lambda: site.records("log-detects.log"))
        await until(lambda: not kata.memory.scans)
        await until(lambda: not kept_bodies(site))

    with_core(site, before)
    (record,) = site.records()
    assert (record["outcome"], record["decision"]) == ("timeout", "pass")
    with_core(site, after)
    (late,) = site.records("log-detects.log")
    assert (late["case"], late["late"], late["decision"]) == (each.id, True, "pass")
    assert len(site.records()) == 1


def test_what_was_not_brought_to_kata_is_brought_there_after_the_restart(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    kata.memory.accept = "manual"
    cases = [case(Mode.MONITOR, "m"), case(Mode.MONITOR, "large")]

    async def before(core: Core) -> None:
        await core.greet()
        await accept(core, cases[0], b"#kata state=detect\n")
        await accept(core, cases[1], b"x" * 400_000)  # on disk already

    async def after(core: Core) -> None:
        del core
        await until(lambda: len(site.records()) == 2)
        await until(lambda: not kept_bodies(site))

    with_core(site, before)
    assert site.records() == []
    sensors = kata.memory.directory / "sensors.json"
    sensors.write_text(sensors.read_text().replace("false", "true"))
    with_core(site, after)
    by_case = {record["case"]: record for record in site.records()}
    assert by_case[cases[0].id]["outcome"] == "detect"
    assert by_case[cases[0].id]["decision"] == "pass"
    assert by_case[cases[1].id]["outcome"] == "not_detected"
    assert {scan.size for scan in kata.memory.submitted} == {19, 400_000}


def test_a_body_that_is_gone_is_said(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    kata.memory.accept = "manual"
    each = case(Mode.MONITOR)

    async def before(core: Core) -> None:
        await core.greet()
        await accept(core, each, b"some")

    async def after(core: Core) -> None:
        await until(lambda: each.id in caplog.text)
        await until(site.records)
        await until(lambda: core._journal.load().cases == [])

    with_core(site, before)
    (site.directory / "spool" / "test.icap.0.kept" / each.id).unlink()
    with_core(site, after)
    assert f"the body of case {each.id} is gone" in caplog.text
    (record,) = site.records()
    assert (record["case"], record["outcome"], record["decision"]) == (each.id, "error", "pass")


def test_monitor_work_waits_until_kata_is_back(kata: Emulator, site: Site) -> None:
    kata.memory.accept = "manual"
    each = case(Mode.MONITOR)

    async def work(core: Core) -> None:
        await core.greet()
        await accept(core, each, b"some")
        await until(lambda: kata.memory.calls["state"] > 1)
        assert site.records() == []
        sensors = kata.memory.directory / "sensors.json"
        sensors.write_text(sensors.read_text().replace("false", "true"))
        await until(site.records)
        await until(lambda: not kept_bodies(site))

    with_core(site, work)
    assert site.records()[0]["outcome"] == "not_detected"


def test_a_scan_that_failed_is_not_kept_until_another_one_has_its_record(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.core.later._FIRST_PAUSE", 0.2)

    async def work(core: Core) -> None:
        await accept(core, case(Mode.MONITOR), b"#kata http=500 times=4\nsome")
        await until(site.records)
        await until(lambda: all(s.phase is ScanPhase.DONE for s in core._journal.load().scans))

    with_core(site, work)
    assert kata.memory.calls["submit"] > 1


def test_a_record_that_a_crash_cut_off_is_written_once(kata: Emulator, site: Site) -> None:
    """Between journal and log, and between log and journal."""
    del kata
    first, second = case(Mode.ADVANCED), case(Mode.ADVANCED)

    async def crashing(core: Core) -> None:
        for each, reaches_log in ((first, False), (second, True)):
            item = await make_item(core, b"some")
            outcome = await core.judge(each, item)
            if not reaches_log:
                core._records.write = lambda *_, **__: True  # type: ignore[method-assign]
            await core.finish(each, item, outcome, Decision.PASS, note="remove the source")
            if not reaches_log:
                del core._records.write
            item.body.release()

    async def after(core: Core) -> None:
        assert core.notes() == {each.id: "remove the source" for each in (first, second)}
        await core.confirm(first.id)
        await core.confirm(second.id)

    async def later(core: Core) -> None:
        assert core.notes() == {}

    with_core(site, crashing)
    assert len(site.records()) == 1
    with_core(site, after)
    with_core(site, later)
    assert sorted(record["case"] for record in site.records()) == sorted([first.id, second.id])


def test_a_detection_that_a_crash_cut_in_two_is_completed(kata: Emulator, site: Site) -> None:
    del kata
    each = case(Mode.ADVANCED)

    async def crashing(core: Core) -> None:
        item = await make_item(core, EICAR)
        outcome = await core.judge(each, item)
        await core.finish(each, item, outcome, Decision.BLOCK, note="remove the source")
        item.body.release()

    async def after(core: Core) -> None:
        await core.confirm(each.id)

    with_core(site, crashing)
    (site.directory / "log" / "log-history.log").write_text("")
    with_core(site, after)
    assert [record["case"] for record in site.records()] == [each.id]
    assert [record["case"] for record in site.records("log-detects.log")] == [each.id]


def test_a_late_detection_that_was_told_is_not_told_again(kata: Emulator, site: Site) -> None:
    each = case(Mode.STANDARD)

    async def before(core: Core) -> None:
        core._later.drop = _nothing  # type: ignore[method-assign] # the crash comes before it
        await pass_unjudged(core, each, SLOW_BAD)
        await until(lambda: site.records("log-detects.log"))

    async def after(core: Core) -> None:
        del core
        await until(lambda: not kept_bodies(site))
        await until(lambda: not kata.memory.scans)

    with_core(site, before)
    assert kept_bodies(site) == [each.id]
    with_core(site, after)
    assert len(site.records("log-detects.log")) == 1


async def _nothing(case_id: str) -> None:
    del case_id


def test_no_block_waits_for_a_name_where_the_journal_fails(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kata

    async def work(core: Core) -> None:
        async def fails(record: object) -> None:
            raise JournalError("the disk is full")

        async def never(node: str, token: str | None) -> None:
            raise AssertionError("a name was looked up")

        monkeypatch.setattr(core._journal, "keep_record", fails)
        monkeypatch.setattr(core._client, "alerts", never)
        item = await make_item(core, EICAR)
        each = case(Mode.ADVANCED)
        await core.finish(each, item, await core.judge(each, item), Decision.BLOCK)
        assert len(site.records()) == 1
        item.body.release()

    with_core(site, work)


def test_a_node_that_hangs_does_not_delay_the_emergency_switch(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kata

    async def work(core: Core) -> None:
        async def hangs(node: str) -> CallResult:
            await asyncio.Event().wait()
            raise AssertionError(node)

        monkeypatch.setattr(core._client, "states", hangs)
        core.health.note(site.url, CallResult(Answer.NOT_ACCEPTED, ""))
        await asyncio.sleep(1.2)  # the knock is under way by then
        set_bypass(site.directory / "spool", {Door.ICAP: time.time() + 60})
        await until(lambda: core._bypass.active(Door.ICAP))

    with_core(site, work)
