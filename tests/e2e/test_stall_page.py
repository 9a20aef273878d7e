"""`on_stall: page`: what a person sees of a body that stopped arriving, until it is judged."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from tests.e2e.test_modes import BROWSER, fetch, request, response, script
from tests.support.gateway import Serving
from tests.support.origin import content
from tests.support.processes import wait_until
from tests.support.raw_icap import RawAnswer, RawIcap, chunk, message

FIRST = 70_000
EXCLUDED = content(100_000, 77)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    changes = {
        "kata": {
            "poll_interval_waiting": "100ms",
            "poll_interval": "200ms",
            "max_object_size": "1MiB",
        },
        "exclusions": [{"sha256": sha256(EXCLUDED).hexdigest()}],
        "icap": {
            "on_stall": "page",
            "services": {
                "av/respmod": {"method": "RESPMOD", "mode": "advanced", "hold": "500ms"},
                "standard/respmod": {"method": "RESPMOD", "mode": "standard", "hold": "500ms"},
            },
            "pages": {"reload": "1s"},
            "trickle": {"after": "60s"},
            "times": {"body": "2s"},
        },
    }
    with Serving(tmp_path_factory.mktemp("stall"), changes) as running:
        yield running


def stopping(
    serving: Serving,
    name: str,
    body: bytes,
    *,
    browser: bool = True,
    stops: bool = True,
    service: bytes = b"av",
) -> tuple[bytes, RawAnswer]:
    """What came while the body had stopped, and the whole answer."""
    asked = request(name, BROWSER if browser else "")
    with RawIcap(serving.site.icap_port) as icap:
        parts = [("req-hdr", asked), ("res-hdr", response(len(body)))]
        head = message("RESPMOD", parts, "res-body").replace(b"/av/", b"/%b/" % service)
        icap.send(head, chunk(body[:FIRST]))
        icap._data = early = icap.socket.recv(1 << 20) if stops else b""
        icap.send(chunk(body[FIRST:]), b"0\r\n\r\n")
        return early, icap.answer()


def again(serving: Serving, name: str, body: bytes) -> RawAnswer:
    return stopping(serving, name, body)[1]


def test_a_page_is_begun_held_open_and_the_reload_gets_the_file(serving: Serving) -> None:
    body = script("not_detected", "open", delay=1.5, size=200_000)
    early, got = stopping(serving, "open", body)
    assert got.http_status == 503
    assert b"no-store" in got.heads
    assert b"Content-Length" not in got.heads
    assert b"</html>" not in early
    assert b'http-equiv="refresh"' not in early, "it must not reload before its end"
    assert b'http-equiv="refresh"' in (got.body or b"")
    (record,) = serving.site.wait_records(1)
    assert (record["outcome"], record["decision"]) == ("pending", "hold")

    def is_judged() -> bool:
        return serving.kata.memory.calls["delete"] > 0

    posted = serving.kata.memory.calls["submit"]
    pages = 0
    while (got := again(serving, "open", body)).http_status == 503:
        pages += 1
        assert pages < 20
    assert (got.http_status, got.body) == (200, body)
    assert b"ETag" not in got.heads, "it was begun before its verdict, and must not be resumed"
    assert serving.kata.memory.calls["submit"] == posted
    wait_until(is_judged, "its scan is forgotten")


def test_a_page_ends_in_the_block_and_the_reload_gets_the_block_page(serving: Serving) -> None:
    body = script("detect", "bad", delay=0.1, size=200_000)
    early, got = stopping(serving, "bad", body)
    assert b"found a threat" not in early
    assert got.http_status == 503
    assert b"found a threat" in (got.body or b"")
    assert b'http-equiv="refresh"' not in (got.body or b"")
    assert again(serving, "bad", body).http_status == 403


def test_what_is_clean_at_the_end_of_its_page_is_reloaded_at_once(serving: Serving) -> None:
    body = script("not_detected", "quick", delay=0.1, size=200_000)
    _, got = stopping(serving, "quick", body)
    assert b'content="0' in (got.body or b"")
    assert again(serving, "quick", body).body == body


@pytest.mark.parametrize(
    ("name", "body", "service", "outcome"),
    [
        ("oversize", content(1_200_000), b"av", "oversize"),
        ("excluded", EXCLUDED, b"av", "excluded"),
        (
            *("standard", script("not_detected", "loop", delay=3600, size=100_000)),
            *(b"standard", "pending"),
        ),
    ],
    ids=["oversize", "excluded by content", "standard"],
)
def test_what_passes_without_a_verdict_is_not_reloaded_for_ever(
    serving: Serving, name: str, body: bytes, service: bytes, outcome: str
) -> None:
    first = stopping(serving, name, body, service=service)[1]
    assert first.http_status == 503
    second = stopping(serving, name, body, service=service)[1]
    assert (second.http_status, second.body) == (200, body)
    of_it = [each for each in serving.site.records() if each["name"] == name]
    assert [(each["outcome"], each["decision"]) for each in of_it] == [
        (outcome, "hold"),
        (outcome, "pass"),
    ]


def test_a_page_whose_body_never_comes_ends_in_a_reload(serving: Serving) -> None:
    """It says that it reloads: cut in the middle it would be looked at for ever."""
    asked = [("req-hdr", request("half", BROWSER)), ("res-hdr", response(200_000))]
    with RawIcap(serving.site.icap_port) as icap:
        icap.send(message("RESPMOD", asked, "res-body"), chunk(bytes(FIRST)))
        got = icap.answer()  # once icap.times.body is over
        assert icap.rest() == b""
    assert got.http_status == 503
    assert b'http-equiv="refresh"' in (got.body or b"")


def test_who_shows_no_page_gets_the_head(serving: Serving) -> None:
    body = script("not_detected", "curl", delay=1.0, size=200_000)
    _, got = stopping(serving, "curl", body, browser=False)
    assert (got.http_status, got.body) == (200, body)


def test_a_proxy_that_was_seen_to_stop_is_not_waited_for(serving: Serving) -> None:
    """Its next large bodies are begun while they still arrive without a pause."""
    for turn in range(3):  # each goes on at once when the answer begins
        stopping(serving, f"proof{turn}", script("not_detected", f"p{turn}", size=150_000))
    body = script("not_detected", "known-proxy", delay=3600, size=150_000)
    _, got = stopping(serving, "known-proxy", body, stops=False)
    assert got.http_status == 503
    assert b"Content-Length" not in got.heads, "a page that was begun before its body was whole"
    small = script("not_detected", "known-proxy-small", delay=3600, size=60_000)
    page = fetch(serving, "av", "known-proxy-small", small, browser=True, preview=None)
    assert page.http_head.content_length, "one that cannot stop is held as ever"
