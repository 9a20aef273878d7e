"""The modes behind a real Squid with the times that issues and users speak of: seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.support.gateway import Gateway
from tests.support.origin import content
from tests.support.squid import Squid
from tests.support.standard import fetch_twice
from tests.support.trickling import slow_verdict, watch_download

pytestmark = pytest.mark.long

SIZE = 3_000_000
MOST = 64 << 10  # bytes before the verdict, of any size
CHANGES = {
    "kata": {"poll_interval": "300ms"},
    "icap": {
        "trickle": {"after": "2s"},
        "services": {
            "av/reqmod": {"method": "REQMOD", "hold": "2s"},
            "av/respmod": {"method": "RESPMOD", "hold": "2s"},
            "std/reqmod": {"method": "REQMOD", "mode": "standard", "hold": "2s"},
            "std/respmod": {"method": "RESPMOD", "mode": "standard", "hold": "2s"},
        },
    },
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway"), need("squid"), CHANGES) as running:
        yield running


@pytest.fixture(scope="module")
def caching(gateway: Gateway) -> Iterator[Squid]:
    with Squid(need("squid"), gateway.site.icap_port, services="std", cache=True) as running:
        yield running


@pytest.mark.parametrize("kind", ["sized", "chunked"])
def test_a_long_wait_trickles_and_then_the_file_is_whole(
    gateway: Gateway, tmp_path: Path, kind: str
) -> None:
    path, body = f"/clean-{kind}.bin", slow_verdict("not_detected", 10, kind.encode())
    gateway.origin.served[path] = body = body + content(SIZE, 1)
    if kind == "chunked":
        gateway.origin.chunked.add(path)
    got = watch_download(gateway, gateway.squid, gateway.origin.url(path), tmp_path)
    steps = sorted(set(got.before))
    print(f"\n{len(body)} bytes; before the verdict its client had {steps}")
    assert len(steps) > 3, steps
    assert steps[-1] <= MOST, steps
    assert (got.exit_code, got.body) == (0, body)


def test_a_long_wait_for_a_bad_file_ends_broken_and_the_next_try_at_once(
    gateway: Gateway, tmp_path: Path
) -> None:
    path, body = "/bad.bin", slow_verdict("detect", 10, content(SIZE, 2))
    gateway.origin.served[path] = body
    got = watch_download(gateway, gateway.squid, gateway.origin.url(path), tmp_path)
    assert got.exit_code != 0
    assert 0 < len(got.body) <= MOST
    second = gateway.squid.curl(gateway.origin.url(path))
    assert (second.exit_code, second.status) == (0, 403)
    assert [scan.size for scan in gateway.kata.memory.submitted].count(len(body)) == 1


def test_what_passed_after_two_seconds_and_is_bad_after_six_is_in_no_cache(
    gateway: Gateway, caching: Squid
) -> None:
    path, body = "/cacheable.bin", slow_verdict("detect", 6, content(60_000, 3))
    second = fetch_twice(gateway, caching, path, body)
    assert (second.exit_code, second.status) == (0, 403)


def test_nor_is_a_large_one_whose_answer_had_begun(gateway: Gateway, caching: Squid) -> None:
    path, body = "/cacheable-large.bin", slow_verdict("detect", 6, content(200_000, 3))
    second = fetch_twice(gateway, caching, path, body)
    assert (second.exit_code, second.status) == (0, 403)
