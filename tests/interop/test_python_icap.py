"""python-icap, another client: OPTIONS and 204. It misreads a 200, so it is asked for none."""

from __future__ import annotations

from collections.abc import Iterator

import icap
import pytest

from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program

GET = b"GET http://files.example/a HTTP/1.1\r\nHost: files.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
PUT = b"PUT http://files.example/a HTTP/1.1\r\nHost: files.example\r\n\r\n"


@pytest.fixture
def client(site: Site, icapd: Program) -> Iterator[icap.IcapClient]:
    del icapd
    with icap.IcapClient("127.0.0.1", site.icap_port, timeout=20) as connected:
        yield connected


def test_options(client: icap.IcapClient) -> None:
    answer = client.options("av/respmod")
    assert answer.status_code == 200
    assert answer.headers["Methods"] == "RESPMOD"
    assert answer.headers["Preview"] == "4096"


def test_204_for_either_method_with_and_without_preview(
    site: Site, client: icap.IcapClient
) -> None:
    body = content(5000)
    response = OK % len(body) + body
    statuses = [
        client.respmod("av/respmod", GET, response).status_code,
        client.respmod("av/respmod", GET, response, preview=1024).status_code,
        client.respmod("av/respmod", GET, response, preview=8000).status_code,
        client.reqmod("av/reqmod", PUT, body).status_code,
        client.reqmod("av/reqmod", GET).status_code,
    ]
    assert statuses == [204] * 5
    assert [record["size"] for record in site.wait_records(4)] == [5000] * 4
