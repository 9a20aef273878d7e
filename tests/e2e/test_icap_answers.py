"""What follows an answer: who is cut, what is said of it, and who is waited for."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable

import pytest

from icapd.client import IcapClient
from tests.e2e.test_icap_access import Counted
from tests.support.katabridge import Site
from tests.support.processes import Program, wait_until
from tests.support.seeds import GET, OK, respmod
from tests.support.shared_doors import SharedDoors

Keep = Callable[[Program], Program]
HEAD = respmod(b"")


def connect(site: Site, source: str = "127.0.0.1", receive: int | None = None) -> socket.socket:
    sock = socket.socket()
    sock.settimeout(20)
    if receive is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", site.icap_port))
    return sock


def log_line(icapd: Program, what: str) -> str:
    """The line of the log that holds `what`."""
    wait_until(lambda: what in icapd.output(), f"{what!r} in the log")
    return next(line for line in icapd.output().splitlines() if what in line)


def test_what_a_client_does_not_take_is_cut_and_said(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"times": {"write": "1s"}}, "kata": {"max_object_size": "64KiB"}}
    icapd = started(site.start_icapd())
    body = b"x" * 12_000_000
    with connect(site, receive=4096) as sock:
        sock.sendall(HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        line = log_line(
            icapd, "took nothing of its answer within icap.times.write; its answer is cut"
        )
    (record,) = site.wait_records(1)
    assert f"(case {record['case']})" in line


def test_a_client_that_takes_little_gets_all(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"times": {"write": "1s"}}, "kata": {"max_object_size": "64KiB"}}
    started(site.start_icapd())
    body = b"x" * 8_000_000
    with connect(site, receive=1 << 16) as sock:
        sock.sendall(HEAD + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        got = 0
        for _ in range(25):  # far longer than times.write for what the kernel holds
            got += len(sock.recv(40_000))
            time.sleep(0.2)
        while got < len(body):
            piece = sock.recv(1 << 20)
            assert piece, f"cut after {got} bytes"
            got += len(piece)


def test_an_answer_that_waits_for_the_body_is_cut_and_said(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"times": {"body": "1s"}}, "kata": {"max_object_size": "64KiB"}}
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        sock.sendall(HEAD + b"%x\r\n%b\r\n" % (100_000, b"x" * 100_000))
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(65536):
                pass
    line = log_line(icapd, "sent nothing of a body for icap.times.body; its answer is cut")
    (record,) = site.records()
    assert f"(case {record['case']})" in line


def test_a_body_that_breaks_the_protocol_is_recorded_with_its_fault(doors: SharedDoors) -> None:
    site = doors()
    with connect(site) as sock:
        sock.sendall(HEAD + b"-5\r\n")
        refusal = sock.recv(4096)
    assert refusal.startswith(b"ICAP/1.0 400 ")
    assert b"\r\nX-Response-Info: A chunk size is malformed.\r\n" in refusal
    assert site.program.process.poll() is None
    (record,) = site.records()
    log = (site.directory / "log" / "preprocessor_icap.log").read_text()
    verdict = next(line for line in log.splitlines() if record["case"] in line)
    assert verdict.endswith("the proxy broke the protocol: A chunk size is malformed.")


def test_who_goes_on_sending_behind_a_pass_is_not_cut(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"times": {"body": "1s"}}, "exclusions": [{"host": "a"}]}
    started(site.start_icapd())
    with connect(site) as sock:
        sock.sendall(respmod(b"", b"Allow: 204"))
        assert sock.recv(4096).startswith(b"ICAP/1.0 204 ")
        for _ in range(12):  # longer than times.body in all, never as silent
            sock.sendall(b"2\r\nab\r\n")
            time.sleep(0.2)
        sock.sendall(b"0\r\n\r\nOPTIONS icap://h/ ICAP/1.0\r\n\r\n")
        assert sock.recv(4096).startswith(b"ICAP/1.0 200 ")


def test_who_goes_on_sending_behind_a_page_is_cut_in_the_end(site: Site, started: Keep) -> None:
    site.changes = {
        "icap": {"times": {"body": "1s"}, "policy": {"oversize": "block"}},
        "kata": {"max_object_size": "64KiB"},
    }
    started(site.start_icapd())
    with connect(site) as sock, pytest.raises(OSError):
        sock.sendall(HEAD + b"%x\r\n%b\r\n" % (100_000, b"x" * 100_000))
        for _ in range(100):
            sock.sendall(b"2\r\nab\r\n")
            time.sleep(0.1)


def test_a_reader_gets_what_is_here_though_nothing_more_is_sent(site: Site, started: Keep) -> None:
    site.changes = {"kata": {"max_object_size": "64KiB"}}
    icapd = started(site.start_icapd())
    body = b"x" * 12_000_000
    with connect(site, receive=4096) as sock:
        sock.sendall(HEAD + b"%x\r\n%b\r\n" % (len(body), body))
        spool = site.directory / "spool"
        wait_until(lambda: icapd.open_below(spool), "what the client does not take is in the spool")
        got = 0
        while got < len(body):
            got += len(sock.recv(1 << 20))


def test_options_names_no_more_connections_than_one_proxy_gets(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"max_connections_per_client": 7}}
    started(site.start_icapd())
    with IcapClient("127.0.0.1", site.icap_port) as client:
        assert client.options("av/respmod").fields["max-connections"] == "7"


def test_strangers_take_no_proxys_word_away(site: Site, started: Keep) -> None:
    door = Counted(
        site, started, max_connections=1, allow_from=["127.0.0.1/32"], times={"idle": "60s"}
    )
    with contextlib.ExitStack() as open_now:
        open_now.enter_context(door.connect())
        wait_until(lambda: door.figures("katabridge_icap_connections"), "the place is taken")
        for _ in range(150):
            open_now.enter_context(door.connect("127.0.0.9"))
        assert door.ask(b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n").startswith(b"ICAP/1.0 503 ")
        assert door.ask(b"BAD\r\n\r\n").startswith(b"ICAP/1.0 503 ")


def test_half_a_head_is_waited_for_by_a_stop(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        sock.sendall(b"OPTIONS icap://h/ ICAP/1.0\r\nHo")
        time.sleep(0.3)  # it has arrived, or the answer would come as well
        icapd.process.terminate()
        wait_until(lambda: "icapd stops" in icapd.output(), "the stop has begun")
        sock.sendall(b"st: h\r\n\r\n")
        answer = sock.recv(4096)
    assert answer.startswith(b"ICAP/1.0 200 ")
    assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize("length", [b"", b"Transfer-Encoding: chunked\r\n"])
def test_a_response_without_a_length_has_a_body_that_was_withheld(
    site: Site, icapd: Program, length: bytes
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/zip\r\n" + length + b"\r\n"
    message = b"RESPMOD icap://h/av/respmod ICAP/1.0\r\nAllow: 204\r\n"
    message += b"Encapsulated: req-hdr=0, res-hdr=%d, null-body=%d\r\n\r\n"
    message = message % (len(GET), len(GET + head)) + GET + head
    with connect(site) as sock:
        for _ in range(30):
            sock.sendall(message)
            assert b"HTTP/1.1 403 " in sock.recv(65536)
    assert [each["outcome"] for each in site.records()] == ["unavailable"] * 30
    said = icapd.output().count("the proxy withholds the body")
    assert 1 <= said <= 10, "each is recorded, but not each is a line of the log"
    assert OK not in message
