"""The benchmark's load against servers that answer rightly and wrongly."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from tests.bench import load
from tests.bench.answers import WrongAnswerError
from tests.bench.stub import Answering, Script
from tests.bench.work import WORKS, Requests, Work
from tests.support.certificates import put_certificate

SMALL = WORKS[0]
ASKED = 40


@contextlib.contextmanager
def serving(
    protocol: Callable[[], Answering | Saying], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """A server in a thread of this process; its port."""
    loop, made = asyncio.new_event_loop(), list[Answering | Saying]()

    def make() -> Answering | Saying:
        made.append(protocol())
        return made[-1]

    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> asyncio.Server:
        return await loop.create_server(make, "127.0.0.1", 0, ssl=context)

    async def stop() -> None:
        server.close()
        for each in made:
            each.transport.abort()
        for _ in range(3):  # turns of the loop, in which it closes their sockets
            await asyncio.sleep(0)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Saying(asyncio.Protocol):
    """Says the same to whatever comes, and closes where that is nothing."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(self._answer)
        if not self._answer:
            self.transport.close()


class Silent(Saying):
    """Says nothing."""

    def __init__(self) -> None:
        super().__init__(b"")

    def data_received(self, data: bytes) -> None:
        del data


@pytest.mark.parametrize("work", [pytest.param(work, id=work.name) for work in WORKS])
def test_all_requests_are_answered_and_counted(work: Work, tmp_path: Path) -> None:
    context = None
    if work.tls:
        put_certificate(tmp_path / "c.pem", tmp_path / "c.key")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "c.pem", tmp_path / "c.key")
    script = Script(work)
    with serving(lambda: Answering(script), context) as port:
        found = load.run(port, work, 60, limit=ASKED)
    assert found.statuses == {204 if work.allow_204 else 200: ASKED}
    assert found.answers == found.served == ASKED
    assert found.continued == (ASKED if work.continues else 0)
    assert found.rate > 0
    assert min(found.latencies) > 0


def test_what_was_under_way_at_the_end_is_awaited_and_not_counted() -> None:
    script = Script(SMALL)
    with serving(lambda: Answering(script)) as port:
        found = load.run(port, SMALL, 0)
    assert (found.answers, found.served) == (0, load.CONNECTIONS)
    assert not found.statuses


def test_bodies_of_ones_own() -> None:
    seen: list[bytes] = []

    class Keeping(Saying):
        def data_received(self, data: bytes) -> None:
            seen.append(data)
            super().data_received(data)

    contents = [b"%0500d" % number for number in range(ASKED)]
    answer = b"ICAP/1.0 204 No Content\r\n\r\n"
    with serving(lambda: Keeping(answer)) as port:
        load.run(port, SMALL, 60, requests=Requests(SMALL, contents), limit=ASKED)
    bodies = {data.rpartition(b"1f4\r\n")[2].partition(b"\r\n")[0] for data in seen}
    assert bodies == set(contents)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closed"),
        pytest.param(b"ICAP/1.0 100 Continue\r\n\r\n", id="100 to a whole body"),
        pytest.param(b"ICAP/1.0 500 Server Error\r\n\r\n", id="an error"),
        pytest.param(b"ICAP/1.0 204 No Content\r\n\r\n" * 2, id="two answers"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="another protocol"),
    ],
)
def test_a_wrong_answer_ends_it(answer: bytes) -> None:
    with serving(lambda: Saying(answer)) as port, pytest.raises(WrongAnswerError):
        load.run(port, SMALL, 60)


def test_an_answer_before_the_request_is_whole_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(Saying):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    monkeypatch.setattr(load, "_PATIENCE", 1.0)
    work = Work("more than the kernel holds", 20_000_000, None)
    requests = Requests(work, [bytes(work.size)])
    answer = b"ICAP/1.0 204 No Content\r\n\r\n"
    with serving(lambda: Hasty(answer)) as port, pytest.raises(WrongAnswerError, match="whole"):
        load.run(port, work, 60, connections=1, requests=requests)


def test_an_answer_that_never_comes_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_PATIENCE", 0.2)
    with serving(Silent) as port, pytest.raises(TimeoutError):
        load.run(port, SMALL, 60)
