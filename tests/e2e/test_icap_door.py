"""The ICAP door as a program: who is served, what is refused, what a broken peer leaves."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.emulator import EICAR, Emulator
from icapd.client import Answer, IcapClient
from icapd.protocol import HttpHead
from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program, module, wait_until
from tests.support.shared_doors import SharedDoors, SharedSite

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a.bin HTTP/1.1\r\nHost: files.example\r\n\r\n"
PUT = b"PUT http://files.example/a.bin HTTP/1.1\r\nHost: files.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nX-Origin: yes\r\nETag: e\r\n\r\n"


def ok(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length


def connect(site: Site) -> socket.socket:
    return socket.create_connection(("127.0.0.1", site.icap_port), 20)


def read_all(sock: socket.socket) -> bytes:
    """Everything until the server closes."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def respmod_head(*fields: bytes, head: bytes = OK) -> bytes:
    lines = [b"RESPMOD icap://h/av/respmod ICAP/1.0", b"Host: h", *fields]
    lines.append(b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d" % (len(GET), len(GET + head)))
    return b"\r\n".join(lines) + b"\r\n\r\n" + GET + head


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedDoors]:
    """icapds for the tests that neither end nor fill one."""
    with SharedDoors(tmp_path_factory.mktemp("doors")) as shared:
        yield shared


@pytest.fixture
def shared(doors: SharedDoors) -> SharedSite:
    """The one with nothing changed."""
    return doors()


@pytest.fixture
def client(shared: SharedSite) -> Iterator[IcapClient]:
    """A client connected to it."""
    with IcapClient("127.0.0.1", shared.icap_port, timeout=20) as connected:
        yield connected


# -- what is said ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "method"), [("av/reqmod", "REQMOD"), ("av/respmod", "RESPMOD")]
)
def test_options(client: IcapClient, service: str, method: str) -> None:
    answer = client.options(service)
    assert answer.status == 200
    assert answer.fields["methods"] == method
    assert answer.fields["preview"] == "4096"
    assert answer.fields["transfer-preview"] == "*"
    assert answer.fields["allow"] == "204, 206"
    assert answer.fields["max-connections"] == "2000"
    assert answer.fields["encapsulated"] == "null-body=0"
    assert len(answer.fields["istag"].strip('"')) <= 32
    assert "opt-body-type" not in answer.fields


def test_options_tells_which_files_need_no_preview(site: Site, started: Keep) -> None:
    transfer = {"ignore": ["mp4", "ISO"], "complete": ["exe"]}
    site.changes = {"icap": {"transfer": transfer, "options_ttl": "90s"}}
    icapd = started(site.start_icapd())
    with IcapClient("127.0.0.1", site.icap_port) as client:
        fields = client.options("av/respmod").fields
    assert fields["transfer-ignore"] == "mp4, iso"
    assert fields["transfer-complete"] == "exe"
    assert fields["transfer-preview"] == "*"
    assert fields["options-ttl"] == "90"
    assert "send no file named like this, whatever is in it: mp4, iso" in icapd.output()


def test_every_answer_has_the_same_istag(client: IcapClient) -> None:
    answers: list[Answer] = [client.options(s) for s in ("av/reqmod", "av/respmod", "")]
    answers.append(client.respmod("av/respmod", GET, ok(1), b"x"))
    answers.append(client.respmod("av/respmod", GET, ok(1), b"x", allow_204=False))
    answers.append(client.respmod("av/respmod", GET, ok(68), EICAR))
    answers.append(client.reqmod("av/reqmod", GET, None))
    assert [answer.status for answer in answers] == [200, 200, 200, 204, 200, 200, 204]
    assert len({answer.fields["istag"] for answer in answers}) == 1


def test_an_empty_path_is_the_default_service(client: IcapClient) -> None:
    assert client.respmod("", GET, ok(1), b"x").status == 204
    assert client.reqmod("?mode=simple", PUT, b"x").status == 204
    assert client.respmod("av/respmod?allow204=on", GET, ok(1), b"x").status == 204


@pytest.mark.parametrize("preview", [None, 0, 1, 10, 4096])
@pytest.mark.parametrize("allow_204", [True, False])
@pytest.mark.parametrize("size", [1, 10, 11, 5000, 400_000])
def test_204_only_where_it_is_legal(
    client: IcapClient, preview: int | None, allow_204: bool, size: int
) -> None:
    body = content(size, (preview or 0) + allow_204)  # nobody knows it
    answer = client.respmod("av/respmod", GET, OK, body, preview=preview, allow_204=allow_204)
    fits = preview is not None and size <= preview
    if allow_204 or fits:
        assert answer.status == 204
        assert answer.body == b""
    else:
        assert answer.status == 200
        assert answer.body == body
        assert answer.http_head.raw == OK
    assert answer.continued is (preview is not None and not fits)


def test_a_request_without_a_body_makes_no_case(shared: SharedSite, client: IcapClient) -> None:
    assert client.reqmod("av/reqmod", GET, None, preview=0).status == 204
    answer = client.reqmod("av/reqmod", GET, None, allow_204=False)
    assert (answer.status, answer.http_head.raw) == (200, GET)
    assert client.respmod("av/respmod", GET, OK, b"", preview=1024).status == 204
    assert shared.records() == []


def test_who_the_user_is(shared: SharedSite, client: IcapClient) -> None:
    who = {"X-Client-IP": "10.1.2.3", "X-Client-Username": "aXZhbm92"}
    client.respmod("av/respmod", GET, ok(1), b"x", fields=who)
    (record,) = shared.records()
    assert record["context"]["client_ip"] == "10.1.2.3"
    assert record["context"]["user"] == "ivanov"
    assert record["name"] == "a.bin"


def test_raw_utf8_is_recorded_as_such_and_given_back_as_it_came(
    shared: SharedSite, client: IcapClient
) -> None:
    asked = "GET http://h.example/файл/ё HTTP/1.1\r\nHost: h.example\r\n\r\n".encode()
    named = 'Content-Disposition: attachment; filename="Отчёт.pdf"\r\n\r\n'.encode()
    said = ok(1).replace(b"\r\n\r\n", b"\r\n" + named)
    who = {"X-Client-Username": "иванов".encode().decode("latin-1")}
    answer = client.respmod("av/respmod", asked, said, b"x", fields=who, allow_204=False)
    assert answer.http_head.raw == said
    (record,) = shared.records()
    assert record["name"] == "Отчёт.pdf"
    assert record["context"]["url"] == "http://h.example/файл/ё"
    assert record["context"]["user"] == "иванов"


def test_urls_can_lose_their_query_in_the_log(site: Site, started: Keep) -> None:
    site.changes = {"logs": {"urls": "no_query"}}
    started(site.start_icapd())
    get = b"GET http://u:pw@h.example/a?token=secret HTTP/1.1\r\n\r\n"
    with IcapClient("127.0.0.1", site.icap_port) as client:
        client.respmod("av/respmod", get, ok(1), b"x")
    (record,) = site.records()
    assert record["context"]["url"] == "http://h.example/a"
    logs = "".join(path.read_text() for path in (site.directory / "log").iterdir())
    assert "secret" not in logs
    assert "pw@" not in logs


# -- what is refused ------------------------------------------------------------------------------

ODD = {
    "no request line": (b"hello\r\n\r\n", 400),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
    "another version": (b"OPTIONS icap://h/ ICAP/2.0\r\n\r\n", 505),
    "an unknown method": (b"DELETE icap://h/av/respmod ICAP/1.0\r\n\r\n", 501),
    "an unknown service": (b"OPTIONS icap://h/nothing ICAP/1.0\r\n\r\n", 404),
    "a method not offered": (
        b"REQMOD icap://h/av/respmod ICAP/1.0\r\nEncapsulated: null-body=0\r\n\r\n",
        405,
    ),
    "no Encapsulated": (b"RESPMOD icap://h/av/respmod ICAP/1.0\r\n\r\n", 400),
    "a bad chunk": (respmod_head() + b"-1\r\n", 400),
    "a bad preview": (respmod_head(b"Preview: x"), 400),
    "a preview longer than it says": (respmod_head(b"Preview: 2") + b"3\r\nabc\r\n", 400),
    "too long a head": (b"OPTIONS icap://h/ ICAP/1.0\r\nX: " + b"a" * 70_000, 400),
}


@pytest.mark.parametrize(("message", "status"), ODD.values(), ids=ODD.keys())
def test_odd_requests_get_their_status_and_the_connection_ends(
    shared: SharedSite, message: bytes, status: int
) -> None:
    with connect(shared) as sock:
        sock.sendall(message)
        answer = read_all(sock)
    assert answer.startswith(b"ICAP/1.0 %d " % status)
    assert b"\r\nISTag: " in answer
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"ICAP/1.0") == 1
    wait_until(lambda: "proxy 127.0.0.1" in shared.output(), "the log says why")


def test_who_is_not_allowed_gets_403_and_is_logged(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"allow_from": ["10.0.0.0/8"]}}
    icapd = started(site.start_icapd())
    with IcapClient("127.0.0.1", site.icap_port) as client:
        answer = client.respmod("av/respmod", GET, ok(68), EICAR)
    assert answer.status == 403
    assert site.records() == []
    line = "proxy 127.0.0.1: refused: its address is not in icap.allow_from"
    assert line in icapd.output()


def test_strangers_take_no_place_and_are_not_kept(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"allow_from": ["127.0.0.1/32"], "max_connections": 3}}
    icapd = started(site.start_icapd())
    with contextlib.ExitStack() as open_sockets:
        for _ in range(150):
            stranger = open_sockets.enter_context(socket.socket())
            stranger.bind(("127.0.0.2", 0))
            stranger.connect(("127.0.0.1", site.icap_port))
        assert _options(site) == 200
        assert icapd.connections(site.icap_port) > 0, "nothing is counted"
        wait_until(lambda: not icapd.connections(site.icap_port), "the strangers are gone", 15)


def test_many_requests_at_once_do_not_keep_others_waiting(site: Site, icapd: Program) -> None:
    del icapd
    with connect(site) as greedy, IcapClient("127.0.0.1", site.icap_port) as client:
        greedy.sendall(b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n" * 30_000)
        client.options("")
        greedy.settimeout(5)
        served = len(greedy.recv(1 << 20))
        assert served < 30_000 * 100, "all of the many were answered before the one"


def test_a_body_of_tiny_chunks_does_not_hold_up_others(site: Site, icapd: Program) -> None:
    del icapd
    with connect(site) as greedy, IcapClient("127.0.0.1", site.icap_port) as client:
        sender = threading.Thread(
            target=greedy.sendall, args=(respmod_head() + b"1\r\nx\r\n" * 2_000_000,)
        )
        sender.start()
        waits = []
        while sender.is_alive():
            begin = time.monotonic()
            client.options("")
            waits.append(time.monotonic() - begin)
        sender.join()
    assert len(waits) > 20, "others were served a few times only"


def test_strangers_that_drip_are_not_kept(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"allow_from": ["10.0.0.0/8"]}}
    started(site.start_icapd())
    with connect(site) as sock:
        sock.settimeout(0.3)
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begin < 20:
                sock.sendall(b"O")
                with contextlib.suppress(TimeoutError):
                    if not sock.recv(1):
                        break
        assert time.monotonic() - begin < 10


def test_one_slow_reader_leaves_room_in_the_spool_for_the_others(site: Site, started: Keep) -> None:
    site.changes = {
        "kata": {"max_object_size": "1MiB"},
        "spool": {"max_bytes": "20MiB"},
    }
    started(site.start_icapd())
    big = content(60_000_000, 2)
    with connect(site) as slow:
        sender = threading.Thread(target=_send_quietly, args=(slow, respmod_head(), big))
        sender.start()
        time.sleep(1.5)  # by now it has taken all it is given
        with IcapClient("127.0.0.1", site.icap_port) as client:
            for number in range(4):
                body = content(900_000, number)
                assert client.respmod("av/respmod", GET, OK, body).status == 204
        slow.shutdown(socket.SHUT_RDWR)
        sender.join()


def _send_quietly(sock: socket.socket, head: bytes, body: bytes) -> None:
    with contextlib.suppress(OSError):
        sock.sendall(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


def test_a_stop_tells_a_proxy_whose_body_never_came(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"5\r\nab")
        time.sleep(0.2)
        icapd.process.terminate()
        assert read_all(sock).startswith(b"ICAP/1.0 408 ")
    assert [record["outcome"] for record in site.records()] == ["error"]


def test_a_flood_from_a_client_that_is_gone_delays_no_stop(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as greedy:
        greedy.sendall(b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n" * 60_000)
    begin = time.monotonic()
    icapd.stop()
    assert time.monotonic() - begin < 12


def test_past_max_connections_503(site: Site, started: Keep) -> None:
    site.changes = {"icap": {"max_connections": 2}}
    icapd = started(site.start_icapd())
    with contextlib.ExitStack() as clients:
        kept: list[IcapClient] = []

        def admitted() -> bool:
            client = clients.enter_context(IcapClient("127.0.0.1", site.icap_port))
            if client.options("").status == 200:
                kept.append(client)
            return len(kept) == 2

        wait_until(admitted, "both places are taken")
        assert _options(site) == 503
        kept[0].close()
        wait_until(lambda: _options(site) == 200, "a place is free again")
    assert "icap.max_connections" in icapd.output()


def _options(site: Site) -> int:
    with IcapClient("127.0.0.1", site.icap_port) as client:
        return client.options("").status


# -- bodies that cannot be judged -----------------------------------------------------------------


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


def test_a_false_content_length_lets_nothing_pass_unjudged(
    kata: Emulator, site: Site, icap_client: IcapClient
) -> None:
    head = ok(999_999_999)
    answer = icap_client.respmod("av/respmod", GET, head, EICAR, preview=10)
    assert answer.http_head.status == 403
    put = PUT[:-2] + b"Content-Length: 999999999\r\n\r\n"
    assert icap_client.reqmod("av/reqmod", put, EICAR, preview=0).http_head.status == 403
    assert kata.memory.calls["submit"] == 1


ODD_HEADS = {
    "a file name in odd parts": b"HTTP/1.1 200 OK\r\nContent-Disposition: attachment; "
    b"filename*=UTF-8''a; filename*0=b\r\n\r\n",
    "a length of 5000 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a status with an exponent": b"HTTP/1.1 20\xb2 OK\r\n\r\n",
    "a request line": b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "no HTTP at all": b"\x00\xff\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("head", ODD_HEADS.values(), ids=ODD_HEADS.keys())
@pytest.mark.parametrize("body", [b"harmless", EICAR], ids=["clean", "eicar"])
def test_odd_http_heads_are_judged_like_any_other(
    shared: SharedSite, client: IcapClient, head: bytes, body: bytes
) -> None:
    body += b" in " + head[-20:]  # nobody knows it yet
    answer = client.respmod("av/respmod", GET, head, body)
    assert (answer.status == 204) is (body.startswith(b"harmless"))
    (record,) = shared.wait_records(1)
    assert record["outcome"] == ("not_detected" if body.startswith(b"harmless") else "detect")


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
    assert _dechunk(given) == body


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


# -- a head that is changed -----------------------------------------------------------------------

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


@pytest.mark.parametrize(
    ("request_head", "response_head", "withheld"),
    [
        (GET, ok(5), True),
        (GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", True),
        (GET, ok(0), False),
        (GET, OK, True),
        (GET, b"HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n", False),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0000000000000068\r\n\r\n", True),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 68, 68\r\n\r\n", True),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 68\r\n\r\n", True),
        (GET, b"HTTP/1.1 0200 OK\r\nContent-Length: 68\r\n\r\n", True),
        (GET.replace(b"GET", b"HEAD"), ok(5), False),
        (GET, ok(5).replace(b"200 OK", b"304 Not Modified"), False),
        (GET, ok(5).replace(b"200 OK", b"204 No Content"), False),
    ],
)
def test_a_body_that_the_proxy_withholds_is_unavailable(
    shared: SharedSite, request_head: bytes, response_head: bytes, withheld: bool
) -> None:
    answer = download_without_its_body(shared, request_head, response_head)
    assert (b"HTTP/1.1 403" in answer) is withheld
    assert answer.startswith(b"ICAP/1.0 200" if withheld else b"ICAP/1.0 204")
    outcomes = [(record["outcome"], record["rule"]) for record in shared.records()]
    assert outcomes == ([("unavailable", "withheld")] if withheld else [])


def download_without_its_body(site: Site, request_head: bytes, response_head: bytes) -> bytes:
    offsets = (len(request_head), len(request_head + response_head))
    with connect(site) as sock:
        sock.sendall(
            b"RESPMOD icap://h/av/respmod ICAP/1.0\r\nAllow: 204\r\nConnection: close\r\n"
            b"Encapsulated: req-hdr=0, res-hdr=%d, null-body=%d\r\n\r\n"
            % offsets
            + request_head
            + response_head
        )
        return read_all(sock)


def test_a_withheld_upload_is_blocked_and_whatever_is_withheld_is_said(
    site: Site, icapd: Program, icap_client: IcapClient
) -> None:
    put = PUT[:-2] + b"Content-Length: 68\r\n\r\n"
    answer = icap_client.reqmod("av/reqmod", put, None)
    assert answer.http_head.status == 403
    assert [record["outcome"] for record in site.records()] == ["unavailable"]
    assert icapd.output().count("withholds the body") == 1
    download_without_its_body(site, GET, ok(5))
    assert icapd.output().count("withholds the body") == 2


def test_a_verdict_on_a_part_is_said(shared: SharedSite, client: IcapClient) -> None:
    client.respmod("av/respmod", GET, ok(1000), b"only this")
    (record,) = shared.records()
    assert record["context"]["note"] == "judged on a part: 9 of 1000 bytes arrived"


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


# -- a stalled body -------------------------------------------------------------------------------


def stalling(site: Site, total: int, first: int) -> tuple[socket.socket, bytes]:
    """A proxy that stops after `first` of `total` bytes until it is sent something."""
    body = content(total, 9)
    sock = connect(site)
    sock.sendall(respmod_head(head=OK) + b"%x\r\n%b\r\n" % (first, body[:first]))
    return sock, body


def test_a_stalled_body_is_freed_by_the_head_and_then_a_byte_each_time(
    site: Site, icapd: Program
) -> None:
    del icapd
    sock, body = stalling(site, 200_000, 70_000)
    with sock:
        got = sock.recv(65536)
        assert got.startswith(b"ICAP/1.0 200 OK\r\n")
        head = HttpHead(got.partition(b"\r\n\r\n")[2])
        assert head.field("x-origin") == "yes"
        assert head.field("etag") is None, "a cut download could be resumed"
        for n in range(3):
            more = body[70_000 + n * 40_000 : 110_000 + n * 40_000]
            sock.sendall(b"9c40\r\n%b\r\n" % more)
            assert sock.recv(65536) == b"1\r\n%b\r\n" % body[n : n + 1]
        sock.settimeout(1)
        with pytest.raises(TimeoutError):
            sock.recv(1)  # without progress nothing more is given
        sock.settimeout(20)
        rest = body[190_000:]
        sock.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(rest), rest))
        sock.shutdown(socket.SHUT_WR)
        answer = read_all(sock)
    assert _dechunk(answer) == body[3:]
    assert [record["outcome"] for record in site.records()] == ["not_detected"]


def test_a_stalled_body_ends_with_the_clients_own_copy_where_it_offers_one(
    site: Site, started: Keep
) -> None:
    site.changes = {"icap": {"policy": {"unavailable": "pass"}}}
    started(site.start_icapd())
    body = content(90_000, 9)
    with connect(site) as sock:
        sock.sendall(respmod_head(b"Allow: 204, 206") + b"%x\r\n%b\r\n" % (70_000, body[:70_000]))
        got = sock.recv(65536)
        assert got.startswith(b"ICAP/1.0 206 Partial Content\r\n")
        head = HttpHead(got.partition(b"\r\n\r\n")[2])
        assert head.field("etag") is None
        assert head.field("via") == "ICAP/1.0 test (katabridge)"
        assert head.field("cache-control") == "no-store", "it may yet pass without a verdict"
        sock.sendall(b"4e20\r\n%b\r\n0\r\n\r\n" % body[70_000:])
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"0; use-original-body=0\r\n\r\n"
    assert [record["outcome"] for record in site.records()] == ["not_detected"]


def test_a_stalled_body_that_turns_out_bad_is_cut(site: Site, icapd: Program) -> None:
    sock, body = stalling(site, 70_000, 70_000)
    with sock:
        got = sock.recv(65536)
        assert got.startswith(b"ICAP/1.0 200 OK\r\n")
        sock.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(EICAR), EICAR))
        with contextlib.suppress(ConnectionResetError):
            got += read_all(sock)
    assert not got.endswith(b"0\r\n\r\n")
    assert len(got) < 1000
    assert body[:100] not in got
    assert [record["decision"] for record in site.wait_records(1)] == ["block"]
    assert "its download is cut" in icapd.output()


def test_an_upload_is_never_begun_before_its_verdict(site: Site, icapd: Program) -> None:
    del icapd
    with connect(site) as sock:
        head = b"REQMOD icap://h/av/reqmod ICAP/1.0\r\nEncapsulated: req-hdr=0, req-body=%d\r\n\r\n"
        sock.sendall(head % len(PUT) + PUT + b"%x\r\n%b\r\n" % (70_000, b"x" * 70_000))
        sock.settimeout(1.0)
        with pytest.raises(TimeoutError):
            sock.recv(1)


def _dechunk(data: bytes) -> bytes:
    body = b""
    while True:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            return body
        body, data = body + data[:size], data[size + 2 :]


# -- peers that go away ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_proxy_that_leaves_in_mid_body_leaves_a_record_and_nothing_else(
    kata: Emulator, site: Site, icapd: Program, size: int
) -> None:
    spool = site.directory / "spool" / "test.icap.0"
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"%x\r\n" % (size * 2) + b"x" * size)
        if size > 500_000:
            wait_until(lambda: icapd.open_below(spool), "the spool file is open")
    wait_until(site.records, "the record")
    (record,) = site.records()
    assert (record["outcome"], record["decision"]) == ("error", "block")
    assert kata.memory.calls["submit"] == 0
    wait_until(lambda: not list(spool.iterdir()), "the spool file is gone", 2)
    wait_until(lambda: not icapd.open_below(spool), "its descriptor is given back", 2)
    wait_until(lambda: not icapd.connections(site.icap_port), "the connection is closed", 2)


def test_a_proxy_that_leaves_while_its_body_is_judged(site: Site, icapd: Program) -> None:
    del icapd
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"1d\r\n#kata state=detect delay=0.5\n\r\n0\r\n\r\n")
        time.sleep(0.2)
    wait_until(site.records, "the record")
    assert [record["outcome"] for record in site.records()] == ["detect"]


def test_a_stop_lets_a_held_request_end(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"1d\r\n#kata state=detect delay=0.9\n\r\n0\r\n\r\n")
        time.sleep(0.3)
        icapd.process.terminate()
        assert b"HTTP/1.1 403" in read_all(sock)
    assert icapd.stop() == 0
    assert [record["outcome"] for record in site.records()] == ["detect"]


def test_a_stop_does_not_wait_for_a_slow_kata(kata: Emulator, site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        sock.sendall(respmod_head() + b"0f\r\n#kata delay=60\n\r\n0\r\n\r\n")
        wait_until(lambda: kata.memory.scans, "it is at KATA")
        assert icapd.stop() == 0
        assert b"HTTP/1.1 403" in read_all(sock), "the user is told"
    (record,) = site.records()
    assert (record["outcome"], record["decision"]) == ("unavailable", "block")
    assert len(kata.memory.scans) == 1, "its verdict is there for the next start"


def test_an_idle_connection_is_closed_in_silence_by_a_stop(site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    with connect(site) as sock:
        wait_until(lambda: icapd.process.poll() is None, "it runs")
        sock.sendall(b"OPTIONS icap://h/ ICAP/1.0\r\n\r\n")
        assert sock.recv(65536).startswith(b"ICAP/1.0 200")
        icapd.process.terminate()
        assert read_all(sock) == b""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"logs": {"dir": "client.pem/log"}}, "Not a directory (logs.dir)."),
        ({"spool": {"dir": "client.pem"}}, "(spool.dir)."),
    ],
)
def test_what_cannot_start_is_one_sentence(
    site: Site, change: dict[str, Any], sentence: str
) -> None:
    site.changes = change
    program = Program([*module("icapd.cli"), "--config", site.config], site.directory / "out.txt")
    assert program.process.wait(20) == 1
    (line,) = program.output().splitlines()
    assert line.startswith("icapd: ")
    assert line.endswith(sentence)


def test_a_taken_port_is_one_sentence(site: Site) -> None:
    with socket.create_server(("127.0.0.1", site.icap_port)):
        command = [*module("icapd.cli"), "--config", site.config]
        program = Program(command, site.directory / "out.txt")
        assert program.process.wait(20) == 1
    assert program.output() == (
        f"icapd: cannot listen on 127.0.0.1:{site.icap_port} (icap.listen): "
        "it is taken by another program.\n"
    )
