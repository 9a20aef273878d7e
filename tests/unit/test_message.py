"""What is read off the heads of a message: parts, short bodies, and which of several decides."""

from __future__ import annotations

import pytest

from bridge.core import Case, Decision, Door, Mode, Outcome, OutcomeKind, Source
from icapd.judged import Judged, worst
from icapd.message import Message
from icapd.protocol import HttpHead
from icapd.protocol.encapsulated import Encapsulated
from icapd.protocol.messages import Request

GET = b"GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n"


def response(status: int, *fields: str) -> Message:
    head = "\r\n".join([f"HTTP/1.1 {status} X", *fields, "", ""]).encode()
    request = Request(
        "RESPMOD", "icap://h/a", {}, Encapsulated(len(GET), len(head)), None, GET + head
    )
    return Message.of(request)


@pytest.mark.parametrize(
    ("field", "part"),
    [
        ("Content-Range: bytes 0-99/100", False),
        ("Content-Range: bytes 0-98/100", True),
        ("Content-Range: bytes 1-99/100", True),
        ("Content-Range: bytes 0-99/*", True),
        ("Content-Range: bytes 0-99/100, bytes 0-99/100", True),
        ("Content-Range: items 0-99/100", True),
        ("Content-Type: multipart/byteranges; boundary=x", True),
    ],
)
def test_only_a_206_of_everything_is_no_part(field: str, part: bool) -> None:
    assert response(206, field).is_part is part
    assert not response(200, field).is_part


def test_a_range_is_asked_for_in_requests_only() -> None:
    ranged = GET[:-2] + b"Range: bytes=0-1\r\n\r\n"
    request = Request("REQMOD", "icap://h/a", {}, Encapsulated(len(ranged)), None, ranged)
    assert Message.of(request).asks_for_a_range
    assert not response(206).asks_for_a_range
    assert Message.of(request).carrying.raw == HttpHead(ranged).raw


def judged(kind: OutcomeKind) -> Judged:
    return Judged(Case(Door.ICAP, Mode.ADVANCED, "a", {}), None, Outcome(kind, Source.KATA))


@pytest.mark.parametrize(
    ("decisions", "chief"),
    [
        ([Decision.PASS, Decision.PASS], 0),
        ([Decision.PASS, Decision.HOLD], 1),
        ([Decision.BLOCK, Decision.HOLD], 0),
        ([Decision.HOLD, Decision.BLOCK], 1),
        ([Decision.PASS, Decision.SKIP], 1),
    ],
)
def test_the_most_severe_decision_is_that_of_all(decisions: list[Decision], chief: int) -> None:
    all_of_it = [judged(OutcomeKind.ERROR), judged(OutcomeKind.ERROR)]
    assert worst(all_of_it, decisions) == (all_of_it[chief], decisions[chief])


def test_of_two_blocks_the_threat_is_shown() -> None:
    both = [judged(OutcomeKind.ERROR), judged(OutcomeKind.DETECT)]
    assert worst(both, [Decision.BLOCK] * 2)[0] is both[1]
