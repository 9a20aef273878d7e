"""What passes the ICAP door without a verdict, and how it is marked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from icapd.client import IcapClient
from tests.support.icap_door import GET, PUT
from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program, wait_until
from tests.support.shared_doors import SharedDoors

Keep = Callable[[Program], Program]


PASSES_ERRORS = {"icap": {"policy": {"error": "pass"}}}


@pytest.mark.parametrize("preview", [None, 100, 4096])
@pytest.mark.parametrize("allow_204", [True, False])
@pytest.mark.parametrize("allow_206", [True, False])
def test_what_passes_without_a_verdict_stays_out_of_caches(
    doors: SharedDoors, preview: int | None, allow_204: bool, allow_206: bool
) -> None:
    site = doors(PASSES_ERRORS)
    body = b"#kata state=error\n" + content(2000, 5)
    head = b"HTTP/1.1 200 OK\r\nCache-Control: public\r\nVia: 1.1 origin\r\n\r\n"
    with IcapClient("127.0.0.1", site.icap_port) as client:
        answer = client.respmod(
            *("av/respmod", GET, head, body),
            preview=preview,
            allow_204=allow_204,
            allow_206=allow_206,
        )
        after = client.reqmod("av/reqmod", GET, None)
    legal = allow_206 and (allow_204 or preview == 4096)
    assert answer.status == (206 if legal else 200)
    assert answer.own_from == (0 if legal else None)
    assert answer.body == body
    assert answer.http_head.all("cache-control") == ["no-store"]
    assert answer.http_head.all("via") == ["1.1 origin", "ICAP/1.0 test (katabridge)"]
    assert after.status == 204
    assert [(each["outcome"], each["decision"]) for each in site.records()] == [("error", "pass")]


def test_what_is_out_of_caches_already_passes_as_it_came(doors: SharedDoors) -> None:
    site = doors(PASSES_ERRORS)
    head = b"HTTP/1.1 200 OK\r\nCache-Control: private, No-Store\r\n\r\n"
    with IcapClient("127.0.0.1", site.icap_port) as client:
        assert client.respmod("av/respmod", GET, head, b"#kata state=error\n").status == 204
        assert client.reqmod("av/reqmod", PUT, b"#kata state=error\n").status == 204


def test_an_upload_without_a_verdict_in_time_is_a_page(site: Site, started: Keep) -> None:
    service = {"method": "REQMOD", "mode": "advanced", "hold": "300ms"}
    site.changes = {
        "icap": {"services": {"av/reqmod": service}},
        "kata": {"poll_interval": "300ms"},
    }
    started(site.start_icapd())
    data = b"#kata state=detect delay=1\n"
    with IcapClient("127.0.0.1", site.icap_port) as client:
        first = client.reqmod("av/reqmod", PUT, data)
        assert first.http_head.status == 503
        assert first.http_head.field("retry-after") == "10"
        wait_until(lambda: site.records("log-detects.log"), "the late detection")
        second = client.reqmod("av/reqmod", PUT, data)
    assert second.http_head.status == 403
    one, two = site.records()
    assert (one["outcome"], one["decision"]) == ("pending", "hold")
    assert (two["outcome"], two["source"]) == ("detect", "known")
    late = site.records("log-detects.log")[0]
    assert (late["late"], late["case"]) == (True, one["case"])
