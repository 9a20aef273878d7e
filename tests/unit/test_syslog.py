"""That a SIEM gets every line, in order, whatever becomes of the collector, the disk and us."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.core.quoting import quoted
from bridge.core.siem import Origin, SyslogSender, SyslogTarget, parse_syslog_url
from bridge.core.siem import buffer as buffer_module
from bridge.core.siem import connection as connection_module
from bridge.core.siem import syslog as syslog_module
from bridge.core.siem.buffer import LineBuffer
from bridge.core.siem.connection import Connection, connect
from bridge.core.siem.message import UDP_BYTES, datagram, format_message, frame
from bridge.core.siem.queue import DiskQueue, QueueError
from tests.support.certificates import put_certificate
from tests.support.collector import Collector, text_of
from tests.support.processes import free_port, wait_until

KILLED = """
import os, signal, sys, time
from pathlib import Path
from bridge.core.siem import SyslogSender, parse_syslog_url
sender = SyslogSender(parse_syslog_url(sys.argv[1]), Path(sys.argv[2]))
for number in range(200):
    sender.send(f"line {number}")
while sender._queue.count < 200:
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""

Start = Callable[..., SyslogSender]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon: what is tested is that it tries, not how patiently."""
    monkeypatch.setattr(syslog_module, "_MAX_BACKOFF", 0.05)
    monkeypatch.setattr(buffer_module, "_RETRY_SECONDS", 0.05)


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Start]:
    """`start("tcp")`: a sender to the port; closed after the test."""
    senders = []

    def new(scheme: str = "tcp", **options: Any) -> SyslogSender:
        target = SyslogTarget(scheme, "127.0.0.1", port)
        senders.append(SyslogSender(target, tmp_path / "queue", **options))
        return senders[-1]

    yield new
    for sender in senders:
        sender.close(0.1)


@pytest.fixture
def collect(port: int) -> Iterator[Callable[..., Collector]]:
    """`collect()`: a collector on the port; killed after the test."""
    collectors: list[Collector] = []

    def new(*certificate: Path) -> Collector:
        collectors.append(Collector(port, *certificate))
        return collectors[-1]

    yield new
    for collector in collectors:
        collector.kill()


def lines(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last)]


def send(sender: SyslogSender, first: int, last: int) -> None:
    for line in lines(first, last):
        sender.send(line)


def once(texts: list[str]) -> list[str]:
    """Without what came twice."""
    return list(dict.fromkeys(texts))


def expect(expected: list[str], *collectors: Collector) -> None:
    """Wait until they have read all lines, in order.

    What the sender counts as delivered may still be in the collector's socket.
    """

    def read() -> list[str]:
        return once([text for collector in collectors for text in collector.texts()])

    wait_until(lambda: len(read()) >= len(expected), f"{len(expected)} lines are read", 20)
    assert read() == expected


def refuse(self: DiskQueue, lines: list[bytes]) -> int:
    raise QueueError("database or disk is full")


# -- the message -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("udp://10.0.0.1:514", ("udp", "10.0.0.1", 514)),
        ("tcp://siem.example:601/", ("tcp", "siem.example", 601)),
        ("tls://[2001:db8::1]:6514", ("tls", "2001:db8::1", 6514)),
        ("TLS://SIEM:6514", ("tls", "siem", 6514)),
    ],
)
def test_addresses(text: str, target: tuple[str, str, int]) -> None:
    assert parse_syslog_url(text) == target
    assert parse_syslog_url(str(parse_syslog_url(text))) == target


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "is not udp://, tcp:// or tls:// with a host (as in tls://siem.example:6514)"),
        ("", "is not udp://"),
        ("siem:514", "is not udp://"),
        ("http://siem:514", "is not udp://"),
        ("tcp://:514", "is not udp://"),
        ("tcp://si em:514", "is not udp://"),
        ("tcp://[x::]:514", "is not udp://"),
        ("tcp://siem:99999", "is not udp://"),
        ("tcp://siem", "names no port"),
        ("tcp://siem:0", "names no port"),
        ("tcp://siem:514/x", "must be scheme, host and port only"),
        ("tcp://siem:514?x", "must be scheme, host and port only"),
        ("tcp://u:p@siem:514", "must be scheme, host and port only"),
        ("tcp://[::1:514", "is not udp://"),
    ],
)
def test_what_is_no_address(text: str | None, sentence: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_syslog_url(text)
    assert sentence in str(error.value)
    assert quoted(text) in str(error.value)


def test_a_message_to_the_letter() -> None:
    time = datetime(2026, 11, 24, 10, 15, 0, 123456, UTC)
    message = format_message("CEF:0|é\n\x00", 4, time, Origin("gate way", process="7"))
    expected = "<132>1 2026-11-24T10:15:00.123+00:00 gate_way katabridge 7 CEF - CEF:0|é\\n\\x00"
    assert message == expected.encode()
    assert frame("é".encode()) == b"2 \xc3\xa9"


def test_a_datagram_is_cut_at_a_sign() -> None:
    assert datagram(b"x" * UDP_BYTES) == b"x" * UDP_BYTES
    assert datagram(b"x" + "я".encode() * UDP_BYTES) == b"x" + "я".encode() * (UDP_BYTES // 2 - 1)


def test_a_text_that_is_as_long_as_may_be_is_not_cut() -> None:
    target = parse_syslog_url("udp://siem:514")
    origin = Origin("h" * 999, "a" * 999, "p" * 999, 23)
    message = format_message("x" * target.text_bytes, 7, datetime.now().astimezone(), origin)
    assert datagram(message) == message


# -- delivery ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_lines_arrive_in_order(
    start: Start, collect: Callable[..., Collector], tmp_path: Path, scheme: str
) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    put_certificate(certificate, key)
    collector = collect(certificate, key) if scheme == "tls" else collect()
    sender = start(scheme, ca_file=certificate if scheme == "tls" else None)
    send(sender, 0, 3000)
    sender.send("ж" * 10_000, 3)
    expect([*lines(0, 3000), "ж" * 10_000], collector)
    assert collector.messages[0].startswith(b"<134>1 ")
    assert collector.messages[-1].startswith(b"<131>1 ")
    wait_until(lambda: sender.waiting == 0, "nothing waits")
    assert sender.connected
    assert sender.dropped == 0


def test_lines_arrive_by_udp(start: Start, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", port))
        collector.settimeout(30)
        sender = start("udp")
        send(sender, 0, 50)
        sender.send("x" * 50_000)
        assert [text_of(collector.recv(99_999)) for _ in range(50)] == lines(0, 50)
        assert len(collector.recv(99_999)) == UDP_BYTES


def test_udp_lines_wait_while_nobody_listens(
    start: Start, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    sender = start("udp")
    send(sender, 0, 50)
    wait_until(lambda: "is away: Connection refused" in caplog.text, "it is said")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", port))
        collector.settimeout(30)
        assert [text_of(collector.recv(99_999)) for _ in range(50)] == lines(0, 50)
    wait_until(lambda: "takes lines again" in caplog.text, "it is said")


def test_a_collector_that_is_killed_and_comes_back(
    start: Start, collect: Callable[..., Collector], caplog: pytest.LogCaptureFixture
) -> None:
    before = collect()
    sender = start()
    send(sender, 0, 100)
    expect(lines(0, 100), before)
    wait_until(lambda: sender.waiting == 0, "the sender knows")
    before.kill()
    send(sender, 100, 1500)
    wait_until(lambda: "is away" in caplog.text, "it is said")
    assert not sender.connected
    wait_until(lambda: sender.waiting == 1400, "lines wait")
    after = collect()
    wait_until(lambda: sender.waiting == 0, "all lines are delivered")
    expect(lines(0, 1500), before, after)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "is away: Connection refused; lines wait in" in said[0]
    assert "takes lines again; 1400 waited" in said[1]


def test_a_collector_that_closes_idle_connections_costs_no_line_and_no_word(
    start: Start, collect: Callable[..., Collector], caplog: pytest.LogCaptureFixture
) -> None:
    collector = collect()
    sender = start()
    for number in range(10):
        sender.send(f"line {number}")
        expect(lines(0, number + 1), collector)
        wait_until(lambda: sender.waiting == 0, "the sender knows")
        collector.hang_up()
    expect(lines(0, 10), collector)
    assert collector.accepted >= 9
    assert caplog.records == []


def test_a_collector_that_reads_nothing_is_given_up(
    start: Start, collect: Callable[..., Collector], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "_SEND_SECONDS", 0.2)
    deaf = socket.create_server(("127.0.0.1", port))
    sender = start()
    sent = [f"line {number} ".ljust(32_000, "x") for number in range(600)]
    for text in sent:
        sender.send(text)
    with deaf:
        wait_until(lambda: not sender.connected and sender.waiting, "it is given up")
    collector = collect()
    sent[:300] = []  # the kernel may have taken some for the deaf one
    wait_until(lambda: once(collector.texts())[-300:] == sent, "the other lines arrive", 20)


def test_a_dead_peer_is_noticed_by_the_kernel(collect: Callable[..., Collector], port: int) -> None:
    collect()
    connection: Any = connect(SyslogTarget("tcp", "127.0.0.1", port), None)
    options = {
        name: connection._sock.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
        for name in ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    }
    assert connection._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert list(options.values()) == [15_000, 15, 5, 3]
    connection.close()


@pytest.fixture
def pair(port: int) -> Iterator[tuple[Connection, socket.socket]]:
    """A connection, and the collector's end of it."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        connection = connect(SyslogTarget("tcp", "127.0.0.1", port), None)
        accepted, _ = listener.accept()
        with accepted:
            yield connection, accepted
        connection.close()


def test_nothing_is_written_to_a_peer_that_has_ended(
    pair: tuple[Connection, socket.socket],
) -> None:
    connection, peer = pair
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionResetError, match="has closed the connection"):
        connection.send([b"x"])
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(1)


def test_a_peer_that_ends_in_mid_delivery_has_not_got_it(
    pair: tuple[Connection, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, peer = pair

    def end(self: object) -> int:
        peer.close()  # unread: the kernel resets, and forgets what it had to send
        return 0

    monkeypatch.setattr(type(connection), "_unacknowledged", end)
    with pytest.raises(ConnectionResetError):
        connection.send([b"x"])


def test_the_first_datagram_is_a_probe(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    connection: Any = connect(SyslogTarget("udp", "127.0.0.1", port), None)
    listened: list[float] = []
    monkeypatch.setattr(type(connection), "_listen", lambda _, seconds: listened.append(seconds))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", port))
        connection.send([b"1", b"2"])
        connection.send([b"3"])
        assert [collector.recv(10) for _ in range(3)] == [b"1", b"2", b"3"]
    connection.close()
    assert listened == [0.2, 0, 0]


# -- TLS ---------------------------------------------------------------------------------------


@pytest.fixture
def tls(start: Start, collect: Callable[..., Collector]) -> tuple[Start, Callable[..., Collector]]:
    """Both ends."""
    return start, collect


@pytest.mark.parametrize(
    ("trust", "reason"),
    [
        ("system", "is away: its certificate is not accepted: self-signed certificate"),
        ("other", "is away: its certificate is not accepted: "),
        ("missing", "ca.pem cannot be read: No such file or directory"),
        ("empty", "ca.pem holds no certificate in PEM"),
    ],
)
def test_a_collector_that_is_not_trusted_gets_nothing(
    tls: tuple[Start, Callable[..., Collector]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    trust: str,
    reason: str,
) -> None:
    start, collect = tls
    certificate, key, ca_file = tmp_path / "c.pem", tmp_path / "c.key", tmp_path / "ca.pem"
    put_certificate(certificate, key)
    if trust == "other":
        put_certificate(ca_file, tmp_path / "ca.key", "another")
    elif trust == "empty":
        ca_file.write_text("no certificate")
    collector = collect(certificate, key)
    sender = start("tls", ca_file=None if trust == "system" else ca_file)
    send(sender, 0, 10)
    wait_until(lambda: reason in caplog.text, f"{reason} in {caplog.text}")
    wait_until(lambda: sender.waiting == 10, "lines wait")
    assert collector.messages == []
    if trust != "system":
        put_certificate(ca_file, tmp_path / "ca.key")  # the file is read for each connection
        wait_until(lambda: sender.waiting == 0, "lines are delivered")
        expect(lines(0, 10), collector)


def test_a_certificate_for_another_name_is_not_accepted(tmp_path: Path, port: int) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "c.key"
    put_certificate(certificate, key)
    collector = Collector(port, certificate, key, host="127.0.0.2")
    with pytest.raises(OSError, match="IP address mismatch"):
        connect(SyslogTarget("tls", "127.0.0.2", port), certificate)
    collector.kill()


# -- the queue ---------------------------------------------------------------------------------


def test_lines_survive_a_restart(
    start: Start, collect: Callable[..., Collector], caplog: pytest.LogCaptureFixture
) -> None:
    first = start()
    send(first, 0, 300)
    first.close(0.1)
    assert "300 lines for the syslog collector" in caplog.text
    second = start()
    send(second, 300, 400)
    collector = collect()
    wait_until(lambda: second.waiting == 0, "all lines are delivered")
    expect(lines(0, 400), collector)


def test_lines_survive_a_kill(
    start: Start, collect: Callable[..., Collector], tmp_path: Path, port: int
) -> None:
    url, queue = f"tcp://127.0.0.1:{port}", str(tmp_path / "queue")
    command = [sys.executable, "-c", KILLED, url, queue]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    collector = collect()
    sender = start()
    expect(lines(0, 200), collector)
    wait_until(lambda: sender.waiting == 0, "nothing waits")


def test_a_full_queue_drops_the_oldest_and_says_so(
    start: Start, collect: Callable[..., Collector], caplog: pytest.LogCaptureFixture
) -> None:
    sender = start(queue_bytes=256 << 10)
    sent = [f"line {number} ".ljust(500, "x") for number in range(3000)]
    for text in sent:
        sender.send(text)
    wait_until(lambda: sender._queue.count + sender.dropped == 3000, "all lines are queued")
    dropped = sender.dropped
    assert 2000 < dropped < 3000
    assert caplog.text.count("is full; the oldest lines are dropped") == 1
    collector = collect()
    wait_until(lambda: sender.waiting == 0, "all lines are delivered")
    expect(sent[dropped:], collector)
    wait_until(lambda: "lines for the syslog collector were dropped" in caplog.text, "it is said")
    assert f"{dropped} lines for the syslog collector were dropped" in caplog.text


def test_a_damaged_queue_is_set_aside_and_new_lines_go_out(
    start: Start, collect: Callable[..., Collector], tmp_path: Path
) -> None:
    (tmp_path / "queue").mkdir()
    (tmp_path / "queue" / "queue.db").write_bytes(b"garbage" * 1000)
    collector = collect()
    send(start(), 0, 10)
    expect(lines(0, 10), collector)


def test_without_a_disk_lines_wait_in_memory_and_are_delivered(
    start: Start,
    collect: Callable[..., Collector],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "queue").write_text("in the way")
    sender = start()
    send(sender, 0, 1500)
    wait_until(lambda: "is away" in caplog.text, "the collector is away")
    assert sender.waiting == 1500
    collector = collect()
    wait_until(lambda: sender.waiting == 0, "all lines are delivered")
    expect(lines(0, 1500), collector)
    assert caplog.text.count("cannot be used: File exists; at most 10000 lines wait") == 1


def test_a_disk_that_is_full_for_a_while_costs_nothing(
    start: Start,
    collect: Callable[..., Collector],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = start()
    send(sender, 0, 100)
    wait_until(lambda: sender._queue.count == 100, "lines are on the disk")
    monkeypatch.setattr(DiskQueue, "put", refuse)
    send(sender, 100, 200)
    wait_until(lambda: "disk is full" in caplog.text, "it is said")
    assert sender.waiting == 200
    monkeypatch.undo()
    wait_until(lambda: sender._queue.count == 200, "all lines are on the disk", 20)
    assert "can be written again" in caplog.text
    collector = collect()
    wait_until(lambda: sender.waiting == 0, "all lines are delivered", 20)
    expect(lines(0, 200), collector)


def test_what_is_being_delivered_from_memory_is_not_stored_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = DiskQueue(tmp_path / "queue", 1 << 20)
    lines = LineBuffer(queue)
    monkeypatch.setattr(DiskQueue, "put", refuse)
    thread = threading.Thread(target=lines.store, daemon=True)
    thread.start()
    lines.add(b"1")
    wait_until(lambda: lines._failing, "the disk has failed")
    batch = lines.take(10) or lines.take(10)
    assert batch is not None
    assert batch.lines == [b"1"]
    monkeypatch.undo()
    lines.add(b"2")
    with pytest.raises(AssertionError, match="stored"):
        wait_until(lambda: queue.count, "stored", 0.3)
    lines.done(batch)
    wait_until(lambda: queue.count == 1, "the other line is stored")
    assert lines.waiting == 1
    lines.stop()
    thread.join()
    queue.close()


def test_the_end_waits_for_what_is_still_being_stored(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path / "queue", 1 << 20)
    lines = LineBuffer(queue)
    lines.add(b"1")
    lines.stop()
    taken: list[Any] = []
    thread = threading.Thread(target=lambda: taken.append(lines.take(60)), daemon=True)
    thread.start()
    lines.store()
    thread.join()
    assert taken[0].lines == [b"1"]
    queue.close()


def test_memory_is_no_shortcut_around_the_disk(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path / "queue", 1 << 20)
    lines = LineBuffer(queue)
    lines.add(b"1")  # and nobody stores
    assert lines.take(0) is None
    queue.close()


def test_nobody_waits_for_lines_after_the_stop(tmp_path: Path) -> None:
    queue = DiskQueue(tmp_path / "queue", 1 << 20)
    lines = LineBuffer(queue)
    lines.stop()
    thread = threading.Thread(target=lines.take, args=(60,), daemon=True)
    thread.start()
    wait_until(lambda: not thread.is_alive(), "the end of waiting")
    queue.close()


def test_memory_is_bounded_as_well(
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(buffer_module, "_MEMORY_LINES", 50)
    (tmp_path / "queue").write_text("in the way")
    sender = start()
    send(sender, 0, 200)
    assert (sender.waiting, sender.dropped) == (50, 150)
    sender.close(0.1)
    assert "50 lines for the syslog collector" in caplog.records[-1].getMessage()
    assert caplog.records[-1].levelno == logging.ERROR


def test_the_end_delivers_what_it_can_and_takes_no_more(
    start: Start, collect: Callable[..., Collector]
) -> None:
    collector = collect()
    sender = start()
    send(sender, 0, 500)
    sender.close()
    expect(lines(0, 500), collector)
    sender.send("late")
    assert sender.dropped == 1


def test_a_fault_of_ours_does_not_end_delivery(
    start: Start,
    collect: Callable[..., Collector],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults = [ZeroDivisionError("ours"), ZeroDivisionError("ours")]

    def faulty(*arguments: Any) -> Any:
        if faults:
            raise faults.pop()
        return connect(*arguments)

    monkeypatch.setattr(syslog_module, "connect", faulty)
    collector = collect()
    send(start(), 0, 10)
    expect(lines(0, 10), collector)
    assert "a fault in sending" in caplog.text


def test_the_backoff_grows_to_half_a_minute_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for attempt, longest in [(0, 0.5), (1, 1), (3, 4), (6, 30), (5000, 30)]:
        seconds = {syslog_module._backoff(attempt) for _ in range(50)}
        assert len(seconds) > 1
        assert all(longest / 2 <= each <= longest for each in seconds)
