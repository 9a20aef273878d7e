"""Peers that stop: each is freed in its time, and an idle one without a word."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bridge.core import Core, Door, LineLog
from icapd import message, server, stream
from icapd.server import IcapServer
from tests.support.katabridge import Site, deep_merge

GET = b"GET http://h/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


def head(*fields: bytes) -> bytes:
    offsets = (len(GET), len(GET + OK))
    encapsulated = b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d\r\n\r\n" % offsets
    start = b"RESPMOD icap://h/av/respmod ICAP/1.0\r\n"
    return start + b"".join(fields) + encapsulated + GET + OK


@pytest.fixture(autouse=True)
def _short(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.05)
    set_times(site, idle="400ms", head="400ms", body="400ms", write="400ms")


def set_times(site: Site, **times: str) -> None:
    site.changes = deep_merge(site.changes, {"icap": {"times": times}})


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, IcapServer], Coroutine[Any, Any, None]]


def converse(site: Site, talk: Talk) -> None:
    """Serve in this process and talk; afterwards no connection may be left."""

    async def main() -> None:
        settings = site.settings()
        log = LineLog(settings.logs.dir / "x.log")
        async with Core(settings, Door.ICAP) as core:
            door = IcapServer(core, log)
            await door.start()
            reader, writer = await asyncio.open_connection("127.0.0.1", site.icap_port)
            await asyncio.wait_for(talk(reader, writer, door), 60)
            async with asyncio.timeout(30):
                while door.connections:  # the server tells nobody
                    await asyncio.sleep(0.01)
            writer.close()
            await door.stop()
            assert core.spool.memory_used == core.spool.disk_used == 0
        log.close()

    asyncio.run(main())


def test_an_idle_connection_is_closed_in_silence(site: Site) -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"ICAP/1.0 200")
        assert await reader.read() == b""

    converse(site, talk)


@pytest.mark.parametrize(
    ("sent", "cases"),
    [
        (b"RESPMOD icap://h/av/resp", 0),
        (head()[:-5], 0),
        (head(), 1),
        (head() + b"5\r\nab", 1),
        (head(b"Preview: 10\r\n") + b"5\r\nabcde\r\n", 1),
    ],
    ids=["in the head", "in the HTTP heads", "before the body", "in the body", "in the preview"],
)
def test_a_request_that_stops_gets_408(site: Site, sent: bytes, cases: int) -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(sent)
        said = await reader.read()
        assert said.startswith(b"ICAP/1.0 408 ")
        assert b"Connection: close\r\n" in said

    converse(site, talk)
    outcomes = [(record["outcome"], record["decision"]) for record in site.records()]
    assert outcomes == [("error", "block")] * cases


def test_a_stalled_body_that_does_not_go_on_is_cut(site: Site) -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(head() + b"%x\r\n" % 80_000 + b"x" * 40_000)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"ICAP/1.0 200")
        with contextlib.suppress(ConnectionResetError):
            begun, _blank, body = (await reader.read()).partition(b"\r\n\r\n")
            assert begun.startswith(b"HTTP/1.1 200 OK\r\nVia: ")
            assert body == b""

    converse(site, talk)
    assert [record["outcome"] for record in site.records()] == ["error"]


def test_an_options_request_with_a_body_and_a_preview(site: Site) -> None:
    options = b"OPTIONS icap://h/ ICAP/1.0\r\nPreview: 4\r\nEncapsulated: opt-body=0\r\n\r\n"

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        for _number in range(2):
            writer.write(options + b"4\r\nabcd\r\n0\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"ICAP/1.0 200")

    converse(site, talk)


def test_a_closed_connection_whose_peer_does_not_read_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "FLUSH_SECONDS", 0.3)
    monkeypatch.setattr(stream, "_LINGER_SECONDS", 0.1)
    set_times(site, write="60s")

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: IcapServer
    ) -> None:
        del reader
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        what = b"REQMOD icap://h/av/reqmod ICAP/1.0\r\nEncapsulated: req-hdr=0, null-body=%d\r\n"
        big = b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"
        (served,) = door._open
        while not served._transport.get_write_buffer_size():  # less than makes it wait
            writer.write(what % len(big) + b"\r\n" + big)
            await asyncio.sleep(0.01)
        writer.write(b"nonsense\r\n\r\n")
        async with asyncio.timeout(30):
            while door.connections:  # the server tells nobody
                await asyncio.sleep(0.01)

    converse(site, talk)


def test_a_fault_of_our_own_blocks_with_a_page_and_a_record(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(message, "object_name", fail)

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(head() + b"1\r\nx\r\n0\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"ICAP/1.0 200")
        assert b"HTTP/1.1 403 Forbidden" in answer
        assert b"Connection: close" in answer

    converse(site, talk)
    outcomes = [(record["outcome"], record["decision"]) for record in site.records()]
    assert outcomes == [("error", "block")]
    assert "planted" in caplog.text


def test_a_proxy_that_does_not_send_the_rest_after_100(site: Site) -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(head(b"Preview: 5\r\n") + b"5\r\nabcde\r\n0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"ICAP/1.0 100")
        assert (await reader.read()).startswith(b"ICAP/1.0 408 ")

    converse(site, talk)
    assert [record["outcome"] for record in site.records()] == ["error"]


def test_a_proxy_that_does_not_read_its_answer_is_cut(site: Site) -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: IcapServer
    ) -> None:
        del reader
        body = b"x" * 40_000_000
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(head() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        async with asyncio.timeout(30):
            while door.connections:  # the server tells nobody
                await asyncio.sleep(0.01)

    converse(site, talk)
    assert [record["decision"] for record in site.records()] == ["pass"]


async def drip(writer: asyncio.StreamWriter, data: bytes, pause: float = 0.1) -> None:
    """Send a byte at a time until all is sent or the server closes."""
    for number in range(len(data)):
        if writer.is_closing():
            return
        writer.write(data[number : number + 1])
        await asyncio.sleep(pause)


async def answered_while_dripping(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
) -> bytes:
    """What comes until the server closes, while `data` drips; fails where all of it was taken."""
    dripping = asyncio.create_task(drip(writer, data))
    said = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            said += piece
    assert not dripping.done(), "the server waited for the whole drip"
    dripping.cancel()
    return said


@pytest.mark.parametrize(
    "before", [b"", b"RESPMOD icap://h/av", head()[:-10]], ids=["start", "head", "HTTP heads"]
)
def test_a_drip_does_not_extend_a_head(site: Site, before: bytes) -> None:
    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(before)
        rest = (head() if before else b"OPTIONS icap://h/" + b"x" * 100)[len(before) :]
        pause = 0.1 if len(rest) > 20 else 0.3
        dripping = asyncio.create_task(drip(writer, rest, pause))
        said = await reader.read()
        assert said.startswith(b"ICAP/1.0 408 ")
        assert not dripping.done(), "the server waited for the whole drip"
        dripping.cancel()

    converse(site, talk)
    assert site.records() == []


def test_blank_lines_do_not_extend_an_idle_connection(site: Site) -> None:
    set_times(site, idle="1s")

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"ICAP/1.0 200")
        dripping = asyncio.create_task(drip(writer, b"\r\n\r\n", 0.5))
        assert await reader.read() == b"", "an idle connection is closed in silence"
        assert not dripping.done(), "it was kept for the blank lines"
        dripping.cancel()

    converse(site, talk)


@pytest.mark.parametrize("policy", ["block", "pass"])
def test_a_held_body_that_drips_ends_at_its_lifetime(site: Site, policy: str) -> None:
    set_times(site, body_lifetime="1s", stream_lifetime="1s")
    site.changes = deep_merge(site.changes, {"icap": {"policy": {"error": policy}}})

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(head() + b"%x\r\n" % 1000)
        said = await answered_while_dripping(reader, writer, b"x" * 1000)
        assert said.startswith(b"ICAP/1.0 200 ")
        if policy == "block":
            assert b"HTTP/1.1 403 " in said
        else:
            assert b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n" in said
            assert not said.endswith(b"0\r\n\r\n"), "it is cut, not ended"

    converse(site, talk)
    (record,) = site.records()
    assert (record["outcome"], record["decision"]) == ("error", policy)
    log = (site.directory / "log" / "x.log").read_text()
    assert "icap.times.body_lifetime" in log


def test_a_preview_that_drips_ends_at_the_lifetime_too(site: Site) -> None:
    set_times(site, body_lifetime="1s")

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(head(b"Preview: 4000\r\n") + b"%x\r\n" % 1000)
        said = await answered_while_dripping(reader, writer, b"x" * 1000)
        assert said.startswith(b"ICAP/1.0 408 ")

    converse(site, talk)
    assert [record["outcome"] for record in site.records()] == ["error"]


def test_a_stream_is_cut_at_its_lifetime(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    set_times(site, stream_lifetime="1s", body_lifetime="20s")
    site.changes = deep_merge(site.changes, {"exclusions": [{"host": "h"}]})

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(head() + b"%x\r\n" % 1000)
        said = await answered_while_dripping(reader, writer, b"x" * 1000)
        assert OK in said
        assert said.count(b"1\r\nx\r\n") > 3, "it is given back as it comes"
        assert not said.endswith(b"0\r\n\r\n")

    converse(site, talk)
    assert [record["outcome"] for record in site.records()] == ["excluded"]
    assert "icap.times.stream_lifetime" in caplog.text


def test_the_rest_of_a_body_that_was_answered_is_not_waited_for_without_end(site: Site) -> None:
    site.changes = deep_merge(
        site.changes,
        {"kata": {"max_object_size": "10B"}, "icap": {"policy": {"oversize": "block"}}},
    )

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: IcapServer
    ) -> None:
        writer.write(head() + b"%x\r\n" % 1000 + b"x" * 11)
        said = await answered_while_dripping(reader, writer, b"x" * 989)
        assert b"HTTP/1.1 403 " in said

    converse(site, talk)
