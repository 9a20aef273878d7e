"""A capture changes nothing for those whose conversations it has, whatever becomes of it."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bridge.core import (
    CapturePart,
    CaptureRequest,
    CaptureState,
    CaptureSwitch,
    Core,
    Door,
    LineLog,
    begin_capture,
    capture_states,
)
from bridge.core.capture.pcapng import file_head
from icapd.channel import Channel
from icapd.server import IcapServer
from icapd.taps.tap import Tap
from icapd.taps.taps import Taps
from icapd.taps.watch import Watch
from tests.contract.test_express import CLEAN, message
from tests.support.judging import judge
from tests.support.katabridge import Site
from tests.support.pcapng import said, segments
from tests.support.waiting import until

QUICK = message(b"RESPMOD", CLEAN, preview=10)
MANY = 500 << 20
OPTIONS = [b"OPTIONS icap://h/av/respmod ICAP/1.0\r\nHost: h\r\n\r\n"]


class Talk:
    """A door in this process, one connection to it, and the folder where captures lie."""

    def __init__(self, server: IcapServer, spool: Path, port: int) -> None:
        self.server = server
        self.spool = spool
        self.port = port
        self.quick = 0
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def ask(self, parts: list[bytes]) -> int:
        """The last status that the parts of one request get."""
        status = 0
        for part in parts:
            status = await self.say(part)
        return status

    async def say(self, part: bytes) -> int:
        self.writer.write(part)
        async with asyncio.timeout(60):
            return int((await self.reader.readuntil(b"\r\n\r\n")).split()[1])

    async def begin(self, max_bytes: int = 1 << 20) -> CaptureSwitch:
        switch = begin_capture(self.spool, CaptureRequest(time.time() + 60, max_bytes, None))
        await self.until(lambda: bool(self.states(switch)))
        return switch

    def states(self, switch: CaptureSwitch) -> list[CaptureState]:
        return capture_states(self.spool, switch.request.id)

    async def ends(self, switch: CaptureSwitch) -> CaptureState:
        """How it ended, and that all is as it was before."""
        await self.until(lambda: all(state.ended for state in self.states(switch)))
        assert not any(channel.tap for channel in self.server._open)
        before = self.quick
        assert await self.ask(QUICK) == 204
        assert self.quick == before + 1
        (state,) = self.states(switch)
        return state

    def captured(self, switch: CaptureSwitch) -> tuple[bytes, bytes]:
        (part,) = self.spool.glob(f"capture-{switch.request.id}-*.part")
        found = segments(file_head("", "", "") + part.read_bytes())
        return said(found, self.port, by_client=True), said(found, self.port, by_client=False)

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition)


Serve = Callable[[Callable[[Talk], Awaitable[None]]], None]


@pytest.fixture
def serve(kata: object, site: Site, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Serve in this process, and talk."""
    del kata
    monkeypatch.setattr("icapd.taps.taps._LOOK_SECONDS", 0.02)
    monkeypatch.setattr("icapd.taps.taps._FLUSH_SECONDS", 0.02)

    async def main(talk: Callable[[Talk], Awaitable[None]]) -> None:
        settings = site.settings()
        log = LineLog(settings.logs.dir / "verdicts.log")
        async with Core(settings, Door.ICAP) as core:
            server = IcapServer(core, log)
            await server.start()
            door = Talk(server, settings.spool.dir, site.icap_port)
            usual = Channel.answer

            def count(self: Channel, answer: bytes, service: str, status: int) -> None:
                door.quick += 1
                usual(self, answer, service, status)

            monkeypatch.setattr(Channel, "answer", count)
            await judge(core, CLEAN)
            door.reader, door.writer = await asyncio.open_connection("127.0.0.1", site.icap_port)
            try:
                await talk(door)
            finally:
                door.writer.close()
                await server.stop()
        log.close()

    return lambda talk: asyncio.run(main(talk))


def test_what_goes_the_quick_way_is_captured_and_quick_again_after(serve: Serve) -> None:
    async def talk(door: Talk) -> None:
        assert await door.ask(QUICK) == 204
        assert door.quick == 1
        switch = await door.begin()
        assert await door.ask(QUICK) == 204
        assert await door.ask(OPTIONS) == 200
        assert door.quick == 1
        switch.end()
        assert (await door.ends(switch)).conversations == 2
        heard, told = door.captured(switch)
        assert heard == b"".join(QUICK + OPTIONS)
        assert [line for line in told.split(b"\r\n") if line.startswith(b"ICAP/1.0 ")] == [
            b"ICAP/1.0 100 Continue",
            b"ICAP/1.0 204 No Content",
            b"ICAP/1.0 200 OK",
        ]
        switch.close()

    serve(talk)


def test_it_is_said_to_have_begun_when_all_connections_are_heard(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[list[CaptureState]] = []
    begin = Taps._begin

    def looking(self: Taps, watch: Watch) -> None:
        states.append(capture_states(self._directory, watch.request.id))
        begin(self, watch)

    monkeypatch.setattr(Taps, "_begin", looking)

    async def talk(door: Talk) -> None:
        switch = await door.begin()
        assert states == [[]]
        assert all(channel.tap for channel in door.server._open)
        switch.close()

    serve(talk)


@pytest.mark.parametrize("said_before", [1, 40])
def test_what_was_under_way_at_the_beginning_ends_as_it_would_and_is_left_out(
    serve: Serve, said_before: int
) -> None:
    async def talk(door: Talk) -> None:
        start, rest = QUICK
        if said_before == 1:  # a preview that was told to go on
            assert await door.say(start) == 100
        else:
            door.writer.write(start[:said_before])
            await door.until(lambda: any(ch.icap.in_request for ch in door.server._open))
        switch = await door.begin()
        if said_before != 1:
            assert await door.say(start[said_before:]) == 100
        assert await door.say(rest) == 204
        # it may be captured from the next moment on in which nothing is under way
        await door.until(lambda: all(channel.tap for channel in door.server._open))
        assert await door.ask(QUICK) == 204
        switch.end()
        await door.ends(switch)
        assert door.captured(switch)[0] == b"".join(QUICK)
        switch.close()

    serve(talk)


def test_a_fault_of_the_tap_ends_the_capture_and_no_conversation(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Tap, "_hear", lambda *_: 1 // 0)

    async def talk(door: Talk) -> None:
        switch = await door.begin()
        assert await door.ask(QUICK) == 204
        state = await door.ends(switch)
        assert state.is_fault
        assert "a fault of katabridge itself" in state.ended
        switch.close()

    serve(talk)
    assert caplog.text.count("ZeroDivisionError") == 1


def test_a_full_disk_ends_the_capture_and_no_conversation(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: CapturePart, blocks: bytes) -> None:
        if blocks:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(CapturePart, "write", full)

    async def talk(door: Talk) -> None:
        switch = await door.begin()
        assert await door.ask(QUICK) == 204
        state = await door.ends(switch)
        assert state.ended == f"{door.spool} cannot be written: No space left on device"
        assert state.is_fault
        switch.close()

    serve(talk)
    assert "No space left on device" in caplog.text


def test_a_disk_that_hangs_keeps_nobody_from_the_quick_way(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr("icapd.taps.watch._MOST_PENDING", 2000)
    monkeypatch.setattr(CapturePart, "write", lambda *_: goes_on.wait(60))

    async def talk(door: Talk) -> None:
        switch = await door.begin()
        for _ in range(20):
            assert await door.ask(OPTIONS) == 200
        before = door.quick
        assert await door.ask(QUICK) == 204
        assert door.quick == before + 1
        assert not any(state.ended for state in door.states(switch))  # it cannot say so yet
        goes_on.set()
        assert "too slow" in (await door.ends(switch)).ended
        switch.close()

    serve(talk)


def test_what_the_spool_is_to_leave_free_counts_for_captures_too(serve: Serve, site: Site) -> None:
    site.changes = {"spool": {"min_free": "1000TiB"}}

    async def talk(door: Talk) -> None:
        switch = await door.begin()
        state = await door.ends(switch)
        assert state.ended.endswith("is down to spool.min_free")
        switch.close()

    serve(talk)


def test_size_is_that_of_all_processes(serve: Serve) -> None:
    async def talk(door: Talk) -> None:
        switch = await door.begin(MANY)
        other = door.spool / f"capture-{switch.request.id}-test.icap.1-1.part"
        other.touch()
        os.truncate(other, MANY - 1)
        async with asyncio.timeout(60):
            while not door.states(switch)[0].ended:
                assert await door.ask(OPTIONS) == 200
        state = await door.ends(switch)
        assert "--max-size" in state.ended
        assert not state.is_fault
        switch.close()

    serve(talk)


def test_who_asked_for_it_is_gone(serve: Serve) -> None:
    async def talk(door: Talk) -> None:
        switch = await door.begin()
        assert await door.ask(QUICK) == 204
        os.close(switch._descriptor)
        await door.until(lambda: not list(door.spool.glob("capture*")))
        assert await door.ask(QUICK) == 204

    serve(talk)


def test_one_that_ended_here_does_not_begin_again(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk(door: Talk) -> None:
        switch = await door.begin(500)
        while not door.states(switch)[0].ended:
            assert await door.ask(OPTIONS) == 200
        await door.ends(switch)
        await asyncio.sleep(0.1)  # several looks
        assert not any(channel.tap for channel in door.server._open)
        switch.close()

    serve(talk)
    assert "no capture" not in caplog.text


def test_a_damaged_request_is_said_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def talk(door: Talk) -> None:
        switch = await door.begin()
        (door.spool / "capture.json").write_text("{")
        await door.until(lambda: not door.states(switch))
        await asyncio.sleep(0.1)
        switch.close()

    serve(talk)
    assert caplog.text.count("is damaged") == 1


def test_a_stranger_who_is_refused_is_seen(serve: Serve, site: Site) -> None:
    site.changes = {"icap": {"allow_from": ["10.0.0.0/8"]}}

    async def talk(door: Talk) -> None:
        switch = await door.begin()
        door.writer.close()
        door.reader, door.writer = await asyncio.open_connection("127.0.0.1", door.port)
        assert await door.ask(OPTIONS) == 403
        switch.end()
        await door.until(lambda: all(state.ended for state in door.states(switch)))
        heard, told = door.captured(switch)
        assert heard == OPTIONS[0]
        assert told.startswith(b"ICAP/1.0 403 ")
        switch.close()

    serve(talk)


def test_what_a_crash_left_is_removed_at_the_start(serve: Serve, site: Site) -> None:
    left = site.directory / "spool" / "capture-0123456789abcdef-test.icap.0-1.part"
    left.parent.mkdir()
    left.touch()

    async def talk(door: Talk) -> None:
        await door.until(lambda: not left.exists())
        assert await door.ask(QUICK) == 204

    serve(talk)
