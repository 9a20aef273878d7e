"""What an answer of icapd to its self-test means."""

from __future__ import annotations

import pytest

from bridge.core import IcapSettings
from icapd.client import Answer
from icapd.protocol import HttpHead
from icapd.selftest.asking import end_of, place_of
from icapd.selftest.judging import End, Tried, judge


def tried(end: End, outcome: str | None = None, **more: object) -> Tried:
    values: dict[str, object] = {"mode": "advanced", "hold": 20.0, "threat": True, "words": ""}
    values |= more
    rule = values.pop("rule", None)
    record = None if outcome is None else {"outcome": outcome, "rule": rule, "detail": None}
    return Tried("av/respmod", end=end, record=record, **values)  # type: ignore[arg-type]


CASES = [
    # EICAR
    (tried(End.BLOCKED, "detect"), "ok", "is blocked"),
    (tried(End.BLOCKED), "ok", "is blocked"),
    (tried(End.BLOCKED, "unavailable"), "failed", "is blocked: unavailable"),
    (tried(End.PASSED, "not_detected"), "failed", "PASSES"),
    (tried(End.PASSED), "failed", "PASSES; why is not known"),
    (tried(End.PASSED, "not_detected", rule="allowed by hand"), "warning", "allowed by hand"),
    (tried(End.PASSED, "excluded", rule="bypass"), "warning", "excluded (bypass)"),
    (tried(End.PASSED, "pending", mode="standard", hold=5.0), "warning", "pending"),
    (tried(End.PASSED, "detect"), "warning", "detect"),
    (tried(End.LATER, "pending"), "warning", "no verdict within 20 s"),
    (tried(End.LATER), "warning", "is put off; why is not known"),
    (tried(End.LATER, "unavailable"), "failed", "is put off: unavailable"),
    (tried(End.PASSED, mode="monitor", hold=0.0), "ok", "as mode monitor says"),
    (tried(End.BLOCKED, "detect", mode="monitor"), "failed", "does not pass"),
    # a clean body
    (tried(End.PASSED, "not_detected", threat=False), "ok", "a clean body through av/respmod"),
    (tried(End.PASSED, threat=False), "warning", "passes; why is not known"),
    (tried(End.PASSED, "unavailable", threat=False), "warning", "unavailable"),
    (tried(End.BLOCKED, "error", threat=False), "failed", "is blocked: error"),
    (tried(End.BLOCKED, "detect", threat=False), "failed", "is blocked: detect"),
    # no answer
    (tried(End.REFUSED, words="ICAP status 503"), "failed", "is refused: ICAP status 503"),
    (tried(End.LOST, words="none within 15 s", waited=15.0), "warning", "is held for 20 s"),
    (tried(End.LOST, words="none within 60 s", waited=60.0), "failed", "none within 60 s"),
    (tried(End.LOST, words="it closed"), "failed", "got no answer: it closed"),
]


@pytest.mark.parametrize(("case", "status", "words"), CASES)
def test_an_answer_by_mode_and_record(case: Tried, status: str, words: str) -> None:
    finding = judge(case)
    assert (finding.status, words in finding.sentence) == (status, True), finding
    assert bool(finding.advice) == (status != "ok")


def answer(status: int, head: bytes = b"", body: bytes = b"") -> Answer:
    return Answer(status, {}, HttpHead(head), body, False)


@pytest.mark.parametrize(
    ("given", "end"),
    [
        (answer(204), End.PASSED),
        (answer(200, b"HTTP/1.1 200 OK\r\n\r\n", b"body"), End.PASSED),
        (answer(206, b"POST / HTTP/1.1\r\n\r\n", b"body"), End.PASSED),
        (answer(200, b"HTTP/1.1 200 OK\r\n\r\n", b"a page"), End.LATER),
        (answer(200, b"HTTP/1.1 403 No\r\n\r\n", b"a page"), End.BLOCKED),
        (answer(200, b"HTTP/1.1 503 Wait\r\n\r\n", b"a page"), End.LATER),
        (answer(404), End.REFUSED),
        (answer(503), End.REFUSED),
    ],
)
def test_what_became_of_a_body(given: Answer, end: End) -> None:
    assert end_of(given, b"body") is end


@pytest.mark.parametrize(
    ("listen", "place"),
    [
        (["0.0.0.0:1344"], "127.0.0.1:1344"),
        (["[::]:1344"], "[::1]:1344"),
        (["192.0.2.1:1344"], "192.0.2.1:1344"),
        (["192.0.2.1:1344", "127.0.0.1:1345"], "127.0.0.1:1345"),
    ],
)
def test_where_icapd_is_asked(listen: list[str], place: str) -> None:
    assert str(place_of(IcapSettings.model_validate({"listen": listen}))) == place
