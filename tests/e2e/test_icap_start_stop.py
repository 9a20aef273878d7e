"""The ICAP door's start where it cannot, and its stop while clients are there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from bridge.emulator import Emulator
from tests.support.icap_door import connect, read_all, respmod_head
from tests.support.katabridge import Site
from tests.support.processes import Program, module, wait_until

Keep = Callable[[Program], Program]


def test_a_stop_tells_a_proxy_whose_body_never_came(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"5\r\nab")
        time.sleep(0.2)
        icapd.process.terminate()
        assert read_all(sock).startswith(b"ICAP/1.0 408 ")
    assert [record["outcome"] for record in site.records()] == ["error"]


def test_a_flood_from_a_client_that_is_gone_delays_no_stop(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as greedy:
        greedy.sendall(b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n" * 60_000)
    begin = time.monotonic()
    icapd.stop()
    assert time.monotonic() - begin < 12


def test_a_stop_lets_a_held_request_end(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"1d\r\n#kata state=detect delay=0.9\n\r\n0\r\n\r\n")
        time.sleep(0.3)
        icapd.process.terminate()
        assert b"HTTP/1.1 403" in read_all(sock)
    assert icapd.stop() == 0
    assert [record["outcome"] for record in site.records()] == ["detect"]


def test_a_stop_does_not_wait_for_a_slow_kata(kata: Emulator, site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"0f\r\n#kata delay=60\n\r\n0\r\n\r\n")
        wait_until(lambda: kata.memory.scans, "it is at KATA")
        assert icapd.stop() == 0
        assert b"HTTP/1.1 403" in read_all(sock), "the user is told"
    (record,) = site.records()
    assert (record["outcome"], record["decision"]) == ("unavailable", "block")
    assert len(kata.memory.scans) == 1, "its verdict is there for the next start"


def test_an_idle_connection_is_closed_in_silence_by_a_stop(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        wait_until(lambda: icapd.process.poll() is None, "it runs")
        sock.sendall(b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n")
        assert sock.recv(65536).startswith(b"ICAP/1.0 200")
        icapd.process.terminate()
        assert read_all(sock) == b""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"logs": {"dir": "client.pem/log"}}, "(logs.dir)."),
        ({"spool": {"dir": "client.pem"}}, "(spool.dir)."),
    ],
)
def test_what_cannot_start_is_one_sentence(
    site: Site, change: dict[str, Any], sentence: str
) -> None:
    site.changes = change
    program = Program([*module("icapd.cli"), "--config", site.config], site.directory / "out.txt")
    assert program.process.wait(20) == 1
    (line,) = program.output().splitlines()
    assert line.startswith("icapd: ")
    assert line.endswith(sentence)


def test_a_taken_port_is_one_sentence(site: Site) -> None:
    with socket.create_server(("127.0.0.1", site.icap_port)):
        command = [*module("icapd.cli"), "--config", site.config]
        program = Program(command, site.directory / "out.txt")
        assert program.process.wait(20) == 1
    assert program.output() == (
        f"icapd: cannot listen on 127.0.0.1:{site.icap_port} (icap.listen): "
        "it is taken by another program.\n"
    )
