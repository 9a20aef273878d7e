"""Squid with other ICAP settings than the example's: each is a wire form of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.emulator import EICAR
from tests.conftest import need
from tests.support.gateway import Serving
from tests.support.origin import content
from tests.support.squid import Squid

SIZES = [0, 5, 1024, 65535, 65536, 3_000_000]
SETTINGS = [
    "icap_206_enable on",
    "icap_206_enable off",
    "icap_preview_enable off",
    "icap_persistent_connections off",
]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(tmp_path_factory.mktemp("serving")) as running:
        yield running


@pytest.fixture(scope="module", params=SETTINGS)
def squid(request: pytest.FixtureRequest, serving: Serving) -> Iterator[Squid]:
    with Squid(need("squid"), serving.site.icap_port, request.param) as running:
        yield running


@pytest.mark.parametrize(
    ("kind", "size"), [*(("plain", size) for size in SIZES), ("chunked", 5), ("chunked", 65536)]
)
def test_a_clean_download_arrives_byte_for_byte(
    serving: Serving, squid: Squid, kind: str, size: int
) -> None:
    got = squid.curl(serving.origin.url(f"/{kind}/{size}/1"))
    assert (got.exit_code, got.status) == (0, 200)
    assert got.body == content(size, 1)


@pytest.mark.parametrize("size", [5, 65536])
def test_a_clean_upload_arrives_byte_for_byte(
    serving: Serving, squid: Squid, tmp_path: Path, size: int
) -> None:
    file = tmp_path / "upload"
    file.write_bytes(content(size, 1))
    serving.origin.uploads.clear()
    got = squid.curl(serving.origin.url("/up"), "-T", file)
    assert (got.exit_code, got.status) == (0, 201)
    assert serving.origin.uploads == [content(size, 1)]


def test_eicar_is_blocked_both_ways(serving: Serving, squid: Squid, tmp_path: Path) -> None:
    bad = content(20_000, 4) + EICAR
    serving.origin.served["/bad.com"] = bad
    file = tmp_path / "upload"
    file.write_bytes(bad)
    serving.origin.uploads.clear()
    down = squid.curl(serving.origin.url("/bad.com"))
    up = squid.curl(serving.origin.url("/up"), "-T", file)
    for got in (down, up):
        assert (got.exit_code, got.status) == (0, 403)
        assert b"Kaspersky KATA found a threat" in got.body
    assert serving.origin.uploads == []


def test_squid_does_as_it_is_set_and_sees_no_failure(
    serving: Serving, squid: Squid, request: pytest.FixtureRequest
) -> None:
    setting = request.node.callspec.params["squid"]
    for size in SIZES:
        assert squid.curl(serving.origin.url(f"/plain/{size}/1")).status == 200
    log = squid.icap_log()
    assert not [line for line in log if line.startswith("ICAP_ERR")]
    bodies = [line for line in log if " OPTIONS " not in line]
    assert len(bodies) >= 2 * len(SIZES)
    previews = {line.rpartition("preview=")[2] for line in bodies}
    assert (previews == {"-"}) is (setting == "icap_preview_enable off"), previews
    kept = serving.icapd.connections(serving.site.icap_port)
    assert (kept == 0) is (setting == "icap_persistent_connections off")
