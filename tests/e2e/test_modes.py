"""The three modes, sentence by sentence: who gets what, when, and what is left of it."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from bridge.emulator import EICAR
from icapd.client import Answer, IcapClient
from tests.support.gateway import Serving
from tests.support.katabridge import Records
from tests.support.origin import content
from tests.support.processes import free_port, wait_until
from tests.support.raw_icap import RawIcap, chunk, message

HOLD = 0.6
SLOW = 2.0  # seconds until KATA's verdict
BROWSER = "Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nETag: e\r\n"
STATUS = free_port()
MODES = ("monitor", "standard", "advanced")


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    services = {
        f"{mode}/{method.lower()}": {"method": method, "mode": mode, "hold": f"{HOLD}s"}
        for mode in MODES
        for method in ("REQMOD", "RESPMOD")
    }
    changes = {
        "kata": {"poll_interval_waiting": "100ms", "poll_interval": "200ms"},
        "icap": {
            "services": services,
            "trickle": {"after": "1s", "every": "100ms", "chunk": "4KiB"},
            "pages": {"reload": "1s"},
        },
        "status": {"icapd": f"127.0.0.1:{STATUS}"},
    }
    with Serving(tmp_path_factory.mktemp("modes"), changes) as running:
        yield running


def script(state: str, name: str, *, delay: float = SLOW, size: int = 5000) -> bytes:
    """A body of that size, for which KATA takes so long."""
    line = f"#kata state={state} delay={delay}\n".encode()
    return line + content(size - len(line), hash(name) % 10_000 + size)


def request(name: str, more: str = "", method: str = "GET") -> bytes:
    return f"{method} http://h.example/{name} HTTP/1.1\r\nHost: h.example\r\n{more}\r\n".encode()


def response(size: int | None, more: bytes = b"") -> bytes:
    length = b"" if size is None else b"Content-Length: %d\r\n" % size
    return OK + more + length + b"\r\n"


def fetch(
    serving: Serving,
    mode: str,
    name: str,
    body: bytes,
    *,
    browser: bool = False,
    client: str = "10.0.0.1",
    more: str = "",
    head: bytes = b"",
    allow_204: bool = True,
    preview: int | None = 1024,
) -> Answer:
    asked = request(name, (BROWSER if browser else "") + more)
    with IcapClient("127.0.0.1", serving.site.icap_port, timeout=30) as icap:
        return icap.respmod(
            f"{mode}/respmod",
            asked,
            head or response(len(body)),
            body,
            preview=preview,
            allow_204=allow_204,
            fields={"X-Client-IP": client},
        )


def upload(
    serving: Serving, mode: str, name: str, body: bytes, *, more: str = "", allow_204: bool = True
) -> Answer:
    asked = request(name, more + f"Content-Length: {len(body)}\r\n", "POST")
    with IcapClient("127.0.0.1", serving.site.icap_port, timeout=30) as icap:
        fields = {"X-Client-IP": "10.0.0.1"}
        return icap.reqmod(
            f"{mode}/reqmod", asked, body, preview=1024, allow_204=allow_204, fields=fields
        )


def records(serving: Serving, name: str, log: str = "log-history.log") -> Records:
    found = [each for each in serving.site.records(log) if each["name"] == name]
    return [each for each in found if each["name"] == name]


def wait_for(serving: Serving, name: str, count: int = 1, log: str = "log-history.log") -> Records:
    wait_until(lambda: len(records(serving, name, log)) >= count, f"{name} in {log}")
    return records(serving, name, log)


def posts(serving: Serving) -> int:
    return serving.kata.memory.calls["submit"]


# -- monitor --------------------------------------------------------------------------------------


@pytest.mark.parametrize("allow_204", [True, False])
@pytest.mark.parametrize("preview", [1024, None])
@pytest.mark.parametrize("size", [200, 5000, 300_000])
def test_monitor_passes_at_once_and_untouched(
    serving: Serving, size: int, preview: int | None, allow_204: bool
) -> None:
    name = f"watched-{size}-{preview}-{allow_204}"
    body = script("not_detected", name, delay=3600, size=size)
    head = response(size)
    got = fetch(serving, "monitor", name, body, preview=preview, allow_204=allow_204, head=head)
    assert got.status in (200, 204)
    if got.status == 200:
        assert got.body == body
        assert got.http_head.raw == head
    assert records(serving, name) == [], "it has its record when it is judged"


def test_monitor_gives_an_upload_back_untouched(serving: Serving) -> None:
    body = script("detect", "up-watched", delay=3600, size=200_000)
    got = upload(serving, "monitor", "up-watched", body, allow_204=False)
    assert (got.status, got.body) == (200, body)
    assert got.http_head.raw == request("up-watched", f"Content-Length: {len(body)}\r\n", "POST")


def test_monitor_gives_a_slow_body_on_while_it_arrives(serving: Serving) -> None:
    first, rest = content(2000, 71), content(2000, 72)
    parts = [("req-hdr", request("drip")), ("res-hdr", response(None))]
    with RawIcap(serving.site.icap_port) as icap:
        head = message("RESPMOD", parts, "res-body", ["Allow: 204"])
        icap.send(head.replace(b"/av/respmod", b"/monitor/respmod"), chunk(first))
        icap.socket.settimeout(10)
        data = b""
        while first not in data:  # before the rest is sent
            piece = icap.socket.recv(65536)
            assert piece, data
            data += piece
        icap.send(chunk(rest), b"0\r\n\r\n")
        while not data.endswith(b"\r\n0\r\n\r\n"):
            data += icap.socket.recv(65536)
    assert rest in data


def test_monitor_lets_known_threats_by_and_logs_them(serving: Serving) -> None:
    assert fetch(serving, "advanced", "known-bad", EICAR + b"known").http_head.status == 403
    assert fetch(serving, "monitor", "known-bad-watched", EICAR + b"known").status == 204
    (record,) = wait_for(serving, "known-bad-watched")
    assert (record["outcome"], record["source"], record["decision"], record["mode"]) == (
        *("detect", "known", "pass", "monitor"),
    )


def late_detections() -> float:
    with urlopen(f"http://127.0.0.1:{STATUS}/metrics") as page:
        lines = page.read().decode().splitlines()
    key = 'katabridge_late_detections_total{door="ICAP"} '
    return next(float(line.removeprefix(key)) for line in lines if line.startswith(key))


@pytest.mark.parametrize("mode", ["monitor", "standard"])
def test_a_late_detection_says_who_received_what_from_where(serving: Serving, mode: str) -> None:
    name, before = f"late-{mode}", late_detections()
    body = script("detect", name, delay=1.2)
    got = fetch(serving, mode, name, body, client="10.9.8.7")
    assert got.status in (204, 200)
    late = [each for each in wait_for(serving, name, log="log-detects.log") if each["late"]]
    (line,) = late
    assert (line["outcome"], line["decision"]) == ("detect", "pass")
    assert line["context"]["client_ip"] == "10.9.8.7"
    assert line["context"]["url"] == f"http://h.example/{name}"
    wait_until(lambda: f"case {line['case']}" in serving.icapd.output(), "the log of it")
    said = next(
        text for text in serving.icapd.output().splitlines() if f"case {line['case']}: " in text
    )
    for word in ("LATE DETECTION", "10.9.8.7", f"http://h.example/{name}", line["sha256"]):
        assert word in said
    wait_until(lambda: late_detections() == before + 1, "its count")


# -- standard -------------------------------------------------------------------------------------


@pytest.mark.parametrize("allow_204", [True, False])
def test_standard_holds_then_passes_and_no_cache_may_keep_it(
    serving: Serving, allow_204: bool
) -> None:
    name = f"std-{allow_204}"
    body = script("detect", name, delay=SLOW + allow_204)
    head = response(len(body), b"Cache-Control: max-age=3600\r\n")
    begun = time.monotonic()
    got = fetch(serving, "standard", name, body, head=head, allow_204=allow_204)
    assert time.monotonic() - begun >= HOLD
    assert (got.status, got.http_head.status, got.body) == (200, 200, body)
    assert got.http_head.all("cache-control") == ["no-store"]
    (record,) = wait_for(serving, name)
    assert (record["outcome"], record["decision"], record["mode"]) == (
        *("pending", "pass", "blocking_simple"),
    )
    wait_for(serving, name, log="log-detects.log")  # scanning went on
    assert fetch(serving, "standard", name, body).http_head.status == 403
    log = (serving.site.directory / "log" / "preprocessor_icap.log").read_text()
    assert f"blocking_simple mode: verdict pending (kata), pass, case {record['case']}" in log


def test_standard_passes_an_upload_after_its_hold(serving: Serving) -> None:
    body = script("not_detected", "std-up")
    got = upload(serving, "standard", "std-up", body)
    assert got.status == 204
    (record,) = wait_for(serving, "std-up")
    assert (record["outcome"], record["decision"]) == ("pending", "pass")


def test_standard_blocks_what_is_found_within_its_hold(serving: Serving) -> None:
    body = script("detect", "std-quick", delay=0.1)
    assert fetch(serving, "standard", "std-quick", body).http_head.status == 403


def test_standard_says_no_store_in_a_head_that_is_given_early(serving: Serving) -> None:
    body = script("not_detected", "std-stall", size=150_000)
    head = response(len(body), b"Cache-Control: max-age=3600\r\nLast-Modified: x\r\n")
    with RawIcap(serving.site.icap_port) as icap:
        parts = [("req-hdr", request("std-stall")), ("res-hdr", head)]
        icap.send(message("RESPMOD", parts, "res-body").replace(b"/av/", b"/standard/"))
        icap.send(chunk(body[:70_000]))
        early = icap.socket.recv(65536)  # nothing more is sent until something came
        icap.send(chunk(body[70_000:]), b"0\r\n\r\n")
        icap._data = early
        got = icap.answer()
    assert got.body == body
    assert b"Cache-Control: no-store" in got.heads
    for field in (b"max-age", b"ETag", b"Last-Modified"):
        assert field not in got.heads


# -- advanced: the wait page ----------------------------------------------------------------------


@pytest.mark.parametrize(("state", "status"), [("not_detected", 0), ("detect", 403)])
def test_a_navigation_waits_on_a_page_and_the_reload_gets_its_answer(
    serving: Serving, state: str, status: int
) -> None:
    name, before = f"page-{state}", posts(serving)
    body = script(state, name)
    got = fetch(serving, "advanced", name, body, browser=True)
    assert (got.status, got.http_head.status) == (200, 503)
    assert got.http_head.field("retry-after") == "1"
    assert got.http_head.field("cache-control") == "no-store"
    assert b'http-equiv="refresh"' in got.body
    assert name.encode() in got.body
    (record,) = wait_for(serving, name)
    assert record["case"].encode() in got.body
    assert (record["outcome"], record["decision"]) == ("pending", "hold")
    pages = [got]
    while pages[-1].http_head.status == 503:
        assert len(pages) < 20
        pages.append(fetch(serving, "advanced", name, body, browser=True))
    assert pages[-1].http_head.status == (status or None)
    assert pages[-1].status == (200 if status else 204)
    assert len(pages) > 2
    assert posts(serving) == before + 1, "the same bytes are scanned once"


@pytest.mark.parametrize("state", ["error", "timeout"])
def test_who_waits_is_told_when_the_scan_fails_and_nothing_is_scanned_again(
    serving: Serving, state: str
) -> None:
    name, before = f"fails-{state}", posts(serving)
    body = script(state, name, delay=1.5)
    seen = [fetch(serving, "advanced", name, body, browser=True).http_head.status]
    while seen[-1] == 503:
        assert len(seen) < 20
        seen.append(fetch(serving, "advanced", name, body, browser=True).http_head.status)
    assert seen[-1] == 403
    assert posts(serving) == before + 1
    assert [each["outcome"] for each in records(serving, name)][-1] == state
    fetch(serving, "advanced", name, body, client="10.0.0.3")
    assert posts(serving) == before + 2, "a failure is nobody else's"


def test_an_upload_that_is_tried_again_is_told_when_the_scan_failed(serving: Serving) -> None:
    before = posts(serving)
    body = script("error", "up-fails", delay=1.2)
    seen = [upload(serving, "advanced", "up-fails", body).http_head.status]
    while seen[-1] == 503:
        assert len(seen) < 20
        seen.append(upload(serving, "advanced", "up-fails", body).http_head.status)
    assert seen[-1] == 403
    assert posts(serving) == before + 1


def elapsed(page: Answer) -> int:
    match = re.search("(?:(\\d+)\u00a0min )?(\\d+)\u00a0s<", page.body.decode())
    assert match is not None
    return int(match[1] or 0) * 60 + int(match[2])


def test_the_wait_page_counts_from_the_first_look(serving: Serving) -> None:
    body = script("not_detected", "elapsed", delay=3600)
    seen = [fetch(serving, "advanced", "elapsed", body, browser=True) for _ in range(3)]
    other = fetch(serving, "advanced", "elapsed", body, browser=True, client="10.0.0.2")
    assert elapsed(seen[2]) > elapsed(seen[0])
    assert elapsed(seen[2]) >= int(HOLD * 3)
    assert elapsed(other) <= elapsed(seen[1]), "of this client, not of the content"


def test_a_client_that_shows_no_page_is_told_to_come_later(serving: Serving) -> None:
    body = script("not_detected", "api", delay=3600)
    got = fetch(serving, "advanced", "api", body, more="Accept: application/json\r\n")
    assert got.http_head.status == 503
    assert got.http_head.field("content-type") == "application/problem+json"
    assert b"refresh" not in got.body
    xhr = fetch(
        serving, "advanced", "api", body, browser=True, more="X-Requested-With: XMLHttpRequest\r\n"
    )
    assert xhr.http_head.status == 503
    assert b'http-equiv="refresh"' not in xhr.body


def test_an_upload_is_held_then_blocked_and_never_trickled(serving: Serving) -> None:
    body = script("not_detected", "up", size=400_000)
    got = upload(serving, "advanced", "up", body, more=BROWSER)
    assert (got.status, got.http_head.status) == (200, 503)
    assert b'http-equiv="refresh"' not in got.body
    wait_until(lambda: upload(serving, "advanced", "up", body).status == 204, "its verdict")


def test_an_address_that_changes_with_each_look_is_held_to_the_verdict(serving: Serving) -> None:
    answers = [
        fetch(serving, "advanced", "ticker", script("not_detected", f"ticker{turn}"), browser=True)
        for turn in range(3)
    ]
    assert [each.http_head.status for each in answers] == [503, 503, None]
    assert answers[-1].status == 204


def test_pages_speak_the_readers_language(serving: Serving) -> None:
    for language, word in (("ru-RU,ru;q=0.9", "угроз"), ("en", "found a threat")):
        more = f"Accept-Language: {language}\r\n"
        got = fetch(serving, "advanced", "bad", EICAR, browser=True, more=more)
        assert word in got.body.decode().lower()


# -- advanced: trickling --------------------------------------------------------------------------


class Watched:
    """One RESPMOD whose answer is read as it comes; `body` is what there is of it so far."""

    def __init__(self, serving: Serving, name: str, body: bytes, more: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", serving.site.icap_port), 30)
        parts = [("req-hdr", request(name)), ("res-hdr", response(len(body), more))]
        head = message("RESPMOD", parts, "res-body", ["X-Client-IP: 10.0.0.1"])
        head = head.replace(b"/av/", b"/advanced/")
        threading.Thread(target=self._send, args=(head + chunk(body) + b"0\r\n\r\n",)).start()
        self._data = b""

    def _send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> bool:
        """Wait for some more; False at the end."""
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self._data += piece
        return bool(piece)

    @property
    def heads(self) -> bytes:
        return self._data.partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """The chunks so far."""
        rest = self._data.partition(b"\r\n\r\n")[2].partition(b"\r\n\r\n")[2]
        body = b""
        while b"\r\n" in rest:
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return body

    @property
    def ended(self) -> bool:
        return self._data.endswith(b"\r\n0\r\n\r\n")

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def test_a_download_trickles_within_its_limits_and_then_comes_whole(serving: Serving) -> None:
    body = script("not_detected", "trickled", delay=2.5, size=400_000)
    with Watched(serving, "trickled", body) as watched:
        before_verdict = 0
        while not watched.ended:
            assert watched.read()
            if not records(serving, "trickled"):
                before_verdict = max(before_verdict, len(watched.body))
        assert 0 < before_verdict <= 40_000, "a tenth at most"
        assert watched.body == body
        assert b"ETag" not in watched.heads


def test_a_bad_download_is_broken_and_the_second_try_gets_the_page(serving: Serving) -> None:
    body = script("detect", "broken", delay=2.0, size=400_000)
    with Watched(serving, "broken", body) as watched:
        while watched.read():
            pass
        assert 0 < len(watched.body) <= 40_000
        assert not watched.ended
    (record,) = wait_for(serving, "broken")
    assert (record["outcome"], record["decision"]) == ("detect", "block")
    again = fetch(serving, "advanced", "broken", content(400_000, 5))  # not even the same bytes
    assert again.http_head.status == 403
    assert wait_for(serving, "broken", 2)[1]["rule"] == "cut before"
    others = fetch(serving, "advanced", "broken", content(400_000, 5), client="10.0.0.2")
    assert others.http_head.status is None, "nobody else is told of another's download"


def test_what_was_allowed_by_hand_is_not_kept_back_as_cut_before(serving: Serving) -> None:
    from tests.support.processes import Program, module

    body = script("detect", "allowed", delay=1.8, size=400_000)
    with Watched(serving, "allowed", body) as watched:
        while watched.read():
            pass
    (record,) = wait_for(serving, "allowed")
    assert fetch(serving, "advanced", "allowed", body).http_head.status == 403
    command = [*module("bridge.cli"), "known", "allow", record["sha256"]]
    allow = Program([*command, "--config", serving.site.config], serving.site.directory / "allow")
    assert allow.process.wait(20) == 0, allow.output()
    wait_until(lambda: fetch(serving, "advanced", "allowed", body).status == 204, "the hand's word")


def test_who_closes_without_a_reset_is_not_waited_for_either(serving: Serving) -> None:
    body = script("not_detected", "closed", delay=3600, size=400_000)
    with Watched(serving, "closed", body) as watched:
        while not watched.body:
            assert watched.read()
        watched.socket.shutdown(socket.SHUT_WR)
        while watched.read():  # trickled to until the server gives up
            pass
    (record,) = wait_for(serving, "closed")
    assert (record["outcome"], record["decision"]) == ("error", "block")


def test_clients_without_an_address_are_told_from_each_other_by_what_they_say(
    serving: Serving,
) -> None:
    """Else one cut download would be everybody's behind that proxy."""

    def ask(agent: bytes) -> int | None:
        asked = request("shared", f"User-Agent: {agent.decode()}\r\n")
        with IcapClient("127.0.0.1", serving.site.icap_port, timeout=30) as icap:
            clean = content(400_000, 6)
            got = icap.respmod("advanced/respmod", asked, response(len(clean)), clean)
        return got.http_head.status

    bad = script("detect", "shared", delay=1.5, size=400_000)
    parts = [("req-hdr", request("shared", "User-Agent: one\r\n")), ("res-hdr", response(None))]
    with RawIcap(serving.site.icap_port) as icap:
        head = message("RESPMOD", parts, "res-body").replace(b"/av/", b"/advanced/")
        icap.send(head, chunk(bad), b"0\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            icap.rest()
    assert ask(b"one") == 403
    assert ask(b"two") is None


def test_no_cache_control_of_some_caches_own_goes_before_no_store(serving: Serving) -> None:
    body = script("not_detected", "cdn")
    more = b"Cache-Control: no-store\r\nCDN-Cache-Control: max-age=600\r\n"
    got = fetch(serving, "standard", "cdn", body, head=response(len(body), more))
    assert got.http_head.all("cache-control") == ["no-store"]
    assert got.http_head.field("cdn-cache-control") is None


def test_who_has_left_is_not_waited_for(serving: Serving) -> None:
    body = script("not_detected", "left", delay=3600, size=400_000)
    with Watched(serving, "left", body) as watched:
        while not watched.body:
            assert watched.read()
        watched.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    (record,) = wait_for(serving, "left")
    assert (record["outcome"], record["decision"]) == ("error", "block")


@pytest.mark.parametrize("kind", ["text/html", "application/javascript"])
def test_html_and_scripts_are_never_trickled(serving: Serving, kind: str) -> None:
    body = script("not_detected", kind, delay=3600, size=300_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n" % kind.encode()
    got = fetch(serving, "advanced", f"script{len(kind)}", body, head=head, preview=None)
    assert got.http_head.status == 503


def test_small_bodies_are_never_trickled(serving: Serving) -> None:
    body = script("not_detected", "small", delay=3600, size=250_000)
    assert fetch(serving, "advanced", "small", body, preview=None).http_head.status == 503
