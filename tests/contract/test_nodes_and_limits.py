"""Central Nodes that fail and come back, access that is lost, limits that KATA sets, alerts."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from bridge.core import Case, Core, Decision, Door, Mode, OutcomeKind, Source
from bridge.core.alerts import AlertBook
from bridge.core.journal import Journal
from bridge.core.kata.wire import Alert, AlertPage, Answer, CallResult
from bridge.emulator import EICAR, Emulator, Memory, Script
from tests.support.judging import judge, make_item, with_core
from tests.support.katabridge import Site
from tests.support.waiting import until

K = OutcomeKind


@pytest.fixture
def second(tmp_path: Path, kata: Emulator) -> Any:
    """Another Central Node with the certificate of the first."""
    folder = tmp_path / "second"
    folder.mkdir()
    for name in ("server.pem", "server.key"):
        (folder / name).write_bytes((kata.memory.directory / name).read_bytes())
    return lambda listen: Emulator(Memory(folder), listen)


def test_the_first_node_gets_the_files_again_once_it_is_back(
    kata: Emulator, site: Site, second: Any
) -> None:
    with second(_any_port()) as other:
        site.changes = {"kata": {"urls": [kata.url, other.url]}}

        async def work(core: Core) -> None:
            await judge(core, b"1")
            kata.stop()
            for number in range(2, 6):
                outcome, _ = await judge(core, b"%d" % number)
                assert outcome.kind is K.NOT_DETECTED
            assert [scan.size for scan in other.memory.submitted] == [1] * 4
            back = Emulator(kata.memory, kata.address)
            with back:
                await until(lambda: core.health.usable() == [kata.url, other.url])
                await judge(core, b"6")
                assert [scan.size for scan in kata.memory.submitted][::2] == [1, 1]
                assert len(kata.memory.submitted) == 3, "and one of ours, to see that it is back"
                assert len(other.memory.submitted) == 4

        with_core(site, work)


def _any_port() -> Any:
    from bridge.emulator.server import ANY_PORT

    return ANY_PORT


def test_a_dead_first_node_is_not_asked_for_every_file(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as dead:
        refused = 0

        def refuse() -> None:
            nonlocal refused
            while True:
                try:
                    sock, _ = dead.accept()
                except OSError:
                    return
                refused += 1
                sock.close()

        threading.Thread(target=refuse, daemon=True).start()
        site.changes = {"kata": {"urls": [f"https://127.0.0.1:{dead.getsockname()[1]}", kata.url]}}

        async def work(core: Core) -> None:
            for number in range(30):
                outcome, _ = await judge(core, b"%d" % number)
                assert outcome.kind is K.NOT_DETECTED

        with_core(site, work)
    assert refused < 20, "it was asked for every file"
    assert caplog.text.count("KATA takes no files") == 1


def test_a_kata_that_answers_and_takes_no_file_is_out_until_it_takes_one_of_ours(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.changes = {"kata": {"verdict_timeout": "10s"}}

    async def work(core: Core) -> None:
        several = (judge(core, b"%d" % number) for number in range(3))
        assert {outcome.kind for outcome, _ in await asyncio.gather(*several)} == {K.UNAVAILABLE}
        submits = kata.memory.calls["submit"]
        await until(lambda: kata.memory.calls["submit"] > submits)  # nobody asks for any
        assert not core.kata_works
        assert caplog.text.count("KATA takes no files") == 1
        assert "KATA takes files again" not in caplog.text
        kata.memory.failing = None
        await until(lambda: core.kata_works)
        assert caplog.text.count("KATA takes files again") == 1
        assert (await judge(core, b"4"))[0].kind is K.NOT_DETECTED
        await until(lambda: not kata.memory.scans)

    kata.memory.failing = Script(fault="drop")
    with_core(site, work)
    assert [record["name"] for record in site.records()] == ["a.bin"] * 4


def test_access_that_is_lost_in_mid_life_is_said_and_no_file_is_sent_until_it_is_back(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sensors = kata.memory.directory / "sensors.json"

    async def work(core: Core) -> None:
        assert (await judge(core, b"1"))[0].kind is K.NOT_DETECTED
        sensors.write_text(sensors.read_text().replace("true", "false"))
        outcome, decision = await judge(core, b"2")
        assert (outcome.kind, decision) == (K.UNAVAILABLE, Decision.BLOCK)
        submits = kata.memory.calls["submit"]
        assert (await judge(core, b"3"))[0].kind is K.UNAVAILABLE
        assert kata.memory.calls["submit"] == submits
        assert "KATA access is lost" in caplog.text
        sensors.write_text(sensors.read_text().replace("false", "true"))
        await until(lambda: core.kata_works)
        assert (await judge(core, b"4"))[0].kind is K.NOT_DETECTED

    with_core(site, work)


def test_katas_own_limit_counts(kata: Emulator, site: Site) -> None:
    limit = kata.memory.max_object_size = 2 << 20

    async def work(core: Core) -> None:
        await until(lambda: core._submitter.max_object_size == limit)
        outcome, _ = await judge(core, b"x" * (limit + 1))
        assert (outcome.kind, outcome.source, outcome.rule) == (K.OVERSIZE, Source.KATA, "kata")
        assert (await judge(core, b"x" * limit))[0].kind is K.NOT_DETECTED

    with_core(site, work)


def test_what_is_known_counts_whatever_its_size(kata: Emulator, site: Site) -> None:
    data = b"#kata state=detect\n" + b"x" * (3 << 20)

    async def before(core: Core) -> None:
        assert (await judge(core, data))[1] is Decision.BLOCK

    async def after(core: Core) -> None:
        outcome, decision = await judge(core, data)
        assert (outcome.kind, outcome.source, decision) == (K.DETECT, Source.KNOWN, Decision.BLOCK)

    with_core(site, before)
    site.changes = {"kata": {"max_object_size": "2MiB"}}
    with_core(site, after)
    assert kata.memory.calls["submit"] == 1


def test_a_limit_that_cannot_be_bytes_lets_nothing_by(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    kata.memory.max_object_size = 100  # MB, perhaps: the help names no unit

    async def work(core: Core) -> None:
        await until(lambda: "maxObjectSize is 100" in caplog.text)
        kata.memory.max_object_size = 1 << 30
        _, decision = await judge(core, b"#kata state=detect\n" + b"x" * 500)
        assert decision is Decision.BLOCK

    with_core(site, work)


def test_a_limit_of_kata_does_not_raise_ours(kata: Emulator, site: Site) -> None:
    site.changes = {"kata": {"max_object_size": "500B"}}

    async def work(core: Core) -> None:
        await until(lambda: kata.memory.calls["filters"])
        await asyncio.sleep(0.2)  # the answer has come by then, or it has no say
        assert (await judge(core, b"x" * 501))[0].source is Source.RULE

    with_core(site, work)


def test_a_scan_that_kata_forgot_is_submitted_again(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.core.kata.poller.LOST_AFTER", 0.5)

    async def work(core: Core) -> None:
        task = asyncio.create_task(judge(core, b"#kata delay=2\n"))
        await until(lambda: kata.memory.scans)
        kata.memory.scans.clear()
        assert (await task)[0].kind is K.NOT_DETECTED

    with_core(site, work)
    assert kata.memory.calls["submit"] == 2


# -- alerts ---------------------------------------------------------------------------------------


def test_no_block_waits_for_an_alert_and_the_record_does(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def work(core: Core) -> None:
        ask = core._client.alerts

        async def slow(node: str, token: str | None) -> CallResult:
            asked.set()
            await answer.wait()
            return await ask(node, token)

        monkeypatch.setattr(core._client, "alerts", slow)
        _, decision = await judge(core, EICAR)  # which awaits `finish`, as a door does
        assert decision is Decision.BLOCK
        await asyncio.wait_for(asked.wait(), 30)
        assert site.records() == [], "the record did not wait for its name"
        answer.set()
        await until(site.records)

    with_core(site, work)
    (record,) = site.records()
    assert (record["threat"], record["technology"], record["importance"]) == (
        *("EICAR-Test-File", "am", "high"),
    )
    assert site.records("log-detects.log") == [record]


def test_without_an_alert_the_record_comes_all_the_same(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kata

    async def work(core: Core) -> None:
        async def none(node: str, token: str | None) -> CallResult:
            del node, token
            return CallResult(Answer.FAULT, "alerts answered 500")

        monkeypatch.setattr(core._client, "alerts", none)
        await judge(core, EICAR)
        await until(site.records)

    with_core(site, work)
    assert site.records()[0]["threat"] is None


def test_a_stop_writes_the_records_that_wait_for_a_name(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kata

    async def work(core: Core) -> None:
        async def never(node: str, token: str | None) -> CallResult:
            del node, token
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(core._client, "alerts", never)
        await judge(core, EICAR)

    with_core(site, work)
    assert [record["outcome"] for record in site.records()] == ["detect"]


def test_alerts_are_not_asked_for_where_they_are_switched_off(kata: Emulator, site: Site) -> None:
    site.changes = {"kata": {"alerts": False}}

    async def work(core: Core) -> None:
        await judge(core, EICAR)

    with_core(site, work)
    assert site.records()[0]["threat"] is None
    assert kata.memory.calls["alerts"] == 0


class Pages:
    """Alerts by token, as KATA would give them."""

    def __init__(self, *pages: list[Alert]) -> None:
        self.pages = list(pages)
        self.tokens: list[str | None] = []

    async def alerts(self, central_node: str, token: str | None) -> CallResult:
        del central_node
        self.tokens.append(token)
        number = int(token or 0)
        found = self.pages[number] if number < len(self.pages) else []
        following = str(min(number + 1, len(self.pages)))
        return CallResult(Answer.OK, "", alerts=AlertPage(found, following, len(found)))


def alert(sha256: str | None, md5: str | None, threat: str) -> Alert:
    return Alert(sha256, md5, threat, "sb", "low")


def test_alerts_are_read_on_from_the_last_token_over_a_restart(tmp_path: Path) -> None:
    kata = Pages([alert("a", None, "one")], [alert("b", "m", "two")])
    journal = Journal(tmp_path / "j")

    async def main() -> None:
        book = AlertBook(kata, ["https://cn"], journal)
        found = await book.find("a", None)
        assert found is not None
        assert found.threat == "one"
        by_md5 = await book.find("unknown", "m")
        assert by_md5 is not None
        assert by_md5.threat == "two"
        kata.tokens.clear()
        kata.pages.append([alert("c", None, "three")])
        found = await AlertBook(kata, ["https://cn"], journal).find("c", None)
        assert found is not None
        assert kata.tokens[0] == "2", "what was read was read again"

    asyncio.run(main())
    journal.close()


def test_many_detections_share_their_looks(tmp_path: Path) -> None:
    kata = Pages()
    journal = Journal(tmp_path / "j")

    async def main() -> None:
        book = AlertBook(kata, ["https://cn"], journal)
        found = await asyncio.gather(*(book.find(str(n), None) for n in range(200)))
        assert found == [None] * 200

    asyncio.run(main())
    journal.close()
    assert len(kata.tokens) <= 100, "each detection looked by itself"


def test_who_is_cut_off_while_it_is_recorded_leaves_one_record(kata: Emulator, site: Site) -> None:
    del kata

    async def work(core: Core) -> None:
        case = Case(Door.ICAP, Mode.ADVANCED, "a", {})
        item = await make_item(core, EICAR)
        outcome = await core.judge(case, item)
        task = asyncio.create_task(core.finish(case, item, outcome, Decision.BLOCK))
        await asyncio.sleep(0)
        task.cancel()
        item.body.release()
        await asyncio.gather(task, return_exceptions=True)

    with_core(site, work)
    assert len(site.records()) == 1
