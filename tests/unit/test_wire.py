"""KATA's shapes: every documented one is read, nothing else becomes a verdict."""

from __future__ import annotations

import pytest

from bridge.core.kata import wire
from bridge.core.kata.wire import Answer, ScanState, WireError, classify, parse_states

BASE = "https://cn.example/kata/scanner/v1/sensors/4f6dbb4e-76ae-4b7d-9b0d-1a2b3c4d5e6f"


def test_the_calls_are_the_documented_ones() -> None:
    base = wire.base_url("https://cn.example", "4f6dbb4e-76ae-4b7d-9b0d-1a2b3c4d5e6f")
    assert base == BASE
    assert wire.submit_url(base, "gw.icap.0") == f"{BASE}/scans?sensorInstanceId=gw.icap.0"
    assert wire.delete_url(base, "abc-1") == f"{BASE}/scans/abc-1"
    assert wire.state_url(base, "gw.icap.0") == (
        f"{BASE}/scans/state?sensorInstanceId=gw.icap.0"
        "&state=detect,not%20detected,processing,error,timeout"
    )


@pytest.mark.parametrize("scan_id", ["", "/", "..", "a b", "a/b", "a?b", "x" * 65, "%20"])
def test_a_delete_that_could_hit_more_than_one_scan_is_refused(scan_id: str) -> None:
    with pytest.raises(ValueError, match="no scanId of ours"):
        wire.delete_url(BASE, scan_id)


def test_every_scan_id_we_make_can_be_deleted() -> None:
    assert wire.delete_url(BASE, wire.new_scan_id()).startswith(f"{BASE}/scans/")
    assert wire.new_scan_id() != wire.new_scan_id()


@pytest.mark.parametrize(
    "body",
    [
        b'[{"scanId": "7", "state": "detect"}]',
        b'[{"scanId": 7, "state": "detect"}]',
        b'{"scans": [{"scanId": "7", "state": "detect"}]}',
        b'{"scans": [{"scanId": 7, "state": ["detect"]}], "more": 1}',
    ],
)
def test_all_shapes_of_the_list(body: bytes) -> None:
    assert parse_states(body) == {"7": ScanState.DETECT}


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"scans": null}', b'{"scans": []}'])
def test_no_scans(body: bytes) -> None:
    assert parse_states(body) == {}


@pytest.mark.parametrize(
    "entry",
    [
        b'{"scanId": "7"}',
        b'{"scanId": "7", "state": null}',
        b'{"scanId": "7", "state": "clean"}',
        b'{"scanId": "7", "state": "not_detected"}',
        b'{"scanId": "7", "state": "Not Detected"}',
        b'{"scanId": "7", "state": []}',
        b'{"scanId": "7", "state": ["detect", "not detected"]}',
        b'{"scanId": true, "state": "not detected"}',
        b'{"state": "not detected"}',
        b'"7"',
        b"null",
    ],
)
def test_an_entry_that_cannot_be_read_says_nothing(entry: bytes) -> None:
    assert parse_states(b'[%b, {"scanId": "8", "state": "error"}]' % entry) == {
        "8": ScanState.ERROR
    }


def test_an_answer_that_contradicts_itself_is_an_error() -> None:
    both = b'[{"scanId": "7", "state": "%b"}, {"scanId": "7", "state": "%b"}]'
    assert parse_states(both % (b"detect", b"not detected")) == {"7": ScanState.ERROR}
    assert parse_states(both % (b"not detected", b"detect")) == {"7": ScanState.ERROR}
    assert parse_states(both % (b"detect", b"detect")) == {"7": ScanState.DETECT}


@pytest.mark.parametrize("body", [b"", b"OK", b"<html>", b'"x"', b"3", b'{"scans": 3}', b"\xff"])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(WireError):
        parse_states(body)


def test_only_processing_is_not_final() -> None:
    assert [state for state in ScanState if not state.is_final] == [ScanState.PROCESSING]


def test_only_200_is_ok() -> None:
    assert [status for status in range(100, 600) if classify(status) is Answer.OK] == [200]
    assert classify(401) is Answer.NOT_ACCEPTED
    assert classify(413) is Answer.TOO_LARGE
    assert classify(429) is Answer.BUSY


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("5", 5), ("0", 0), ("999999999", 3600), ("-1", None), ("soon", None)],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert wire.parse_retry_after(value) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 784111777.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("Sun, 06 Nov 99999 08:49:37 GMT", None),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 +99999999999999", None),
        ("9" * 60_000, None),
    ],
)
def test_the_date_of_an_answer(value: str | None, seconds: float | None) -> None:
    assert wire.parse_date(value) == seconds
