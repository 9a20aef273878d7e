"""Every call to KATA has a total deadline, whatever the other side does or does not do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.core import Core, OutcomeKind
from bridge.core.kata import client as kata_client
from bridge.core.kata.poller import Scan
from bridge.core.kata.wire import Answer
from bridge.emulator import Emulator
from tests.support.certificates import put_certificate
from tests.support.judging import judge, make_item, with_core
from tests.support.katabridge import Site
from tests.support.processes import wait_until


class Hole:
    """A TLS server whose connections are handled by `behave`, in threads."""

    def __init__(self, folder: Path) -> None:
        put_certificate(folder / "h.pem", folder / "h.key", "hole")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "h.pem", folder / "h.key")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self.behave: Callable[[ssl.SSLSocket], None] = lambda sock: None
        self.ended = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(sock,), daemon=True).start()

    def _handle(self, raw: socket.socket) -> None:
        try:
            with self._context.wrap_socket(raw, server_side=True) as sock:
                self.behave(sock)
        except OSError:
            pass
        finally:
            raw.close()
            self.ended += 1

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hole]:
    monkeypatch.setattr(kata_client, "_STATE_SECONDS", 0.5)
    monkeypatch.setattr(kata_client, "_UPLOAD_BASE_SECONDS", 0.5)
    monkeypatch.setattr(kata_client, "_UPLOAD_BYTES_PER_SECOND", 1 << 30)
    running = Hole(tmp_path)
    yield running
    running.close()


def site_of(hole: Hole, folder: Path) -> Site:
    return Site(folder / "site", hole.url, folder / "h.pem")


def drip(sock: ssl.SSLSocket) -> None:
    """An answer of a byte now and then, each in time for a socket's own limit."""
    sock.recv(65536)
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1000:
        sock.sendall(bytes([byte]))
        time.sleep(0.05)


def silent(sock: ssl.SSLSocket) -> None:
    """Takes everything and says nothing."""
    while sock.recv(65536):
        pass


def deaf(sock: ssl.SSLSocket) -> None:
    """Takes nothing, so that an upload stops in the middle."""
    time.sleep(5)


@pytest.mark.parametrize("behave", [silent, drip])
def test_the_state_call(
    hole: Hole, tmp_path: Path, behave: Callable[[ssl.SSLSocket], None]
) -> None:
    hole.behave = behave

    async def work(core: Core) -> None:
        result = await core._client.states(hole.url)
        assert result.answer is Answer.UNREACHABLE
        assert result.states is None

    with_core(site_of(hole, tmp_path), work)
    wait_until(lambda: hole.ended, "the connection was cut")


@pytest.mark.parametrize("behave", [silent, drip, deaf])
def test_an_upload_and_its_body_is_freed(
    hole: Hole, tmp_path: Path, behave: Callable[[ssl.SSLSocket], None]
) -> None:
    hole.behave = behave

    async def work(core: Core) -> None:
        item = await make_item(core, b"x" * 5_000_000)
        result = await core._client.submit(hole.url, "1", item)
        item.body.release()
        assert result.answer is Answer.UNREACHABLE
        async with asyncio.timeout(30):
            while core.spool.disk_used:  # the thread tells nobody
                await asyncio.sleep(0.01)

    with_core(site_of(hole, tmp_path), work)


def test_a_central_node_that_hangs_delays_no_other(
    hole: Hole, kata: Emulator, tmp_path: Path
) -> None:
    hole.behave = silent
    both = tmp_path / "both.pem"
    both.write_bytes(kata.certificate.read_bytes() + (tmp_path / "h.pem").read_bytes())
    site = Site(tmp_path / "site", kata.url, kata.certificate)
    site.changes = {
        "kata": {"urls": [hole.url, kata.url], "server_ca": str(both), "server_fingerprint": None},
    }

    async def work(core: Core) -> None:
        hanging = asyncio.create_task(core._client.states(hole.url))
        await asyncio.sleep(0.05)
        assert (await core._client.states(kata.url)).answer is Answer.OK
        assert not hanging.done()
        await hanging

    with_core(site, work)


def test_a_central_node_whose_states_hang_delays_no_verdict_of_another(
    hole: Hole, kata: Emulator, tmp_path: Path
) -> None:
    def accepts_and_hangs(sock: ssl.SSLSocket) -> None:
        if sock.recv(65536).startswith(b"POST"):
            sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        silent(sock)

    hole.behave = accepts_and_hangs
    both = tmp_path / "both.pem"
    both.write_bytes(kata.certificate.read_bytes() + (tmp_path / "h.pem").read_bytes())
    site = Site(tmp_path / "site", kata.url, kata.certificate)
    site.changes = {
        "kata": {"urls": [hole.url, kata.url], "server_ca": str(both), "server_fingerprint": None},
    }

    async def work(core: Core) -> None:
        # a scan at the node that hangs, as if it had been accepted before
        now = asyncio.get_running_loop().time()
        core._poller.watch(Scan("1", hole.url, now, 1))
        await asyncio.sleep(0.4)
        outcome, _ = await asyncio.wait_for(judge(core, b"x"), 5)
        assert outcome.kind is OutcomeKind.NOT_DETECTED

    with_core(site, work)


def test_the_deadline_of_an_upload_does_not_count_its_place_in_the_queue(
    hole: Hole, tmp_path: Path
) -> None:
    def slow(sock: ssl.SSLSocket) -> None:
        while sock.recv(65536):
            time.sleep(0.2)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

    hole.behave = slow
    site = site_of(hole, tmp_path)
    site.changes = {"kata": {"connections": 1}}

    async def work(core: Core) -> None:
        items = [await make_item(core, b"%d" % n) for n in range(6)]
        uploads = [core._client.submit(hole.url, str(n), item) for n, item in enumerate(items)]
        results = await asyncio.gather(*uploads)
        assert [result.answer for result in results] == [Answer.OK] * 6
        for item in items:
            item.body.release()

    with_core(site, work)


def test_uploads_into_a_black_hole_delay_no_state_call(hole: Hole, tmp_path: Path) -> None:
    calls: list[float] = []

    def mixed(sock: ssl.SSLSocket) -> None:
        request = sock.recv(65536)
        if request.startswith(b"GET"):
            if b"/scans/state" in request:
                calls.append(time.monotonic())
            sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            silent(sock)

    hole.behave = mixed

    async def work(core: Core) -> None:
        items = [await make_item(core, b"%d" % n) for n in range(40)]
        uploads = [
            asyncio.create_task(core._client.submit(hole.url, str(n), item))
            for n, item in enumerate(items)
        ]
        await asyncio.sleep(0.1)
        result = await core._client.states(hole.url)
        assert result.answer is Answer.OK
        assert not any(task.done() for task in uploads), "the uploads had ended already"
        await asyncio.gather(*uploads)
        for item in items:
            item.body.release()

    with_core(site_of(hole, tmp_path), work)
    assert len(calls) == 1
