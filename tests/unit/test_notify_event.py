"""What a webhook is told, and the request that tells it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from bridge.core import CUT_OFF, DELETED_BY_HAND, RELEASED_BY_HAND, Decision, OutcomeKind, Source
from bridge.core.notify import webhook as webhook_module
from bridge.core.notify.answer import Answer, read_answer
from bridge.core.notify.event import event_of, format_event
from bridge.core.notify.target import format_request, parse_webhook_url
from bridge.core.settings import NotifySettings
from tests.support.judging import record

K = OutcomeKind
NOW = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "history", "event"),
    [
        (record(), True, "block"),
        (record(kind=K.UNAVAILABLE, source=Source.RULE), True, "block"),
        (record(kind=K.NOT_DETECTED, decision=Decision.PASS), True, None),
        (record(decision=Decision.PASS), True, None),  # monitor, and known before
        (record(decision=Decision.PASS, late=True), False, "late_detection"),
        (record(decision=Decision.PASS, late=True), True, "late_detection"),
        (record(late=True), True, "block"),
        (record(kind=K.ERROR, source=Source.RULE, rule=CUT_OFF), True, None),
        (record(late=True), False, None),  # its block was told, or it was held: nobody has it
        (record(decision=Decision.HOLD, late=True), False, None),
        (record(kind=K.ERROR, late=True), True, "block"),
        (record(kind=K.ERROR, decision=Decision.PASS, late=True), True, None),
        (record(), False, None),  # its record was told before
        (record('","late":true,"outcome":"detect"', K.NOT_DETECTED, late=False), False, None),
        (record(source=Source.RULE, rule=RELEASED_BY_HAND, decision=Decision.PASS), True, None),
        (record(source=Source.RULE, rule=DELETED_BY_HAND), True, None),
        (record(kind=K.ERROR, source=Source.RULE, rule=DELETED_BY_HAND), True, None),
    ],
)
def test_blocks_and_late_detections_are_told(line: bytes, history: bool, event: str | None) -> None:
    assert event_of(line, history=history) == event


def test_an_event_is_the_record_with_two_keys_before_it() -> None:
    line = record("имя")
    event = json.loads(format_event("block", line))
    assert list(event.items()) == [
        ("event", "block"),
        ("product", "katabridge"),
        *json.loads(line).items(),
    ]


@pytest.mark.parametrize(
    ("url", "shown", "line"),
    [
        ("https://hooks.example/a?b=c#d", "https://hooks.example", "POST /a?b=c HTTP/1.1"),
        ("http://hooks.example:80", "http://hooks.example", "POST / HTTP/1.1"),
        ("https://h.example:80?x", "https://h.example:80", "POST /?x HTTP/1.1"),
        ("http://[::1]:8080/a", "http://[::1]:8080", "POST /a HTTP/1.1"),
        (
            "https://хук.example/п%20п",
            "https://xn--j1arf.example",
            "POST /%D0%BF%20%D0%BF HTTP/1.1",
        ),
        ("https://u:p@h.example/", "https://h.example", "POST / HTTP/1.1"),
    ],
)
def test_addresses(url: str, shown: str, line: str) -> None:
    target = parse_webhook_url(NotifySettings(url=url).url)
    assert str(target) == shown
    request = format_request(target, "katabridge/1", b"{}").decode().split("\r\n")
    assert request[0] == line
    assert request[1] == f"Host: {shown.partition('://')[2]}"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nContent-Len", None),
        (b"HTTP/1.1 200 OK\r\n\r\n", Answer(200)),
        (b"HTTP/1.0 204\n\nbody", Answer(204, left=0)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", Answer(200, left=3)),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", Answer(200, left=0)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: some\r\n\r\n", Answer(200)),
        (b"HTTP/1.1 100 Continue\r\n\r\n", None),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 x\r\nretry-AFTER:  7 \r\n\r\n",
            Answer(503, 7),
        ),
        (b"HTTP/1.1 429 x\r\nRetry-After: 86400\r\nA: b\r\n\r\n", Answer(429, 300)),
        (b"HTTP/1.1 429 x\r\nRetry-After: soon\r\n\r\n", Answer(429)),
        (b"HTTP/1.1 429 x\r\nRetry-After: -5\r\n\r\n", Answer(429)),
        (b"HTTP/1.1 429 x\r\n\r\nRetry-After: 5\r\n\r\n", Answer(429)),
    ],
)
def test_answers(data: bytes, answer: Answer | None) -> None:
    assert read_answer(data, NOW) == answer


@pytest.mark.parametrize("seconds", [20, -20])
def test_a_date_to_come_back_at(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True).encode()
    data = b"HTTP/1.1 503 x\r\nRetry-After: " + date + b"\r\n\r\n"
    assert read_answer(data, NOW) == Answer(503, max(seconds, 0))


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 2000\r\n\r\n"])
def test_what_is_no_http(data: bytes) -> None:
    with pytest.raises(ValueError, match="no HTTP/1"):
        read_answer(data, NOW)


def test_which_answers_drop_a_record() -> None:
    refused = [code for code in range(200, 600) if Answer(code).is_refusal]
    assert refused == [code for code in range(400, 500) if code not in (408, 425, 429)]
    assert [code for code in range(200, 600) if Answer(code).is_delivered] == [*range(200, 300)]


def test_pauses_grow_and_end_growing() -> None:
    for attempt, (least, most) in {0: (1, 2), 1: (2, 4), 4: (16, 32), 5: (30, 60)}.items():
        pauses = [webhook_module._backoff(attempt) for _ in range(200)]
        assert least <= min(pauses) < max(pauses) <= most
    assert webhook_module._backoff(10_000) <= 60
