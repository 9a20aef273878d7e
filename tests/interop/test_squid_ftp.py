"""Uploads to FTP through Squid's gateway: some ICAP servers hang on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.emulator import EICAR
from tests.conftest import need
from tests.support.ftp import FtpServer
from tests.support.gateway import Gateway
from tests.support.origin import content


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway"), need("squid")) as running:
        yield running


@pytest.fixture
def ftp() -> Iterator[FtpServer]:
    with FtpServer() as running:
        yield running


@pytest.mark.sample(2)
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "of unknown length"])
@pytest.mark.parametrize("size", [10, 200_000])
def test_an_ftp_upload_is_judged_and_goes_on(
    gateway: Gateway, ftp: FtpServer, tmp_path: Path, size: int, chunked: bool
) -> None:
    known = len(gateway.site.records())
    options = ["-H", "Transfer-Encoding: chunked"] if chunked else []
    for name, body in (("clean", content(size, 5)), ("bad", content(size, 5) + EICAR)):
        file = tmp_path / name
        file.write_bytes(body)
        url = f"ftp://127.0.0.1:{ftp.port}/{name}"
        got = gateway.squid.curl(url, "-T", file, *options)
        assert got.exit_code == 0
        assert (got.status == 403) is (name == "bad"), got
    assert ftp.uploads == {"clean": content(size, 5)}
    records = gateway.site.wait_records(known + 2)[known:]
    names = [(record["name"], record["decision"]) for record in records]
    assert names == [("clean", "pass"), ("bad", "block")]
    assert all(record["context"]["url"].startswith("ftp://") for record in records)
