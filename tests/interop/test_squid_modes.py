"""The modes behind a real Squid: waiting, trickling, a Squid that caches, what cannot be judged."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.support.gateway import Gateway
from tests.support.origin import UpgradingOrigin, content
from tests.support.processes import wait_until
from tests.support.squid import Squid
from tests.support.standard import fetch_twice
from tests.support.trickling import slow_verdict, watch_download

MOST = 2 << 20  # kata.max_object_size
CHANGES = {
    "kata": {
        "max_object_size": "2MiB",
        "poll_interval_waiting": "100ms",
        "poll_interval": "100ms",
    },
    "icap": {
        "trickle": {"after": "300ms", "every": "100ms", "chunk": "16KiB"},
        "services": {
            "av/reqmod": {"method": "REQMOD", "hold": "300ms"},
            "av/respmod": {"method": "RESPMOD", "hold": "300ms"},
            "std/reqmod": {"method": "REQMOD", "mode": "standard", "hold": "300ms"},
            "std/respmod": {"method": "RESPMOD", "mode": "standard", "hold": "300ms"},
        },
    },
}
UPGRADES = "http_upgrade_request_protocols websocket allow all"  # its case counts
BROWSER = ("-H", "Accept: text/html,*/*;q=0.8", "-H", "Sec-Fetch-Mode: navigate")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    with Gateway(folder, need("squid"), CHANGES, UPGRADES) as running:
        running.kata.memory.delay = 0.0
        yield running


@pytest.fixture(scope="module")
def caching(gateway: Gateway) -> Iterator[Squid]:
    port = gateway.site.icap_port
    with Squid(need("squid"), port, services="std", cache=True) as running:
        yield running


def make_known(gateway: Gateway, url: str) -> None:
    """Have a clean content judged, however long that takes here."""
    wait_until(lambda: gateway.squid.curl(url).status == 200, f"{url} is known to be clean")


# -- trickling -------------------------------------------------------------------------------------


# a tenth of the one, 64 KiB of the other
@pytest.mark.parametrize(("size", "most"), [(400_000, 40_000), (900_000, 64 << 10)])
def test_a_download_trickles_within_its_limits_until_its_verdict(
    gateway: Gateway, tmp_path: Path, size: int, most: int
) -> None:
    body = slow_verdict("not_detected", 1.0, b"")
    body += content(size - len(body))
    gateway.origin.served["/slow.bin"] = body
    url = gateway.origin.url(f"/slow.bin?{size}")
    got = watch_download(gateway, gateway.squid, url, tmp_path)
    assert 0 < max(got.before) <= most, got.before
    assert (got.exit_code, got.body) == (0, body)


def test_a_download_found_bad_while_it_trickles_is_cut_and_then_blocked_at_once(
    gateway: Gateway, tmp_path: Path
) -> None:
    body = slow_verdict("detect", 1.0, content(900_000, 1))
    gateway.origin.served["/bad.bin"] = body
    url = gateway.origin.url("/bad.bin")
    got = watch_download(gateway, gateway.squid, url, tmp_path)
    assert got.exit_code != 0
    assert 0 < len(got.body) <= 64 << 10
    second = gateway.squid.curl(url)
    assert (second.exit_code, second.status) == (0, 403)
    assert [scan.size for scan in gateway.kata.memory.submitted].count(len(body)) == 1

    def of_url() -> list[dict[str, object]]:
        records = gateway.site.records()
        return [each for each in records if each["context"].get("url") == url]

    wait_until(lambda: len(of_url()) == 2, "both records")
    first, again = sorted(of_url(), key=lambda each: each["source"] != "kata")
    assert (first["outcome"], first["decision"]) == ("detect", "block")
    assert (again["source"], again["rule"]) == ("known", "cut before")


# -- standard, with a Squid that caches ------------------------------------------------------------


def test_what_passed_without_a_verdict_is_in_no_cache_when_it_turns_out_bad(
    gateway: Gateway, caching: Squid
) -> None:
    body = slow_verdict("detect", 1.0, content(20_000, 2))
    second = fetch_twice(gateway, caching, "/cacheable.bin", body)
    assert (second.exit_code, second.status) == (0, 403)


def test_nor_is_a_large_one_whose_answer_begins_before_its_verdict(
    gateway: Gateway, caching: Squid
) -> None:
    path, body = "/cacheable-large.bin", slow_verdict("detect", 1.0, content(200_000, 2))
    second = fetch_twice(gateway, caching, path, body)
    assert (second.exit_code, second.status) == (0, 403)


def test_what_was_judged_clean_stays_in_squids_cache(gateway: Gateway, caching: Squid) -> None:
    path = "/clean.bin"
    gateway.origin.served[path] = content(20_000, 3)
    gateway.origin.fields[path] = {"Cache-Control": "max-age=3600"}
    make_known(gateway, gateway.origin.url(path))
    for _ in range(2):
        got = caching.curl(gateway.origin.url(path))
        assert (got.status, got.body) == (200, content(20_000, 3))
    results = [line.split()[3] for line in caching.access_log() if path in line]
    assert results == ["TCP_MISS/200", "TCP_MEM_HIT/200"]


# -- waiting ---------------------------------------------------------------------------------------


def test_an_address_that_changes_at_each_look_is_waited_for_twice_at_most(
    gateway: Gateway,
) -> None:
    numbers = itertools.count()
    made: list[bytes] = []

    def make() -> bytes:
        made.append(slow_verdict("not_detected", 0.9, b"ticket %d" % next(numbers)))
        return made[-1]

    gateway.origin.makers["/ticket.bin"] = make
    got = [gateway.squid.curl(gateway.origin.url("/ticket.bin"), *BROWSER) for _ in range(3)]
    assert [each.status for each in got] == [503, 503, 200]
    assert got[2].body == made[2]


# -- what is not judged, or cannot be --------------------------------------------------------------


def test_who_asks_for_a_part_gets_the_whole(gateway: Gateway) -> None:
    url = gateway.origin.url("/plain/5000/4")
    make_known(gateway, url)
    gateway.origin.asked.clear()
    got = gateway.squid.curl(url, "-r", "10-19", "-H", 'If-Range: "x"')
    assert (got.status, got.body) == (200, content(5000, 4))
    ((path, fields),) = gateway.origin.asked
    assert path == "/plain/5000/4"
    assert not {"range", "if-range"} & {name.lower() for name in fields}


def test_a_part_that_comes_all_the_same_is_blocked(gateway: Gateway) -> None:
    path = "/part.bin"
    gateway.origin.served[path] = content(10)
    gateway.origin.statuses[path] = 206
    gateway.origin.fields[path] = {"Content-Range": "bytes 10-19/5000"}
    got = gateway.squid.curl(gateway.origin.url(path), "-r", "10-19")
    assert got.status == 403
    assert content(10) not in got.body
    wait_until(
        lambda: any(each["rule"] == "range" for each in gateway.site.records()), "its record"
    )


def test_an_endless_stream_goes_on_to_its_client_once_it_is_too_large(
    gateway: Gateway, tmp_path: Path
) -> None:
    path, url = tmp_path / "stream", gateway.origin.url("/endless/65536/6")
    path.write_bytes(b"")
    curl = gateway.squid.start_curl(url, path)
    wait_until(lambda: path.stat().st_size > 2 * MOST, "far more than the limit arrives", 20)
    curl.process.kill()
    curl.process.wait()
    got = path.read_bytes()
    assert got[: 2 * MOST] == content(65536, 6) * (2 * MOST // 65536)

    def records() -> list[object]:
        found = [each for each in gateway.site.records() if each["context"].get("url") == url]
        return [(each["outcome"], each["decision"]) for each in found]

    wait_until(lambda: records() == [("oversize", "pass")], "its record")


# -- what is no message with a body ----------------------------------------------------------------


def test_a_websocket_passes_both_services(gateway: Gateway) -> None:
    with (
        UpgradingOrigin() as origin,
        socket.create_connection(("127.0.0.1", gateway.squid.port), 20) as sock,
        sock.makefile("rb") as answer,
    ):
        sock.sendall(
            f"GET http://127.0.0.1:{origin.port}/ws HTTP/1.1\r\nHost: 127.0.0.1:{origin.port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode()
        )
        assert answer.readline().startswith(b"HTTP/1.1 101 ")
        while answer.readline().strip():
            pass
        for turn in range(3):
            frame = content(5000, turn)
            sock.sendall(frame)
            assert answer.read(5000) == frame
    seen = [line.split()[1] for line in gateway.squid.icap_log() if "/ws" in line]
    assert "REQMOD" in seen


def test_a_tunnel_passes(gateway: Gateway) -> None:
    known = len(gateway.squid.icap_log())
    url = gateway.origin.url("/plain/100000/5")
    got = gateway.squid.curl(url, "--proxytunnel")
    assert (got.exit_code, got.status, got.body) == (0, 200, content(100_000, 5))
    wait_until(lambda: len(gateway.squid.icap_log()) > known, "Squid asked about the tunnel")
    (line,) = gateway.squid.icap_log()[known:]
    assert "REQMOD" in line
    assert line.startswith(("ICAP_ECHO", "ICAP_MOD")), line
