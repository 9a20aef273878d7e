"""Bodies that are too large for KATA or for the spool, on the running ICAP door."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from icapd.client import IcapClient
from tests.support.icap_door import GET, OK, connect, dechunk, ok, read_all, respmod_head
from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program
from tests.support.shared_doors import SharedDoors

Keep = Callable[[Program], Program]


@pytest.mark.parametrize(
    ("decision", "status"), [("pass", None), ("block", 403)], ids=["pass", "block"]
)
@pytest.mark.parametrize("preview", [None, 1024])
@pytest.mark.parametrize("announced", [True, False])
def test_oversize(
    doors: SharedDoors,
    decision: str,
    status: int | None,
    preview: int | None,
    announced: bool,
) -> None:
    policy = {"policy": {"oversize": decision}}
    site = doors({"kata": {"max_object_size": "1MiB"}, "icap": policy})
    body = content(3_000_000, 5)
    head = ok(len(body)) if announced else OK
    with IcapClient("127.0.0.1", site.icap_port) as client:
        answer = client.respmod("av/respmod", GET, head, body, preview=preview, allow_204=False)
        again = client.options("av/respmod")
    if status is not None:
        assert answer.http_head.status == status
        assert answer.continued is (preview is not None and not announced)
    else:
        assert answer.body == body
    assert again.status == 200, "the connection goes on"
    (record,) = site.records()
    assert (record["outcome"], record["decision"]) == ("oversize", decision)
    assert site.kata.memory.calls["submit"] == 0


@pytest.mark.parametrize("allow", [b"Allow: 204\r\n", b""])
@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"0; ieof\r\n\r\n"])
def test_oversize_in_the_preview_leaves_the_connection_in_order(
    doors: SharedDoors, allow: bytes, end: bytes
) -> None:
    site = doors({"kata": {"max_object_size": "10B"}})
    head = respmod_head(b"Preview: 1024" + (b"\r\n" + allow).rstrip())
    with connect(site) as sock:
        sock.sendall(head + b"64\r\n%b\r\n%b" % (b"x" * 100, end))
        sock.sendall(b"OPTIONS icap://h/ ICAP/1.0\r\nConnection: close\r\n\r\n")
        answer = read_all(sock)
    assert answer.startswith(b"ICAP/1.0 204 ")
    assert answer.count(b"ICAP/1.0 ") == 2
    assert [record["outcome"] for record in site.records()] == ["oversize"]


def test_a_client_that_sends_all_before_it_reads_gets_all_back(site: Site, started: Keep) -> None:
    site.changes = {"kata": {"max_object_size": "1MiB"}}
    started(site.start_icapd())
    body = content(30_000_000, 2)
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        assert client.respmod("av/respmod", GET, OK, body, allow_204=False).body == body


@pytest.mark.parametrize("spool", ["100KiB", "10MiB"])
def test_a_slow_reader_of_an_oversize_body_gets_all_of_it(
    site: Site, started: Keep, spool: str
) -> None:
    site.changes = {
        "kata": {"max_object_size": "64KiB"},
        "spool": {"memory": "1KiB", "max_bytes": spool},
        "icap": {"policy": {"unavailable": "pass"}},
    }
    started(site.start_icapd())
    body = content(20_000_000, 2)
    with connect(site) as sock:
        sender = threading.Thread(
            target=sock.sendall,
            args=(respmod_head() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),),
        )
        sender.start()
        time.sleep(0.5)
        answer = b""
        while not answer.endswith(b"\r\n0\r\n\r\n"):
            answer += sock.recv(1 << 16)
        sender.join()
    # oversize or, where the first piece is too much for the spool, unavailable: an edited head
    _, _, given = answer.split(b"\r\n\r\n", 2)
    assert dechunk(given) == body


@pytest.mark.parametrize("preview", [None, 1024, 200_000])
def test_a_full_spool_blocks_and_says_so(doors: SharedDoors, preview: int | None) -> None:
    site = doors({"spool": {"memory": "1KiB", "max_bytes": "100KiB"}})
    with IcapClient("127.0.0.1", site.icap_port) as client:
        answer = client.respmod("av/respmod", GET, OK, content(500_000, 6), preview=preview)
        small = client.respmod("av/respmod", GET, OK, content(50_000, preview or 6))
    assert answer.http_head.status == 403
    assert small.status == 204
    assert [record["outcome"] for record in site.records()] == ["unavailable", "not_detected"]
    assert "spool.max_bytes" in site.output()


def test_a_full_spool_passes_the_whole_body_where_policy_says_so(site: Site, started: Keep) -> None:
    site.changes = {
        "spool": {"memory": "1KiB", "max_bytes": "100KiB"},
        "icap": {"policy": {"unavailable": "pass"}},
    }
    started(site.start_icapd())
    body = content(500_000, 6)
    with IcapClient("127.0.0.1", site.icap_port) as client:
        answer = client.respmod("av/respmod", GET, OK, body, allow_204=False)
    assert answer.body == body
