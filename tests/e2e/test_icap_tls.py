"""ICAP over TLS: served like any other, and no place for those who do not get that far."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.core import Core, Door, LineLog
from bridge.emulator import EICAR
from icapd.server import IcapServer
from tests.e2e.test_icap_access import Counted
from tests.support.certificates import Authority
from tests.support.katabridge import Site, deep_merge
from tests.support.origin import content
from tests.support.processes import Program, free_port, module, wait_until

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"
OPTIONS = b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n"


def respmod(body: bytes, *fields: bytes) -> bytes:
    """A whole request with its body in one chunk."""
    lines = [b"RESPMOD icap://h/av/respmod ICAP/1.0", *fields]
    lines.append(b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d" % (len(GET), len(GET + OK)))
    head = b"\r\n".join(lines) + b"\r\n\r\n" + GET + OK
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


class Secure:
    """An ICAP door with a TLS port, and what its clients need."""

    def __init__(self, site: Site, folder: Path, *, clients: bool = False) -> None:
        self.port = free_port()
        self.authority = Authority(folder / "ca", "test-ca")
        certificate, key = self.authority.issue("icapd")
        tls = {"listen": [f"127.0.0.1:{self.port}"], "cert": str(certificate), "key": str(key)}
        if clients:
            tls["client_ca"] = str(self.authority.certificate)
        site.changes = deep_merge(site.changes, {"icap": {"tls": tls}})

    def context(self, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        """What a client uses that trusts the door."""
        context = ssl.create_default_context(cafile=self.authority.certificate)
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context

    def plain(self) -> socket.socket:
        """A connection without a handshake."""
        return socket.create_connection(("127.0.0.1", self.port), 20)

    def connect(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A connection whose handshake is done, as far as the client knows."""
        sock = self.plain()
        try:
            return (context or self.context()).wrap_socket(sock, server_hostname="127.0.0.1")
        except BaseException:
            sock.close()
            raise


@pytest.fixture
def secure(site: Site, tmp_path: Path) -> Secure:
    return Secure(site, tmp_path)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server closes in good order."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def answer(sock: socket.socket) -> bytes:
    """An answer without a body."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        piece = sock.recv(65536)
        assert piece, "the server closed the connection"
        data += piece
    return data


# -- what is served -------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", ["whole", "byte by byte"])
def test_requests_over_tls(site: Site, secure: Secure, started: Keep, pieces: str) -> None:
    icapd = started(site.start_icapd())
    with secure.connect() as sock:

        def send(message: bytes) -> None:
            step = len(message) if pieces == "whole" else 1
            for at in range(0, len(message), step):
                sock.sendall(message[at : at + step])

        send(OPTIONS)
        assert answer(sock).startswith(b"ICAP/1.0 200 ")
        send(respmod(b"clean", b"Allow: 204"))
        assert answer(sock).startswith(b"ICAP/1.0 204 ")
        send(respmod(EICAR, b"Allow: 204", b"Connection: close"))
        said = read_all(sock)
        assert b"HTTP/1.1 403 " in said
        assert said.endswith(b"\r\n0\r\n\r\n")
    assert [record["outcome"] for record in site.wait_records(2)] == ["not_detected", "detect"]
    assert f"with TLS on 127.0.0.1:{secure.port};" in icapd.output()


def test_a_large_body_over_tls_comes_back_whole(site: Site, secure: Secure, started: Keep) -> None:
    started(site.start_icapd())
    body = content(8_000_000, 3)
    with secure.connect() as sock:
        sock.sendall(respmod(body, b"Connection: close"))
        said = read_all(sock)
    assert dechunk(said[said.index(OK) + len(OK) :]) == body


def dechunk(data: bytes) -> bytes:
    body: list[bytes] = []
    at = 0
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end], 16)
        if not size:
            return b"".join(body)
        body.append(data[end + 2 : end + 2 + size])
        at = end + 4 + size


def test_tls_alone(site: Site, secure: Secure, started: Keep) -> None:
    site.changes["icap"]["listen"] = []
    settings_port, site.icap_port = site.icap_port, secure.port  # where it is waited for
    started(site.start_icapd())
    with secure.connect() as sock:
        sock.sendall(OPTIONS)
        assert answer(sock).startswith(b"ICAP/1.0 200 ")
    with socket.socket() as plain:
        assert plain.connect_ex(("127.0.0.1", settings_port)), "the plain port is open"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_both_event_loops(site: Site, secure: Secure, loop: str) -> None:
    async def main() -> bytes:
        settings = site.settings()
        log = LineLog(settings.logs.dir / "x.log")
        async with Core(settings, Door.ICAP) as core:
            door = IcapServer(core, log)
            await door.start()
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", secure.port, ssl=secure.context()
            )
            writer.write(respmod(content(2_000_000, 1), b"Connection: close"))
            said = await reader.read()
            writer.close()
            await door.stop()
        log.close()
        return said

    if loop == "uvloop":
        uvloop = pytest.importorskip("uvloop")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            said = runner.run(main())
    else:
        said = asyncio.run(main())
    assert dechunk(said[said.index(OK) + len(OK) :]) == content(2_000_000, 1)


def test_a_reload_during_the_handshake_counts_for_the_connection(
    site: Site, secure: Secure
) -> None:
    head = OPTIONS[:-2] + b"X-Pad: " + b"a" * 3000 + b"\r\n\r\n"

    async def main() -> bytes:
        settings = site.settings()
        async with Core(settings, Door.ICAP) as core:
            door = IcapServer(core, LineLog(site.directory / "log" / "log-verdict.log"))
            await door.start()
            assert door._tls is not None
            reader, writer = await asyncio.open_connection("127.0.0.1", secure.port)
            while not door._tls._greeted:
                await asyncio.sleep(0.01)
            site.changes = deep_merge(
                site.changes, {"icap": {"limits": {"head": "1KiB"}, "times": {"idle": "7s"}}}
            )
            door.prepare(site.settings())()
            await writer.start_tls(secure.context(), server_hostname="127.0.0.1")
            while not door._open:
                await asyncio.sleep(0.01)
            assert [channel.times.idle for channel in door._open] == [7.0]
            writer.write(head)
            said = await reader.read()
            writer.close()
            await door.stop()
        return said

    assert asyncio.run(asyncio.wait_for(main(), 30)).startswith(b"ICAP/1.0 400 ")


# -- who is turned away ---------------------------------------------------------------------------


def old_context(secure: Secure) -> ssl.SSLContext:
    context = secure.context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def refused(secure: Secure, context: ssl.SSLContext) -> None:
    """The client finds out at the handshake, or (TLS 1.3) when it first reads."""
    with pytest.raises((OSError, EOFError)), secure.connect(context) as sock:
        sock.sendall(OPTIONS)
        if not sock.recv(65536):
            raise EOFError


def test_tls_1_1_is_refused(site: Site, secure: Secure, started: Keep) -> None:
    door = Counted(site, started)
    refused(secure, old_context(secure))
    wait_until(lambda: "TLS handshake failed: " in door.program.output(), "the line")
    assert "proxy 127.0.0.1: the TLS handshake failed: unsupported protocol" in (
        door.program.output()
    )
    assert door.figures("katabridge_icap_refused_total") == {'reason="handshake"': 1}


def test_client_certificates(site: Site, tmp_path: Path, started: Keep) -> None:
    secure = Secure(site, tmp_path, clients=True)
    icapd = started(site.start_icapd())
    refused(secure, secure.context())
    wait_until(lambda: "did not return a certificate" in icapd.output(), "it says what is missing")
    wrong = Authority(tmp_path / "other", "other-ca").issue("proxy")
    refused(secure, secure.context(wrong))
    wait_until(lambda: "its certificate is not accepted" in icapd.output(), "it says what is wrong")
    old = secure.authority.issue("old", -timedelta(days=2), -timedelta(days=1))
    refused(secure, secure.context(old))
    expired = "(certificate has expired: it, or the CA in icap.tls.client_ca)"
    wait_until(lambda: expired in icapd.output(), "it says what may have expired")
    with secure.connect(secure.context(secure.authority.issue("proxy"))) as sock:
        sock.sendall(OPTIONS)
        assert answer(sock).startswith(b"ICAP/1.0 200 ")


def test_plain_bytes_at_the_tls_port(site: Site, secure: Secure, started: Keep) -> None:
    door = Counted(site, started)
    with secure.plain() as sock:
        sock.sendall(OPTIONS)
        with contextlib.suppress(ConnectionResetError):
            assert b"ICAP" not in read_all(sock)
    wait_until(lambda: "the TLS handshake failed" in door.program.output(), "the line")
    assert door.program.output().count("handshake") == 1
    wait_until(lambda: not door.figures("katabridge_icap_connections"), "its place is free")


def test_tls_bytes_at_the_plain_port(site: Site, secure: Secure, started: Keep) -> None:
    started(site.start_icapd())
    with socket.create_connection(("127.0.0.1", site.icap_port), 20) as sock:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        hello = secure.context().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        with pytest.raises(ssl.SSLWantReadError):
            hello.do_handshake()
        sock.sendall(outgoing.read())
        assert read_all(sock).startswith(b"ICAP/1.0 400 ")


def test_a_silent_peer_has_a_place_for_the_handshake_time_only(
    site: Site, secure: Secure, started: Keep
) -> None:
    door = Counted(site, started, max_connections=2, times={"handshake": "1s"})
    with secure.plain() as one, secure.plain() as two:
        two.sendall(b"\x16")  # as if a handshake began
        wait_until(
            lambda: door.figures("katabridge_icap_connections") == {"": 2}, "both are counted"
        )
        assert door.ask(OPTIONS).startswith(b"ICAP/1.0 503 ")
        for sock in (one, two):
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""
        wait_until(lambda: not door.figures("katabridge_icap_connections"), "their places are free")
        assert door.ask(OPTIONS).startswith(b"ICAP/1.0 200 ")
    assert "it was not complete within icap.times.handshake" in door.program.output()
    assert door.figures("katabridge_icap_refused_total")['reason="handshake"'] == 2


def test_past_the_limit_503_is_said_over_tls(site: Site, secure: Secure, started: Keep) -> None:
    Counted(site, started, max_connections=1)
    with secure.connect() as one:
        one.sendall(OPTIONS)
        assert answer(one).startswith(b"ICAP/1.0 200 ")
        with secure.connect() as two:
            two.sendall(OPTIONS)
            assert read_all(two).startswith(b"ICAP/1.0 503 ")


def test_strangers_get_no_handshake(site: Site, secure: Secure, started: Keep) -> None:
    door = Counted(site, started, allow_from=["10.0.0.0/8"])
    before = door.figures("katabridge_icap_refused_total")['reason="address"']
    with pytest.raises(OSError, match=r"."):
        secure.connect()
    assert door.figures("katabridge_icap_refused_total") == {'reason="address"': before + 1}
    assert "handshake" not in door.program.output()


def test_a_scan_of_the_port_fills_no_log(site: Site, secure: Secure, started: Keep) -> None:
    door = Counted(site, started)
    for _ in range(60):
        with secure.plain() as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                read_all(sock)
    wait_until(
        lambda: door.figures("katabridge_icap_refused_total") == {'reason="handshake"': 60},
        "all are counted",
    )
    assert door.program.output().count("handshake failed") == 5


# -- the end --------------------------------------------------------------------------------------


def test_an_early_answer_during_a_big_body_arrives_whole(
    site: Site, secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a client that reads nothing before it has sent all, past the time the rest is read for."""
    from icapd import server, stream

    monkeypatch.setattr(stream, "_LINGER_SECONDS", 60)
    monkeypatch.setattr(server, "_LOOK_SECONDS", 0.05)
    site.changes = deep_merge(
        site.changes,
        {
            "kata": {"max_object_size": "64KiB"},
            "icap": {"policy": {"oversize": "block"}, "times": {"body": "300ms"}},
        },
    )
    message = respmod(b"x" * 100_000, b"Connection: close")
    with running(site), secure.connect() as sock:
        sock.sendall(message[:90_000])
        for at in range(90_000, len(message), 200):
            sock.sendall(message[at : at + 200])
            time.sleep(0.02)
        said = read_all(sock)
    assert b"HTTP/1.1 403 " in said
    assert said.endswith(b"\r\n0\r\n\r\n")


def test_who_waits_for_the_close_gets_it_at_once(
    site: Site, secure: Secure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that does nothing before the close, in a server that would linger for ever."""
    from icapd import stream

    monkeypatch.setattr(stream, "_LINGER_SECONDS", 60)
    with running(site) as stop:
        with secure.connect() as sock:
            sock.sendall(OPTIONS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert read_all(sock).startswith(b"ICAP/1.0 200 ")
        with secure.connect() as sock:  # refused before its body was read
            sock.sendall(respmod(b"x" * 10_000).replace(b"av/respmod", b"nothing"))
            assert read_all(sock).startswith(b"ICAP/1.0 404 ")
        stop()


@contextlib.contextmanager
def running(site: Site) -> Iterator[Callable[[], None]]:
    """The door in a thread of this process; what is given stops it."""
    settings, ready = site.settings(), threading.Event()
    state: dict[str, Any] = {}

    async def main() -> None:
        state["loop"], state["stop"] = asyncio.get_running_loop(), asyncio.Event()
        log = LineLog(settings.logs.dir / "x.log")
        async with Core(settings, Door.ICAP) as core:
            door = IcapServer(core, log)
            await door.start()
            ready.set()
            await state["stop"].wait()
            await door.stop()
        log.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(20)

    def stop() -> None:
        state["loop"].call_soon_threadsafe(state["stop"].set)

    try:
        yield stop
    finally:
        stop()
        thread.join(30)


def test_a_stop_with_open_tls_connections(site: Site, secure: Secure, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with secure.connect() as idle, secure.connect() as held, secure.plain() as silent:
        idle.sendall(OPTIONS)
        assert answer(idle).startswith(b"ICAP/1.0 200 ")
        held.sendall(respmod(b"#kata state=detect delay=0.9\n"))
        wait_until(lambda: icapd.connections(secure.port) == 3, "all are connected")
        icapd.process.terminate()
        assert read_all(idle) == b""
        assert b"HTTP/1.1 403 " in read_all(held)
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(1) == b""
    assert icapd.stop() == 0
    assert "cut off by the stop" not in icapd.output()


def test_a_client_that_answers_no_close_is_not_kept(
    site: Site, secure: Secure, started: Keep
) -> None:
    door = Counted(site, started, times={"idle": "500ms"})
    with secure.connect() as sock:
        sock.sendall(OPTIONS)
        assert answer(sock).startswith(b"ICAP/1.0 200 ")
        wait_until(
            lambda: not door.figures("katabridge_icap_connections"), "it is closed, unread", 8
        )


def test_a_taken_tls_port_is_one_sentence(site: Site, secure: Secure) -> None:
    with socket.create_server(("127.0.0.1", secure.port)):
        command = [*module("icapd.cli"), "--config", site.config]
        program = Program(command, site.directory / "out.txt")
        assert program.process.wait(20) == 1
    assert program.output() == (
        f"icapd: cannot listen on 127.0.0.1:{secure.port} (icap.tls.listen): "
        "it is taken by another program.\n"
    )


def test_a_record_of_tls_that_is_damaged_is_said(site: Site, secure: Secure, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with secure.connect() as sock:
        sock.sendall(OPTIONS)
        answer(sock)
        with socket.socket(fileno=socket.dup(sock.fileno())) as below:
            below.send(b"\x17\x03\x03\x00\x40" + b"Z" * 64)
            wait_until(lambda: "its TLS broke: " in icapd.output(), "a line of the log")
