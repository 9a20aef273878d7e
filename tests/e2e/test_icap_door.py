"""The ICAP door as a program: what it says, and what it makes of odd requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bridge.emulator import EICAR, Emulator
from icapd.client import Answer, IcapClient
from tests.support.icap_door import GET, OK, PUT, connect, ok, read_all, respmod_head
from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program, wait_until
from tests.support.shared_doors import SharedDoors, SharedSite

Keep = Callable[[Program], Program]


@pytest.fixture
def shared(doors: SharedDoors) -> SharedSite:
    """The one with nothing changed."""
    return doors()


@pytest.fixture
def client(shared: SharedSite) -> Iterator[IcapClient]:
    """A client connected to it."""
    with IcapClient("127.0.0.1", shared.icap_port, timeout=20) as connected:
        yield connected


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
