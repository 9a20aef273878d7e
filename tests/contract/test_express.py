"""The quick way answers and records as the usual one does, and leaves to it what is not for it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, NamedTuple

import pytest

from bridge.core import (
    Core,
    Door,
    KnownBytes,
    LineLog,
    Outcome,
    OutcomeKind,
    Source,
    set_bypass,
)
from bridge.emulator import Emulator
from icapd.channel import Channel
from icapd.express import Express
from icapd.server import IcapServer
from icapd.service import Services
from tests.support.judging import judge
from tests.support.katabridge import Records, Site, deep_merge

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
CLEAN = b"what is known to be clean, and has some length: " + b"x" * 300
UNKNOWN = b"what nobody has asked for"
GET = b"GET http://files.example/d/a.bin?q=1 HTTP/1.1\r\nHost: files.example\r\n%b\r\n"
PUT = b"PUT /d/b.bin HTTP/1.1\r\nHost: up.example\r\nContent-Length: %d\r\n%b\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n"
FIELDS = (b"Host: h", b"X-Client-IP: 10.1.2.3", b"X-Client-Username: ivanov", b"Allow: 204")


def message(
    method: bytes,
    body: bytes,
    *,
    preview: int | None = None,
    fields: tuple[bytes, ...] = FIELDS,
    asked: bytes = b"",
    said: bytes = b"",
    size: int | None = None,
    path: bytes = b"av",
) -> list[bytes]:
    """A request as it is sent: at once, or what follows 100 Continue apart."""
    size = len(body) if size is None else size
    heads = [GET % asked, OK % (size, said)] if method == b"RESPMOD" else [PUT % (size, asked)]
    kind = b"res-body" if method == b"RESPMOD" else b"req-body"
    places = [b"req-hdr=0", *([b"res-hdr=%d" % len(heads[0])] if len(heads) == 2 else [])]
    encapsulated = b", ".join([*places, b"%b=%d" % (kind, len(b"".join(heads)))])
    lines = [b"%b icap://h/%b/%bmod ICAP/1.0" % (method, path, method.lower()[:-3])]
    lines += [*fields, b"Encapsulated: " + encapsulated]
    if preview is not None:
        lines.append(b"Preview: %d" % preview)
    start = b"\r\n".join(lines) + b"\r\n\r\n" + b"".join(heads)
    if preview is None:
        return [start + _chunk(body) + b"0\r\n\r\n"]
    first, rest = body[:preview], body[preview:]
    if not rest:
        return [start + _chunk(first) + b"0; ieof\r\n\r\n"]
    return [start + _chunk(first) + b"0\r\n\r\n", _chunk(rest) + b"0\r\n\r\n"]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


METHODS = (b"RESPMOD", b"REQMOD")
QUICK = [
    message(method, CLEAN, preview=preview)
    for method, preview in itertools.product(METHODS, (None, 0, 10, 4096))
] + [
    message(b"RESPMOD", CLEAN, fields=FIELDS[:2] + FIELDS[3:]),
    message(b"RESPMOD", CLEAN, fields=FIELDS[3:]),
    message(b"RESPMOD", CLEAN, fields=(*FIELDS[3:], "X-Client-Username: иванов".encode())),
    message(b"RESPMOD", CLEAN, preview=4096, fields=()),
    message(b"RESPMOD", CLEAN, said=b"Content-Type: text/html\r\n"),
    message(b"RESPMOD", CLEAN, asked=b"Range: bytes=0-5\r\n"),
    message(b"RESPMOD", CLEAN, size=5),
    message(b"RESPMOD", CLEAN, path=b"standard"),
    message(b"RESPMOD", CLEAN, said=b"Content-Type: multipart/form-data\r\n"),
]
USUAL = [
    *(message(way, body) for way in METHODS for body in (EICAR, b"")),
    message(b"RESPMOD", CLEAN, fields=FIELDS[:3]),
    message(b"RESPMOD", CLEAN, preview=10, fields=FIELDS[:3]),
    message(b"RESPMOD", CLEAN, fields=(*FIELDS, b"Connection: close")),
    message(b"RESPMOD", CLEAN, said=b"Content-Encoding: gzip\r\n"),
    message(b"RESPMOD", CLEAN, said=b"Content-Disposition: attachment; filename=c.exe\r\n"),
    message(b"RESPMOD", CLEAN, size=1000),
    message(b"REQMOD", CLEAN, asked=b"Range: bytes=0-5\r\n"),
    message(b"REQMOD", CLEAN, asked=b"Content-Type: application/x-www-form-urlencoded\r\n"),
    message(b"RESPMOD", CLEAN, path=b"monitor"),
    message(b"RESPMOD", CLEAN, path=b"nowhere"),
    message(b"RESPMOD", b"x" * 5000),
    message(b"RESPMOD", CLEAN, size=5000, preview=10),
]

Talk = Callable[["Door_", Core], Awaitable[None]]


class Exchange(NamedTuple):
    """What a request got, and how many answers were given the quick way."""

    answers: list[bytes]
    quick: int


class Door_:  # noqa: N801 - `Door` is the core's
    """An ICAP door in this process."""

    def __init__(self, server: IcapServer, port: int) -> None:
        self.server = server
        self._port = port
        self.quick = 0

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A new connection."""
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def hands_over(self) -> None:
        """Wait until nothing is held."""
        async with asyncio.timeout(30):
            while self.server._express._held:
                await asyncio.sleep(0.001)

    async def ask(self, parts: list[bytes]) -> Exchange:
        """One request on a connection of its own."""
        reader, writer = await self.open()
        before, answers = self.quick, []
        for part in parts:
            writer.write(part)
            answers.append(await _head(reader))
            if not answers[-1].startswith(b"ICAP/1.0 100"):
                break
        writer.write_eof()
        answers.append(await reader.read())
        writer.close()
        return Exchange(answers, self.quick - before)


async def _head(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(30):
        return await reader.readuntil(b"\r\n\r\n")


@pytest.fixture
def served(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Talk], Records]:
    """Serve in this process and talk; what was recorded then."""
    del kata
    modes = {"av": "advanced", "standard": "standard", "monitor": "monitor"}
    services = {
        f"{path}/{method}mod": {"method": f"{method.upper()}MOD", "mode": mode}
        for path, mode in modes.items()
        for method in ("req", "resp")
    }
    limits = {"kata": {"max_object_size": "4KiB"}}
    site.changes = deep_merge(site.changes, {"icap": {"services": services}, **limits})

    def serve(talk: Talk) -> Records:
        before = len(site.records())

        async def main() -> None:
            settings = site.settings()
            log = LineLog(settings.logs.dir / "verdicts.log")
            async with Core(settings, Door.ICAP) as core:
                server = IcapServer(core, log)
                await server.start()
                door = Door_(server, site.icap_port)

                def count(self: Channel, answer: bytes, service: str, status: int) -> None:
                    door.quick += 1
                    usual(self, answer, service, status)

                usual = Channel.answer
                with monkeypatch.context() as patch:
                    patch.setattr(Channel, "answer", count)
                    await judge(core, CLEAN)
                    await judge(core, EICAR)
                    await talk(door, core)
                    await server.stop()
                assert not server.connections
                assert core.spool.memory_used == core.spool.disk_used == 0
            log.close()

        asyncio.run(main())
        return [each for each in site.records()[before:] if each["context"]]

    return serve


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """We may be late with the rest of a preview, on a busy machine: it goes the quick way still."""
    monkeypatch.setattr("icapd.express._HELD_SECONDS", 60.0)


def _without_times(records: Records) -> list[dict[str, Any]]:
    """Without what differs each time; a threat's name is found when it is found."""
    own = ("time", "case", "waited_ms", "threat", "technology", "importance")
    return [{key: each[key] for key in each if key not in own} for each in records]


def _same_pages(exchanges: list[Exchange]) -> list[list[bytes]]:
    """Answers without what differs each time: case numbers and what they make of lengths."""
    return [[answer[:40] for answer in exchange.answers] for exchange in exchanges]


def test_both_ways_answer_and_record_alike(
    served: Callable[[Talk], Records], monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[list[Exchange]] = []

    async def talk(door: Door_, _: Core) -> None:
        got.append([await door.ask(parts) for parts in (*QUICK, *USUAL)])

    quick = served(talk)
    monkeypatch.setattr(Express, "put", lambda _, channel, data: channel.receive(data))
    usual = served(talk)
    assert [each.quick for each in got[0]] == [1] * len(QUICK) + [0] * len(USUAL)
    assert not any(each.quick for each in got[1])
    assert [each.answers for each in got[0][: len(QUICK)]] == [
        each.answers for each in got[1][: len(QUICK)]
    ]
    assert _same_pages(got[0]) == _same_pages(got[1])
    assert _without_times(quick) == _without_times(usual)
    assert len({each["case"] for each in quick}) == len(quick)


def test_what_is_unknown_waits_and_then_is_quick(served: Callable[[Talk], Records]) -> None:
    async def talk(door: Door_, _: Core) -> None:
        for quick, preview in ((0, None), (1, None), (1, 5)):
            asked = await door.ask(message(b"RESPMOD", UNKNOWN, preview=preview))
            assert asked.answers[-2].startswith(b"ICAP/1.0 204")
            assert asked.quick == quick

    assert [each["source"] for each in served(talk)] == ["kata", "known", "known"]


def test_a_record_is_written_before_its_answer(
    served: Callable[[Talk], Records], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    finish, write = Core.finish_together, Channel.write

    def finished(self: Core, entries: Any) -> None:
        finish(self, entries)
        order.append("record")

    def written(self: Channel, data: bytes) -> None:
        order.append("answer")
        write(self, data)

    monkeypatch.setattr(Core, "finish_together", finished)
    monkeypatch.setattr(Channel, "write", written)

    async def talk(door: Door_, _: Core) -> None:
        await door.ask(QUICK[0])

    assert len(served(talk)) == 1
    assert order == ["record", "answer"]


def test_many_connections_share_a_turn(served: Callable[[Talk], Records]) -> None:
    async def talk(door: Door_, _: Core) -> None:
        pairs = [await door.open() for _ in range(100)]
        for _reader, writer in pairs:
            writer.write(QUICK[0][0])
        for reader, writer in pairs:
            assert (await _head(reader)).startswith(b"ICAP/1.0 204")
            writer.close()
        assert door.quick == 100

    assert len(served(talk)) == 100


def test_what_a_rule_or_the_bypass_speaks_of_goes_the_usual_way(
    site: Site, served: Callable[[Talk], Records]
) -> None:
    rules = [{"host": "files.example", "path": "/d/*"}]

    async def talk(door: Door_, core: Core) -> None:
        assert (await door.ask(QUICK[0])).quick == 0  # RESPMOD from files.example
        asked = await door.ask(HELD)
        assert asked.answers[0].startswith(b"ICAP/1.0 204"), "the rest was asked for"
        assert (await door.ask(QUICK[5])).quick == 1  # REQMOD to up.example
        set_bypass(core.settings.spool.dir, {Door.ICAP: time.time() + 600})
        async with asyncio.timeout(30):
            while not core._bypass.active(Door.ICAP):
                await asyncio.sleep(0.05)
        assert (await door.ask(QUICK[5])).quick == 0
        assert (await door.ask(QUICK[6])).quick == 0
        set_bypass(core.settings.spool.dir, {})

    site.changes = deep_merge(site.changes, {"exclusions": rules})
    records = served(talk)
    outcomes = ["excluded", "excluded", "not_detected", "excluded", "excluded"]
    assert [each["outcome"] for each in records] == outcomes


def test_what_is_remembered_of_a_client_goes_the_usual_way(
    served: Callable[[Talk], Records], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(door: Door_, _: Core) -> None:
        visits = door.server._services.visits
        for parts, url in (
            (QUICK[0], "http://files.example/d/a.bin?q=1"),
            (HELD, "http://files.example/d/a.bin?q=1"),
            (QUICK[5], "PUT http://up.example/d/b.bin"),
        ):
            assert (await door.ask(parts)).quick == 1
            visits.put_off("10.1.2.3", url, "0" * 64, 0.0)
            visits.put_off("10.9.9.9", url, "0" * 64, 0.0)  # somebody else
            assert (await door.ask(parts)).quick == 0
            visits._visits.clear()
        nameless = message(b"RESPMOD", CLEAN, fields=FIELDS[3:], asked=b"User-Agent: B\r\n")
        url = "http://files.example/d/a.bin?q=1"
        for agent, quick in (("A", 1), ("B", 0)):
            visits.put_off(f"127.0.0.1 None {agent}", url, "0" * 64, 0.0)
            assert (await door.ask(nameless)).quick == quick
        monkeypatch.setattr(visits, "_clock", lambda: time.monotonic() + 1e6)
        assert not visits, "what is long over is remembered"
        assert (await door.ask(nameless)).quick == 1

    assert len(served(talk)) == 9


def test_a_policy_that_blocks_what_is_clean_is_kept_to(
    site: Site, served: Callable[[Talk], Records]
) -> None:
    async def talk(door: Door_, _: Core) -> None:
        for parts in (QUICK[0], HELD):
            asked = await door.ask(parts)
            assert asked.answers[-2].startswith(b"ICAP/1.0 200")
            assert asked.quick == 0

    site.changes = deep_merge(site.changes, {"policy": {"not_detected": "block"}})
    assert [each["decision"] for each in served(talk)] == ["block", "block"]


def test_what_is_larger_than_kata_takes_is_not_let_by_as_known(
    served: Callable[[Talk], Records],
) -> None:
    large = b"l" * 5000

    async def talk(door: Door_, core: Core) -> None:
        verdict = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA)
        await core._verdicts.put(sha256(large).hexdigest(), verdict)
        assert core._submitter.known(KnownBytes(sha256(large).hexdigest(), 5000)) is not None
        assert (await door.ask(message(b"RESPMOD", large))).quick == 0
        assert (await door.ask(message(b"RESPMOD", large, preview=10))).quick == 0

    assert [each["outcome"] for each in served(talk)] == ["oversize", "oversize"]


# -- what stops half-way -----------------------------------------------------------------------


async def _begin(door: Door_, parts: list[bytes]) -> tuple[asyncio.StreamReader, Any]:
    reader, writer = await door.open()
    writer.write(parts[0])
    assert (await _head(reader)).startswith(b"ICAP/1.0 100")
    return reader, writer


HELD = message(b"RESPMOD", CLEAN, preview=10)


def test_a_body_that_stops_after_100_is_looked_after(
    served: Callable[[Talk], Records], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icapd.express._HELD_SECONDS", 0.05)

    async def talk(door: Door_, _: Core) -> None:
        for sent in (0, 50):
            reader, writer = await _begin(door, HELD)
            assert door.server._express._held or sent
            writer.write(HELD[1][:sent])
            await door.hands_over()  # nothing more came
            writer.write(HELD[1][sent:])
            assert (await _head(reader)).startswith(b"ICAP/1.0 204")
            writer.close()
        assert door.quick == 0

    assert [each["outcome"] for each in served(talk)] == ["not_detected"] * 2


def _channel(door: Door_, writer: asyncio.StreamWriter) -> Channel:
    port = writer.get_extra_info("sockname")[1]
    return next(
        each for each in door.server._open if each._transport.get_extra_info("peername")[1] == port
    )


@pytest.mark.sample(2)
@pytest.mark.parametrize("others", [0, 60, 63, 200])
def test_reads_of_one_connection_stay_in_order(
    others: int, served: Callable[[Talk], Records]
) -> None:
    body = b"".join(b"%07d\n" % number for number in range(500))
    data = message(b"RESPMOD", body)[0]

    async def talk(door: Door_, _: Core) -> None:
        pairs = [await door.open() for _other in range(others)]
        reader, writer = await door.open()
        async with asyncio.timeout(30):
            while door.server.connections <= others:
                await asyncio.sleep(0.001)
        mine = _channel(door, writer)
        for _reader, other in pairs:
            _channel(door, other).data_received(QUICK[0][0])
        for start in range(0, len(data), 1000):  # several reads of one turn of the loop
            mine.data_received(data[start : start + 1000])
        assert (await _head(reader)).startswith(b"ICAP/1.0 204")
        for other_reader, other in pairs:
            assert (await _head(other_reader)).startswith(b"ICAP/1.0 204")
            other.close()
        writer.close()

    records = served(talk)
    assert [each["sha256"] for each in records].count(sha256(body).hexdigest()) == 1
    assert len(records) == others + 1


def test_little_is_kept_of_what_comes_faster_than_it_is_looked_at(
    served: Callable[[Talk], Records],
) -> None:
    async def talk(door: Door_, _: Core) -> None:
        _reader, writer = await door.open()
        async with asyncio.timeout(30):
            while not door.server.connections:
                await asyncio.sleep(0.001)
        mine, express = _channel(door, writer), door.server._express
        start = message(b"RESPMOD", b"")[0][:-5] + b"fffffff\r\n"
        mine.data_received(start)
        assert list(express._came) == [mine]
        for _piece in range(4):
            mine.data_received(b"x" * 40_000)
            assert not express._came
        assert mine._paused, "reading goes on"
        writer.close()

    served(talk)


def test_what_is_held_is_looked_at_by_one_timer(
    served: Callable[[Talk], Records], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(door: Door_, _: Core) -> None:
        express, timers = door.server._express, 0
        usual = express._loop.call_later

        def later(delay: float, callback: Callable[..., object], *arguments: Any) -> Any:
            nonlocal timers
            timers += getattr(callback, "__name__", "") == "_look_at_held"
            return usual(delay, callback, *arguments)

        monkeypatch.setattr(express._loop, "call_later", later)
        reader, writer = await door.open()
        for _turn in range(50):
            for part in HELD:
                writer.write(part)
                await _head(reader)
        assert door.quick == 50
        assert timers < 40, "each request has its own"
        writer.close()

    served(talk)


def test_a_fault_while_a_request_is_held_leaves_one_record(
    served: Callable[[Talk], Records], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a planted fault")

    async def talk(door: Door_, _: Core) -> None:
        reader, writer = await _begin(door, HELD)
        with monkeypatch.context() as patch:
            patch.setattr(Services, "log_verdicts", broken)
            writer.write(HELD[1])
            assert not await reader.read()
        writer.close()
        door.server._express._works = True
        with monkeypatch.context() as patch:
            patch.setattr(Express, "_judge", broken)  # when 100 is out
            reader, writer = await _begin(door, HELD)
            writer.write(HELD[1])
            assert (await _head(reader)).startswith(b"ICAP/1.0 204")
        writer.close()

    assert [each["outcome"] for each in served(talk)] == ["not_detected"] * 2


def test_a_reload_leaves_what_is_held_to_the_limits_that_took_it(
    served: Callable[[Talk], Records],
) -> None:
    async def talk(door: Door_, core: Core) -> None:
        reader, writer = await _begin(door, HELD)
        assert door.server._express._held
        icap = core.settings.icap
        limits = icap.limits.model_copy(update={"head": 20, "encapsulated_heads": 20})
        small = icap.model_copy(update={"limits": limits})
        door.server.prepare(core.settings.model_copy(update={"icap": small}))()
        assert not door.server._express._held
        writer.write(HELD[1])
        assert (await _head(reader)).startswith(b"ICAP/1.0 204")
        writer.write(HELD[0])
        assert (await _head(reader)).startswith(b"ICAP/1.0 400")
        writer.close()

    assert [each["outcome"] for each in served(talk)] == ["not_detected"]


def test_a_client_that_leaves_after_100_leaves_a_record(served: Callable[[Talk], Records]) -> None:
    async def talk(door: Door_, _: Core) -> None:
        for last in ("eof", "close", "rest and eof"):
            reader, writer = await _begin(door, HELD)
            if last == "close":
                writer.close()
                continue
            if last == "rest and eof":
                writer.write(HELD[1])
            writer.write_eof()
            answer = await reader.read()
            assert answer.startswith(b"ICAP/1.0 204") is (last == "rest and eof")
            writer.close()

    kinds = sorted((each["outcome"], each["rule"]) for each in served(talk) if each["rule"])
    assert kinds == [("error", "cut off")] * 2


def test_what_is_malformed_after_100_is_refused(served: Callable[[Talk], Records]) -> None:
    async def talk(door: Door_, _: Core) -> None:
        reader, writer = await _begin(door, HELD)
        writer.write(b"zz\r\n" + HELD[1])
        assert (await _head(reader)).startswith(b"ICAP/1.0 400")
        writer.close()

    assert [each["outcome"] for each in served(talk)] == ["error"]


def test_the_rest_in_pieces_and_the_next_request_behind_it(
    served: Callable[[Talk], Records],
) -> None:
    async def talk(door: Door_, _: Core) -> None:
        reader, writer = await _begin(door, HELD)
        writer.write(HELD[1] + QUICK[0][0] + QUICK[0][0][:100])
        for _turn in range(2):
            assert (await _head(reader)).startswith(b"ICAP/1.0 204")
        writer.write(QUICK[0][0][100:])
        assert (await _head(reader)).startswith(b"ICAP/1.0 204")
        writer.write(QUICK[0][0])  # at rest again
        assert (await _head(reader)).startswith(b"ICAP/1.0 204")
        writer.close()
        assert door.quick == 1

    assert len(served(talk)) == 4


def test_a_stop_answers_what_came(served: Callable[[Talk], Records]) -> None:
    async def talk(door: Door_, _: Core) -> None:
        reader, writer = await _begin(door, HELD)
        stopping = asyncio.create_task(door.server.stop())
        await asyncio.sleep(0)
        writer.write(HELD[1])
        answer = await _head(reader)
        assert answer.startswith(b"ICAP/1.0 204")
        assert b"Connection: close" in answer
        writer.close()
        await stopping

    assert [each["outcome"] for each in served(talk)] == ["not_detected"]


def test_a_fault_of_ours_sends_all_the_usual_way(
    served: Callable[[Talk], Records],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a planted fault")

    async def talk(door: Door_, _: Core) -> None:
        monkeypatch.setattr(Express, "_judge", broken)
        for _turn in range(2):
            assert (await door.ask(QUICK[0])).answers[0].startswith(b"ICAP/1.0 204")
        assert (await door.ask(HELD)).answers[-2].startswith(b"ICAP/1.0 204")

    assert len(served(talk)) == 3
    assert [each.message for each in caplog.records].count(
        "a fault of katabridge itself: requests go the slower way now"
    ) == 1


def test_records_that_cannot_be_written_are_not_answered(
    served: Callable[[Talk], Records], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a planted fault")

    async def talk(door: Door_, _: Core) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Core, "finish_together", broken)
            reader, writer = await door.open()
            writer.write(QUICK[0][0])
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await _head(reader)
            writer.close()

    assert served(talk) == []
