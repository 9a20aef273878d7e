"""Peers that stop: each is freed in its time, and an idle one without a word."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bridge.core import Core, Door, LineLog
from icapd import channel, intake, relay, server, session, transaction
from icapd.server import IcapServer
from tests.support.katabridge import Site

GET = b"GET http://h/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


def head(*fields: bytes) -> bytes:
    offsets = (len(GET), len(GET + OK))
    encapsulated = b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d\r\n\r\n" % offsets
    start = b"RESPMOD icap://h/av/respmod ICAP/1.0\r\n"
    return start + b"".join(fields) + encapsulated + GET + OK


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(session, "IDLE_PATIENCE", 0.4)
    monkeypatch.setattr(session, "BODY_PATIENCE", 0.4)
    monkeypatch.setattr(intake, "BODY_PATIENCE", 0.4)
    monkeypatch.setattr(relay, "BODY_PATIENCE", 0.4)
    monkeypatch.setattr(relay, "PATIENCE", 0.4)
    monkeypatch.setattr(session, "PATIENCE", 0.4)


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
            await asyncio.wait_for(talk(reader, writer, door), 20)
            async with asyncio.timeout(5):
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
            assert await reader.read() == OK

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
    monkeypatch.setattr(channel, "_FLUSH_SECONDS", 0.3)
    monkeypatch.setattr(channel, "_LINGER_SECONDS", 0.1)
    monkeypatch.setattr(relay, "PATIENCE", 60)

    async def talk(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: IcapServer
    ) -> None:
        del reader
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        what = b"REQMOD icap://h/av/reqmod ICAP/1.0\r\nEncapsulated: req-hdr=0, null-body=%d\r\n"
        big = b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"
        writer.write((what % len(big) + b"\r\n" + big) * 40 + b"nonsense\r\n\r\n")
        async with asyncio.timeout(15):
            while door.connections:  # the server tells nobody
                await asyncio.sleep(0.01)

    converse(site, talk)


def test_a_fault_of_our_own_blocks_with_a_page_and_a_record(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(transaction, "object_name", fail)

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
        async with asyncio.timeout(15):
            while door.connections:  # the server tells nobody
                await asyncio.sleep(0.01)

    converse(site, talk)
    assert [record["decision"] for record in site.records()] == ["pass"]
