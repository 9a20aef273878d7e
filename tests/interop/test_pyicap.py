"""pyicap, another server: our client is understood by it, and it by our client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from icapd.client import IcapClient
from tests.support.origin import content
from tests.support.processes import Program, accepts, free_port, module

GET = b"GET http://files.example/a HTTP/1.1\r\nHost: files.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[IcapClient]:
    port = free_port()
    server = Program([*module("tests.bench.pyicap_server"), port], tmp_path / "pyicap.out")
    server.wait_for(lambda: accepts(port), "pyicap")
    with IcapClient("127.0.0.1", port, timeout=20) as connected:
        yield connected
    server.process.terminate()
    server.process.wait()


@pytest.mark.parametrize(("size", "preview"), [(500, 4096), (10_000, 1024), (10_000, None)])
def test_a_body_with_and_without_preview(
    client: IcapClient, size: int, preview: int | None
) -> None:
    for _ in range(2):
        answer = client.respmod("bench", GET, OK, content(size), preview=preview)
        assert answer.status == 204
        assert answer.continued is (preview is not None and size > preview)
