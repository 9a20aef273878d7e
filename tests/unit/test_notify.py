"""That a webhook is told, whatever becomes of it, and of us."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from bridge.core import Case, Core, Decision, Door, Mode, OutcomeKind
from bridge.core.notify import Webhook
from bridge.core.notify import channel as channel_module
from bridge.core.notify import webhook as webhook_module
from bridge.core.notify.answer import read_answer
from bridge.core.records import Records
from bridge.core.settings import LogSettings, NotifySettings
from bridge.core.siem import buffer as buffer_module
from bridge.emulator import EICAR, Emulator
from tests.support.certificates import put_certificate
from tests.support.hooks import Receiver, status
from tests.support.judging import judge, make_item, record, with_core
from tests.support.katabridge import Site
from tests.support.processes import free_port, wait_until

PATH = "/hooks/T0KEN-in-path?key=T0KEN-in-query"


Start = Callable[..., Webhook]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again soon: what is tested is that it tries, not how patiently."""
    monkeypatch.setattr(webhook_module, "_MAX_BACKOFF", 0.05)


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Start]:
    """`start()`: a webhook at the port, started; closed after the test."""
    webhooks = []

    def new(scheme: str = "http", user: str = "", **more: Any) -> Webhook:
        settings = NotifySettings(url=f"{scheme}://{user}127.0.0.1:{port}{PATH}")
        settings = settings.model_copy(update=more)
        webhooks.append(Webhook(settings, tmp_path / "queue"))
        webhooks[-1].start()
        return webhooks[-1]

    yield new
    for webhook in webhooks:
        webhook.close(0.1)


@pytest.fixture
def receive(port: int) -> Iterator[Callable[..., Receiver]]:
    """`receive()`: a receiver on the port; closed after the test."""
    receivers = []

    def new(**more: Any) -> Receiver:
        receivers.append(Receiver(port, **more))
        return receivers[-1]

    yield new
    for receiver in receivers:
        receiver.close()


def send(webhook: Webhook, *numbers: int) -> None:
    for number in numbers:
        webhook.send(record(str(number)), history=True)


def names(receiver: Receiver) -> list[str]:
    return [event["name"] for event in receiver.events]


def delivered(webhook: Webhook) -> None:
    wait_until(lambda: webhook.waiting == 0, "everything is delivered")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records]


def test_records_tell_each_line_once(
    tmp_path: Path, receive: Callable[..., Receiver], port: int
) -> None:
    receiver = receive()
    webhook = Webhook(NotifySettings(url=f"http://127.0.0.1:{port}"), tmp_path / "queue")
    records = Records(LogSettings(dir=str(tmp_path / "log")), tmp_path / "syslog", webhook)
    records.write(record("block"), detection=True)
    records.write(
        record("clean", OutcomeKind.NOT_DETECTED, decision=Decision.PASS), detection=False
    )
    late = record("late", decision=Decision.PASS, late=True)
    records.write(late, history=False, detection=True)
    records.write(record("monitored", decision=Decision.PASS, late=True), detection=True)
    # what a start finds in the journal
    records.write(record("in both logs"), history=False, detection=False)
    records.write(record("late, in both logs", late=True), history=False, detection=False)
    records.write(record("in the history"), history=False, detection=True)
    records.write(record("in the detections"), detection=False)
    records.close()
    assert names(receiver) == ["block", "late", "monitored", "in the detections"]
    assert (records.notify_waiting, records.notify_lost) == (0, 0)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_records_arrive_once_and_in_order(
    start: Start, receive: Callable[..., Receiver], tmp_path: Path, scheme: str
) -> None:
    pair = (tmp_path / "c.pem", tmp_path / "c.key")
    put_certificate(*pair)
    receiver = receive(pair=pair if scheme == "https" else None)
    webhook = start(scheme, "me:p%40ss@", ca=pair[0])
    send(webhook, *range(20))
    delivered(webhook)
    assert names(receiver) == [str(number) for number in range(20)]
    request, headers, body = receiver.requests[0]
    assert request == f"POST {PATH}"
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == f"katabridge/{version('katabridge')}"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me:p@ss"
    assert json.loads(body)["event"] == "block"
    assert webhook.lost == 0


def test_proxies_of_the_environment_are_not_asked(
    start: Start, receive: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    receive()
    webhook = start()
    send(webhook, 1)
    delivered(webhook)


def test_faults_are_tried_again_and_said_once_without_the_token(
    start: Start, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture, port: int
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook = start(user="me:T0KEN-password@")
    send(webhook, 0)
    wait_until(lambda: webhook._failures > 2, "nobody listens")
    receiver = receive()
    receiver.script += [status(code) for code in (500, 503, 408, 425, 429, 301)]
    send(webhook, 1, 2)
    delivered(webhook)
    assert names(receiver) == ["0"] * 7 + ["1", "2"]
    where = f"the webhook http://127.0.0.1:{port} takes"
    begin, end = said(caplog)
    assert begin.startswith(f"{where} no records: Connection refused; they wait in ")
    assert end.startswith(f"{where} records again; ")
    assert "T0KEN" not in caplog.text
    assert webhook.lost == 0


def test_a_redirect_is_a_fault_and_not_followed(
    start: Start, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture, port: int
) -> None:
    receiver = receive()
    receiver.script.append(status(302, location=f"http://127.0.0.1:{port}/T0KEN-elsewhere"))
    webhook = start()
    send(webhook, 1)
    delivered(webhook)
    assert [request for request, _, _ in receiver.requests] == [f"POST {PATH}"] * 2
    assert "HTTP status 302 (Found), and no redirect is followed; they wait in" in caplog.text
    assert "T0KEN" not in caplog.text


def test_a_receiver_that_wants_to_be_left_alone_is(
    start: Start, receive: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = receive()
    receiver.script.append(status(429, retry_after="7"))
    webhook, pauses = start(), []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    monkeypatch.setattr(webhook._closing, "wait", wait)
    send(webhook, 1)
    delivered(webhook)
    assert pauses == [7]
    assert names(receiver) == ["1", "1"]


def test_what_is_refused_is_dropped_and_the_next_is_delivered(
    start: Start, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    receiver = receive()
    receiver.script += [status(400), status(413), status(204)]
    webhook = start()
    send(webhook, 0, 1, 2)
    delivered(webhook)
    wait_until(lambda: len(caplog.records) == 2, "the end is said")
    assert names(receiver) == ["0", "1", "2"]
    assert webhook.lost == 2
    begin, end = said(caplog)
    assert "refuses a record: HTTP status 400 (Bad Request); what it refuses is dropped" in begin
    assert "2 were refused" in end


def drip(request: BaseHTTPRequestHandler) -> None:
    """A head that never ends, byte after byte."""
    stop = threading.Event()
    try:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not stop.wait(0.02):
            request.wfile.write(b"x")
    except OSError:
        request.close_connection = True


def long_head(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 5000)


def hang_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


def other_language(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"220 mail.example ESMTP\r\n\r\n")


MISBEHAVIOUR = {
    "no answer in time": drip,
    "the head of its answer is too long": long_head,
    "it closed the connection without an answer": hang_up,
    "what it answers is no HTTP/1": other_language,
}


@pytest.mark.parametrize("reason", MISBEHAVIOUR)
def test_a_receiver_that_misbehaves_holds_nothing_for_ever(
    start: Start,
    receive: Callable[..., Receiver],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
) -> None:
    monkeypatch.setattr(channel_module, "_SECONDS", 0.5)
    receiver = receive()
    receiver.script.append(MISBEHAVIOUR[reason])
    webhook = start()
    send(webhook, 1)
    delivered(webhook)
    assert names(receiver) == ["1", "1"]
    assert f"takes no records: {reason}; they wait in" in said(caplog)[0]


def test_a_body_that_never_ends_is_no_fault(
    start: Start,
    receive: Callable[..., Receiver],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        drip(request)

    monkeypatch.setattr(channel_module, "_CLOSING_SECONDS", 0.1)
    receiver = receive()
    receiver.otherwise = endless
    webhook = start()
    send(webhook, 1, 2)
    delivered(webhook)
    assert names(receiver) == ["1", "2"]
    assert said(caplog) == []


def test_who_refuses_a_body_before_he_has_read_it_is_heard(start: Start, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        webhook = start()
        webhook.send(record("x" * 6_000_000), history=True)
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\n\r\n")
        connection.close()
        delivered(webhook)
    assert webhook.lost == 1


def test_each_address_of_a_name_is_tried(
    start: Start, receive: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
    found = [(*stream, ("127.0.0.2", port)), (*stream, ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    receiver, webhook = receive(), start()
    send(webhook, 1)
    delivered(webhook)
    assert webhook._failures == 0
    assert names(receiver) == ["1"]


def test_a_fault_of_ours_is_said_and_ends_nothing(
    start: Start,
    receive: Callable[..., Receiver],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(channel_module, "read_answer", broken)
    receiver, webhook = receive(), start()
    send(webhook, 1)
    wait_until(lambda: "a fault in sending to the webhook" in caplog.text, "it is said")
    monkeypatch.setattr(channel_module, "read_answer", read_answer)
    delivered(webhook)
    assert set(names(receiver)) == {"1"}
    assert "T0KEN" not in caplog.text


def test_a_handshake_that_hangs_ends(
    start: Start,
    port: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_module, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", port)):
        send(start("https"), 1)
        wait_until(lambda: "no records: no answer in time" in caplog.text, "it is said")


def test_a_receiver_that_is_not_trusted_gets_nothing(
    start: Start,
    receive: Callable[..., Receiver],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pair, ca = (tmp_path / "c.pem", tmp_path / "c.key"), tmp_path / "ca.pem"
    put_certificate(*pair)
    put_certificate(ca, tmp_path / "ca.key", "another")
    receiver = receive(pair=pair)
    webhook = start("https", ca=ca)
    send(webhook, 1)
    wait_until(lambda: "its certificate is not accepted: self" in caplog.text, "it is said")
    assert receiver.requests == []
    ca.write_bytes(pair[0].read_bytes())  # the file is read again after a fault
    delivered(webhook)
    assert names(receiver) == ["1"]


def test_records_survive_a_restart(
    start: Start, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    first = start()
    send(first, 0, 1)
    first.close(0.1)
    assert "2 records for the webhook http://127.0.0.1" in caplog.text
    receiver = receive()
    second = start()
    send(second, 2)
    delivered(second)
    assert names(receiver) == ["0", "1", "2"]


def test_a_stop_delivers_what_can_be_delivered(
    start: Start, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    receiver = receive()
    webhook = start()
    send(webhook, *range(20))
    webhook.close()
    assert names(receiver) == [str(number) for number in range(20)]
    assert said(caplog) == []


def test_a_stop_does_not_wait_for_a_receiver_that_hangs(
    start: Start, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()
    receiver = receive()

    def hang(request: BaseHTTPRequestHandler) -> None:
        go.wait(60)
        request.close_connection = True

    receiver.otherwise = hang
    webhook = start()
    send(webhook, 1)
    wait_until(lambda: receiver.requests, "it is asked")
    webhook.close(0.1)
    assert not any(thread.is_alive() for thread in webhook._threads)
    assert len(said(caplog)) == 1
    assert "1 records for the webhook" in caplog.text
    go.set()


def test_a_full_queue_drops_the_oldest_and_names_itself(
    start: Start, receive: Callable[..., Receiver], caplog: pytest.LogCaptureFixture
) -> None:
    webhook = start(queue=256 << 10)
    lines = [record(str(number).ljust(500, "x")) for number in range(500)]
    for line in lines:
        webhook.send(line, history=True)
    wait_until(lambda: webhook._queue.count + webhook.lost == 500, "all are queued")
    lost = webhook.lost
    assert 200 < lost < 500
    wait_until(lambda: "the webhook queue in" in caplog.text, "it is said")  # after it is counted
    assert caplog.text.count("the webhook queue in") == 1
    assert "is full; the oldest lines are dropped" in caplog.text
    receiver = receive()
    delivered(webhook)
    assert names(receiver)[-(500 - lost) :] == [json.loads(line)["name"] for line in lines[lost:]]
    wait_until(lambda: f"{lost} lines for the webhook http://" in caplog.text, "it is said")
    assert "syslog" not in caplog.text


def test_without_a_disk_records_wait_in_memory_and_are_delivered(
    start: Start,
    receive: Callable[..., Receiver],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "queue").write_text("in the way")
    webhook = start()
    send(webhook, 0, 1, 2)
    wait_until(lambda: "the webhook queue in" in caplog.text, "it is said")
    receiver = receive()
    delivered(webhook)
    assert names(receiver) == ["0", "1", "2"]


def test_a_disk_that_can_be_written_again_is_used_while_the_receiver_is_away(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(buffer_module, "_RETRY_SECONDS", 0.05)
    (tmp_path / "queue").write_text("in the way")
    webhook = start()
    send(webhook, 0, 1, 2)
    wait_until(lambda: "takes no records" in caplog.text, "one was sent from memory")
    (tmp_path / "queue").unlink()
    wait_until(lambda: webhook._queue.count == 3, "they are on disk")
    assert webhook.waiting == 3


@pytest.fixture
def receiver(receive: Callable[..., Receiver], site: Site) -> Receiver:
    """What the site's webhook is."""
    receiver = receive()
    site.changes = {
        "notify": {"url": f"http://127.0.0.1:{receiver.port}{PATH}"},
        "kata": {"poll_interval": "300ms", "alerts": False},
    }
    return receiver


def test_a_block_is_told_and_a_clean_one_is_not(site: Site, receiver: Receiver) -> None:
    async def work(core: Core) -> None:
        await judge(core, b"harmless")
        await judge(core, EICAR)

    with_core(site, work)
    (event,) = receiver.events
    assert event.pop("event") == "block"
    assert event.pop("product") == "katabridge"
    assert event == site.records()[1]
    assert event["outcome"] == "detect"


def test_a_late_detection_is_told_once_in_each_mode(
    kata: Emulator, site: Site, receiver: Receiver
) -> None:
    standard, monitor = (
        Case(Door.ICAP, mode, "a", {"client_ip": "10.1.1.1"})
        for mode in (Mode.STANDARD, Mode.MONITOR)
    )

    async def work(core: Core) -> None:
        item = await make_item(core, b"#kata state=detect delay=0.6\n")
        outcome = await core.judge(standard, item, wait=0.1)
        await core.finish(standard, item, outcome, core.decide(standard, outcome))
        item.body.release()
        item = await make_item(core, b"#kata state=detect\n")
        await core.accept(monitor, item)
        item.body.release()
        async with asyncio.timeout(30):
            while len(site.records("log-detects.log")) < 2:
                await asyncio.sleep(0.02)

    with_core(site, work)
    assert {event["event"] for event in receiver.events} == {"late_detection"}
    cases = sorted(event["case"] for event in receiver.events)
    assert cases == sorted([standard.id, monitor.id])
    assert receiver.events[0]["context"]["client_ip"] == "10.1.1.1"


def test_what_a_core_could_not_tell_the_next_one_tells(site: Site, port: int) -> None:
    site.changes = {"notify": {"url": f"http://127.0.0.1:{port}{PATH}"}}

    async def nothing(core: Core) -> None:
        wait_until(lambda: core._records.notify_waiting == 0, "it is delivered")

    with_core(site, lambda core: judge(core, EICAR))
    receiver = Receiver(port)
    with_core(site, nothing)
    receiver.close()
    assert [event["case"] for event in receiver.events] == [site.records()[0]["case"]]
    assert (site.directory / "spool" / "test.icap.0.notify" / "queue.db").exists()


def test_nobody_is_told_where_no_webhook_is_named(site: Site, tmp_path: Path) -> None:
    with_core(site, lambda core: judge(core, EICAR))
    assert not list((site.directory / "spool").glob("*.notify"))
    records = Records(LogSettings(dir=str(tmp_path)), tmp_path / "queue")
    assert (records.notify_waiting, records.notify_lost) == (0, 0)
    records.close()
