"""The faults that users report about ICAP servers, each by its name, against a running icapd."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.support.gateway import Serving
from tests.support.katabridge import Site
from tests.support.origin import content
from tests.support.processes import Program, free_port, wait_until
from tests.support.raw_icap import RawIcap, chunk, message

Keep = Callable[[Program], Program]
GET = b"GET http://files.example/a.bin HTTP/1.1\r\nHost: files.example\r\n\r\n"
PUT = b"PUT http://files.example/a.bin HTTP/1.1\r\nHost: files.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nX-Origin: yes\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n\r\n"
OPTIONS = b"OPTIONS icap://h/av/respmod ICAP/1.0\r\nHost: h\r\n"
END = b"0\r\n\r\n"


def respmod(*fields: str) -> bytes:
    return message("RESPMOD", [("req-hdr", GET), ("res-hdr", OK)], "res-body", fields)


def reqmod(*fields: str, head: bytes = PUT) -> bytes:
    return message("REQMOD", [("req-hdr", head)], "req-body", fields)


def get(*fields: str) -> bytes:
    """A request without a body, as every proxy sends most of the time."""
    return message("REQMOD", [("req-hdr", GET)], "null-body", fields)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """An icapd for the tests that need no configuration of their own."""
    with Serving(tmp_path_factory.mktemp("serving")) as running:
        yield running


@pytest.fixture
def icap(serving: Serving) -> Iterator[RawIcap]:
    with RawIcap(serving.site.icap_port) as connected:
        yield connected


# -- a body that is not there, ends early, or was there before ------------------------------------


def test_hang_after_null_body(icap: RawIcap) -> None:
    not_modified = message(
        "RESPMOD", [("req-hdr", GET), ("res-hdr", NOT_MODIFIED)], "null-body", ["Preview: 0"]
    )
    for asked in (get("Preview: 0", "Allow: 204"), get(), get("Preview: 4096"), not_modified):
        icap.send(asked)  # and not a byte more
        answer = icap.answer()
        assert answer.status in (200, 204)
        assert answer.body is None
    icap.send(OPTIONS + b"Encapsulated: null-body=0\r\n\r\n")
    assert icap.answer().fields["methods"] == "RESPMOD"


@pytest.mark.parametrize("end", [b"0; ieof\r\n\r\n", b"0;ieof\r\n\r\n"])
@pytest.mark.parametrize("ask", [respmod, reqmod])
def test_hang_after_ieof(icap: RawIcap, ask: Callable[..., bytes], end: bytes) -> None:
    for body, status in ((b"harmless", 204), (EICAR, 200), (b"", 204)):
        icap.send(ask("Preview: 1024"), chunk(body) if body else b"", end)
        assert icap.answer().status == status, "100 would be forbidden here"
    icap.send(OPTIONS + b"\r\n")
    assert icap.answer().status == 200


def test_a_body_flag_left_over_from_the_request_before(serving: Serving, icap: RawIcap) -> None:
    who = "X-Client-IP: 10.9.8.7"
    whole = chunk(b"harmless") + END
    ieof = chunk(b"harmless") + b"0; ieof\r\n\r\n"
    asked = [
        (respmod(who, "Allow: 204") + whole, 204, None),
        (get(who, "Allow: 204"), 204, None),
        (reqmod(who) + chunk(EICAR) + END, 200, b"Kaspersky KATA found a threat"),
        (get(who), 200, None),
        (respmod(who, "Preview: 1024") + ieof, 204, None),
        (get(who, "Preview: 0"), 200, None),
        (reqmod(who) + whole, 200, b"harmless"),
        (OPTIONS + b"\r\n", 200, None),
        (respmod(who) + whole, 200, b"harmless"),
        (get(who, "Preview: 1024", "Allow: 204"), 204, None),
    ]
    for number, (data, status, body) in enumerate(asked):
        icap.send(data)
        answer = icap.answer()
        assert (answer.status, answer.body is None) == (status, body is None), number
        assert (body or b"") in (answer.body or b""), number

    def cases() -> int:
        return sum(r["context"]["client_ip"] == "10.9.8.7" for r in serving.site.records())

    wait_until(lambda: cases() >= 5, "the record of the block: its threat's name is asked for")
    assert cases() == 5, "a request without a body made a case"


# -- offsets and sizes ----------------------------------------------------------------------------


def test_wrong_offsets_in_answers(icap: RawIcap) -> None:
    icap.send(respmod(), chunk(b"harmless"), END)
    answer = icap.answer()
    assert (answer.heads, answer.body) == (OK, b"harmless")
    assert answer.fields["encapsulated"] == f"res-hdr=0, res-body={len(OK)}"
    icap.send(reqmod(), chunk(b"harmless"), END)
    answer = icap.answer()
    assert (answer.heads, answer.body) == (PUT, b"harmless")
    assert answer.fields["encapsulated"] == f"req-hdr=0, req-body={len(PUT)}"
    icap.send(get())
    answer = icap.answer()
    assert (answer.heads, answer.fields["encapsulated"]) == (
        GET,
        f"req-hdr=0, null-body={len(GET)}",
    )
    for ask in (respmod, reqmod):
        icap.send(ask(), chunk(EICAR), END)
        answer = icap.answer()
        assert answer.http_status == 403
        assert answer.heads.endswith(b"\r\n\r\n")
        length = f"Content-Length: {len(answer.body or b'')}\r\n".encode("ascii")
        assert length in answer.heads


WRONG = {
    "the first is not 0": f"req-hdr=9, res-hdr={len(GET) + 9}, res-body={len(GET + OK) + 9}",
    "they fall": f"req-hdr=0, res-hdr={len(GET + OK)}, res-body={len(GET)}",
    "one is negative": f"req-hdr=0, res-hdr={len(GET)}, res-body=-1",
    "the body begins in the head": f"req-hdr=0, res-hdr={len(GET)}, res-body={len(GET + OK) - 7}",
    "the body begins in the chunks": f"req-hdr=0, res-hdr={len(GET)}, res-body={len(GET + OK) + 3}",
    "far too large": "req-hdr=0, res-hdr=10, res-body=999999999",
    "a part that RESPMOD has not": f"req-hdr=0, req-body={len(GET)}",
    "no body": f"req-hdr=0, res-hdr={len(GET)}",
}


@pytest.mark.parametrize("offsets", WRONG.values(), ids=WRONG.keys())
def test_wrong_offsets_in_requests(serving: Serving, icap: RawIcap, offsets: str) -> None:
    known = len(serving.site.records())
    right = f"req-hdr=0, res-hdr={len(GET)}, res-body={len(GET + OK)}"
    asked = respmod("Allow: 204").replace(right.encode(), offsets.encode())
    assert offsets.encode() in asked
    icap.send(asked, chunk(EICAR), END)
    assert icap.answer().status == 400
    assert icap.rest() == b"", "more was read into a message that cannot be understood"
    decisions = {record["decision"] for record in serving.site.records()[known:]}
    assert decisions <= {"block"}


@pytest.mark.parametrize("size", [65535, 65536, 65537, 200_000, 3_000_000])
@pytest.mark.parametrize("ask", [respmod, reqmod])
def test_failure_above_64_kib(icap: RawIcap, ask: Callable[..., bytes], size: int) -> None:
    body = content(size, 1)
    icap.send(ask(), chunk(body), END)  # one chunk
    assert icap.answer().body == body
    icap.send(ask("Preview: 1024"), chunk(body[:1024]), END)
    assert icap.answer().status == 100
    icap.send(*(chunk(body[at : at + 9999]) for at in range(1024, size, 9999)), END)
    assert icap.answer().body == body
    icap.send(ask(), chunk(body + EICAR), END)
    assert icap.answer().http_status == 403


# -- peers, signals and scanners that misbehave ---------------------------------------------------


def spoiled(chance: random.Random, data: bytes) -> bytes:
    """A message with a fault in it."""
    at = chance.randrange(len(data))
    odd = chance.choice(
        [b"\0", b"\r\n", b"\r", b"\xff" * 9, b"-", b": ", b"9" * 40, b"; ieof", b""]
    )
    return data[:at] + odd + data[at + chance.randrange(30) :]


def test_crash_on_odd_input(serving: Serving) -> None:
    site, icapd = serving.site, serving.icapd
    chance = random.Random(2026)
    whole = get("Allow: 204") + respmod("Preview: 9") + chunk(b"x" * 9) + b"0; ieof\r\n\r\n"
    whole += reqmod() + chunk(EICAR) + END
    answers = 0
    for number in range(300):
        data = spoiled(chance, whole) if number % 10 else chance.randbytes(number * 10 + 1)
        with RawIcap(site.icap_port) as odd:
            odd.send(data)
            odd.socket.shutdown(socket.SHUT_WR)
            said = odd.rest()
        assert said == b"" or said.startswith(b"ICAP/1.0 "), data
        answers += said.count(b"ICAP/1.0 400")
    assert answers > 50, "hardly any of it was odd"
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        assert client.respmod("av/respmod", GET, OK, EICAR).http_head.status == 403
    assert icapd.process.poll() is None
    assert "a fault of katabridge itself" not in icapd.output()
    wait_until(lambda: not icapd.connections(site.icap_port), "every connection is gone")


def test_reload_that_drops_connections(site: Site, icapd: Program, kata: Emulator) -> None:
    with RawIcap(site.icap_port) as held, RawIcap(site.icap_port) as idle:
        idle.send(OPTIONS + b"\r\n")
        tag = idle.answer().fields["istag"]
        held.send(respmod(), chunk(b"#kata state=detect delay=1\n"), END)
        wait_until(lambda: kata.memory.scans, "it is at KATA")
        icapd.process.send_signal(signal.SIGHUP)
        assert held.answer().http_status == 403
        for kept in (idle, held):
            kept.send(OPTIONS + b"\r\n")
            assert kept.answer().fields["istag"] == tag
    wait_until(lambda: "is reloaded" in icapd.output(), "the log says what came of it")
    assert icapd.process.poll() is None


@pytest.mark.parametrize("ask", [respmod, reqmod])
def test_read_timeout_while_the_scanner_is_silent(
    kata: Emulator, site: Site, started: Keep, ask: Callable[..., bytes]
) -> None:
    site.changes = {
        "icap": {
            "services": {
                "av/respmod": {"method": "RESPMOD", "hold": "1s"},
                "av/reqmod": {"method": "REQMOD", "hold": "1s"},
            }
        }
    }
    started(site.start_icapd())
    with RawIcap(site.icap_port) as icap:
        icap.send(ask(), chunk(b"#kata delay=300\n"), END)
        assert icap.answer().http_status == 503
        assert len(kata.memory.scans) == 1, "KATA has said nothing yet"
    (record,) = site.wait_records(1)
    assert (record["outcome"], record["decision"]) == ("pending", "hold")


def test_read_timeout_while_kata_does_not_even_answer_its_door(site: Site, started: Keep) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        site.changes = {
            "kata": {"urls": [f"https://127.0.0.1:{silent.getsockname()[1]}"]},
            "icap": {"services": {"av/respmod": {"method": "RESPMOD", "hold": "1s"}}},
        }
        icapd = site.start_icapd()
        with RawIcap(site.icap_port) as icap:
            icap.send(respmod(), chunk(b"harmless"), END)
            assert icap.answer().http_status == 503
    started(icapd)


# -- what is sent is judged, whole, and given back whole ------------------------------------------


@pytest.mark.parametrize("size", [0, 10, 300_000])
def test_ftp_uploads_that_hang(serving: Serving, icap: RawIcap, size: int) -> None:
    ftp = b"PUT ftp://files.example/%d.bin HTTP/1.1\r\nHost: files.example\r\n\r\n" % size
    for number, bad in enumerate((b"", EICAR)):
        icap.send(reqmod("Preview: 0", "Allow: 204", head=ftp), END)
        assert icap.answer().status == 100
        body = content(size, number) + bad
        icap.send(*(chunk(body[at : at + 4000]) for at in range(0, len(body), 4000)), END)
        answer = icap.answer()
        assert (answer.status, answer.http_status) == ((200, 403) if bad else (204, 0))
    url = f"ftp://files.example/{size}.bin"
    wait_until(
        lambda: url in {record["context"]["url"] for record in serving.site.records()}, "a record"
    )


@pytest.mark.parametrize("preview", [None, 10, 4096])
def test_form_uploads_not_unpacked(serving: Serving, preview: int | None) -> None:
    head = b"POST http://h/up HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b-1\r\n\r\n"
    field = b'--b-1\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
    start = b'--b-1\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
    for body, status in ((b"harmless", 204), (EICAR, 200), (content(100_000, 3) + EICAR, 200)):
        form = field + start + body + b"\r\n--b-1--\r\n"
        with IcapClient("127.0.0.1", serving.site.icap_port, timeout=20) as client:
            answer = client.reqmod("av/reqmod", head, form, preview=preview)
        assert answer.status == status
        assert (answer.http_head.status == 403) is (status == 200)


@pytest.mark.parametrize("ask", [respmod, reqmod])
def test_over_limit_files_truncated(site: Site, started: Keep, ask: Callable[..., bytes]) -> None:
    limit = 64 * 1024
    site.changes = {"kata": {"max_object_size": "64KiB"}}
    started(site.start_icapd())
    sizes = [limit - 1, limit, limit + 1, 2 * limit, 2_000_000]
    with RawIcap(site.icap_port) as icap:
        for size in sizes:
            body = content(size, 1)
            icap.send(ask(), chunk(body), END)
            assert icap.answer().body == body
    outcomes = [record["outcome"] for record in site.wait_records(len(sizes))]
    assert outcomes == ["not_detected"] * 2 + ["oversize"] * 3


# -- weeks later ----------------------------------------------------------------------------------


def mixed_requests(site: Site, count: int) -> None:
    """Judged, blocked, unjudged, broken and given up, small and large, one after another."""
    known, large = content(5000, 1), content(400_000, 2)
    for number in range(count):
        with RawIcap(site.icap_port) as icap:
            for body in (known, large):
                icap.send(respmod("Preview: 100"), chunk(body[:100]), END)
                assert icap.answer().status == 100
                icap.send(chunk(body[100:]), END)
                assert icap.answer().body == body
            icap.send(reqmod("Preview: 100"), chunk(EICAR), b"0; ieof\r\n\r\n")
            assert icap.answer().http_status == 403
            icap.send(get(), OPTIONS + b"\r\n")
            assert [icap.answer().status for _ in range(2)] == [200, 200]
            part = [b"zz\r\n", chunk(b"x" * 20), chunk(large), b"fffff\r\n" + large][number % 4]
            with contextlib.suppress(ConnectionError):
                icap.send(respmod("Allow: 204"), part)


def test_descriptor_spool_file_and_memory_leaks(serving: Serving) -> None:
    site, icapd = serving.site, serving.icapd
    mixed_requests(site, 20)
    wait_until(lambda: not icapd.connections(site.icap_port), "all are gone")
    before = icapd.descriptors(), icapd.resident_kib()
    mixed_requests(site, 100)
    wait_until(lambda: icapd.descriptors() <= before[0], "the descriptors are given back")
    wait_until(lambda: not list(serving.spool.iterdir()), "the spool is empty")
    # 40 MB went through the spool and 100 bodies of 400 kB were given up: a hundredth may stay
    assert icapd.resident_kib() < before[1] + 20 * 1024


# -- nobody notices -------------------------------------------------------------------------------


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("passes", [False, True], ids=["blocked", "policy passes"])
def test_scanner_down_and_everything_passes_and_nobody_notices(
    kata: Emulator, site: Site, started: Keep, passes: bool
) -> None:
    port = free_port()
    site.changes = {"status": {"icapd": f"127.0.0.1:{port}"}}
    if passes:
        site.changes["policy"] = {"unavailable": "pass"}
    kata.stop()
    icapd = started(site.start_icapd())
    warned = "the policy of this door passes unavailable objects" in icapd.output()
    assert warned is passes
    with IcapClient("127.0.0.1", site.icap_port, timeout=40) as client:
        answer = client.respmod("av/respmod", GET, OK, b"anything", preview=1024)
    decision = "pass" if passes else "block"
    assert (answer.body == b"anything") is passes
    assert answer.http_head.field("cache-control") == "no-store"  # the page, or what passed
    assert (b"could not be scanned now" in answer.body) is not passes
    (record,) = site.wait_records(1)
    assert (record["outcome"], record["decision"]) == ("unavailable", decision)
    log = (site.directory / "log" / "preprocessor_icap.log").read_text()
    assert f"verdict unavailable ({record['source']}), {decision}, case {record['case']}" in log
    counted = metrics(port)
    name = f'katabridge_cases_total{{decision="{decision}",door="ICAP",outcome="unavailable"'
    assert name in counted
    assert "katabridge_kata_state 0.0" in counted
