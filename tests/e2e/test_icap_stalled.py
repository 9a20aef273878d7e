"""Proxies that stop in the middle of a body, and proxies that go away."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import pytest

from bridge.emulator import EICAR
from icapd.protocol import HttpHead
from tests.support.icap_door import OK, PUT, connect, dechunk, read_all, respmod_head
from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program, wait_until
from tests.support.shared_doors import SharedDoors

Keep = Callable[[Program], Program]


def stalling(site: Site, total: int, first: int) -> tuple[socket.socket, bytes]:
    """A proxy that stops after `first` of `total` bytes until it is sent something."""
    body = content(total, 9)
    sock = connect(site)
    sock.sendall(respmod_head(head=OK) + b"%x\r\n%b\r\n" % (first, body[:first]))
    return sock, body


def test_a_stalled_body_is_freed_by_the_head_and_then_a_byte_each_time(doors: SharedDoors) -> None:
    site = doors()
    sock, body = stalling(site, 200_000, 70_000)
    with sock:
        got = sock.recv(65536)
        assert got.startswith(b"ICAP/1.0 200 OK\r\n")
        head = HttpHead(got.partition(b"\r\n\r\n")[2])
        assert head.field("x-origin") == "yes"
        assert head.field("etag") is None, "a cut download could be resumed"
        for n in range(3):
            more = body[70_000 + n * 40_000 : 110_000 + n * 40_000]
            sock.sendall(b"9c40\r\n%b\r\n" % more)
            assert sock.recv(65536) == b"1\r\n%b\r\n" % body[n : n + 1]
        sock.settimeout(1)
        with pytest.raises(TimeoutError):
            sock.recv(1)  # without progress nothing more is given
        sock.settimeout(20)
        rest = body[190_000:]
        sock.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(rest), rest))
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)
    assert dechunk(answer) == body[3:]
    assert [record["outcome"] for record in site.records()] == ["not_detected"]


def test_a_stalled_body_ends_with_the_clients_own_copy_where_it_offers_one(
    site: Site, started: Keep
) -> None:
    site.changes = {"icap": {"policy": {"unavailable": "pass"}}}
    started(site.start_icapd())
    body = content(90_000, 9)
    with connect(site) as sock:
        sock.sendall(respmod_head(b"Allow: 204, 206") + b"%x\r\n%b\r\n" % (70_000, body[:70_000]))
        got = sock.recv(65536)
        assert got.startswith(b"ICAP/1.0 206 Partial Content\r\n")
        head = HttpHead(got.partition(b"\r\n\r\n")[2])
        assert head.field("etag") is None
        assert head.field("via") == "ICAP/1.0 test (katabridge)"
        assert head.field("cache-control") == "no-store", "it may yet pass without a verdict"
        sock.sendall(b"4e20\r\n%b\r\n0\r\n\r\n" % body[70_000:])
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"0; use-original-body=0\r\n\r\n"
    assert [record["outcome"] for record in site.records()] == ["not_detected"]


def test_a_stalled_body_that_turns_out_bad_is_cut(site: Site, icapd: Program) -> None:
    sock, body = stalling(site, 70_000, 70_000)
    with sock:
        got = sock.recv(65536)
        assert got.startswith(b"ICAP/1.0 200 OK\r\n")
        sock.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(EICAR), EICAR))
        with contextlib.suppress(ConnectionResetError):
            got += read_all(sock)
    assert not got.endswith(b"0\r\n\r\n")
    assert len(got) < 1000
    assert body[:100] not in got
    assert [record["decision"] for record in site.wait_records(1)] == ["block"]
    assert "its download is cut" in icapd.output()


def test_an_upload_is_never_begun_before_its_verdict(doors: SharedDoors) -> None:
    site = doors()
    with connect(site) as sock:
        head = b"REQMOD icap://h/av/reqmod ICAP/1.0\r\nEncapsulated: req-hdr=0, req-body=%d\r\n\r\n"
        sock.sendall(head % len(PUT) + PUT + b"%x\r\n%b\r\n" % (70_000, b"x" * 70_000))
        sock.settimeout(1.0)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert [record["outcome"] for record in site.wait_records(1)] == ["error"]


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_proxy_that_leaves_in_mid_body_leaves_a_record_and_nothing_else(
    doors: SharedDoors, size: int
) -> None:
    site = doors()
    icapd, kata = site.program, site.kata
    spool = site.directory / "spool" / "test.icap.0"
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"%x\r\n" % (size * 2) + b"x" * size)
        if size > 500_000:
            wait_until(lambda: icapd.open_below(spool), "the spool file is open")
    wait_until(site.records, "the record")
    (record,) = site.records()
    assert (record["outcome"], record["decision"]) == ("error", "block")
    assert kata.memory.calls["submit"] == 0
    wait_until(lambda: not list(spool.iterdir()), "the spool file is gone", 2)
    wait_until(lambda: not icapd.open_below(spool), "its descriptor is given back", 2)
    wait_until(lambda: not icapd.connections(site.icap_port), "the connection is closed", 2)


def test_a_proxy_that_leaves_while_its_body_is_judged(doors: SharedDoors) -> None:
    site = doors()
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"1d\r\n#kata state=detect delay=0.5\n\r\n0\r\n\r\n")
        time.sleep(0.2)
    wait_until(site.records, "the record")
    assert [record["outcome"] for record in site.records()] == ["detect"]
