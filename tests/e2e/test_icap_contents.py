"""What is inside a body, as its client finds it: encodings, forms, parts, streams."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest
import zstandard

from bridge.emulator import EICAR
from icapd.client import Answer, IcapClient
from tests.support.gateway import Serving
from tests.support.katabridge import Records
from tests.support.origin import content
from tests.support.processes import wait_until

GET = b"GET http://h.example/%b HTTP/1.1\r\nHost: h.example\r\n%b\r\n"
TEXT = b"innocent " * 2000
ENCODE = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    services = {
        f"{ranges}/{method.lower()}": {"method": method, "mode": mode}
        for ranges, mode in (("av", "advanced"), ("watch", "monitor"))
        for method in ("REQMOD", "RESPMOD")
    }
    changes = {
        "kata": {"poll_interval_waiting": "100ms", "max_object_size": "4MiB"},
        "icap": {"services": services, "contents": {"max_files": 250}},
        "exclusions": [{"content_type": "video/*"}],
    }
    with Serving(tmp_path_factory.mktemp("contents"), changes) as running:
        yield running


def download(
    serving: Serving,
    name: str,
    body: bytes,
    *fields: str,
    status: int = 200,
    service: str = "av",
    allow_204: bool = True,
) -> Answer:
    lines = [f"HTTP/1.1 {status} OK", *fields, f"Content-Length: {len(body)}", "", ""]
    with IcapClient("127.0.0.1", serving.site.icap_port, timeout=30) as icap:
        return icap.respmod(
            f"{service}/respmod",
            GET % (name.encode(), b""),
            "\r\n".join(lines).encode(),
            body,
            preview=1024,
            allow_204=allow_204,
        )


def post(serving: Serving, name: str, body: bytes, *fields: str, service: str = "av") -> Answer:
    lines = [f"POST http://h.example/{name} HTTP/1.1", "Host: h.example", *fields]
    lines += [f"Content-Length: {len(body)}", "", ""]
    with IcapClient("127.0.0.1", serving.site.icap_port, timeout=30) as icap:
        return icap.reqmod(f"{service}/reqmod", "\r\n".join(lines).encode(), body, preview=1024)


def records(serving: Serving, url: str, count: int = 1) -> Records:
    """Once there are so many: the name of a threat may be looked up first."""

    def found() -> Records:
        all_of_them = serving.site.records()
        return [each for each in all_of_them if each["context"]["url"] == f"http://h.example/{url}"]

    wait_until(lambda: len(found()) >= count, f"{count} records of {url}")
    return found()


# -- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ENCODE)
def test_a_threat_in_an_encoded_body_is_found_and_what_is_clean_passes(
    serving: Serving, coding: str
) -> None:
    packed = ENCODE[coding](TEXT + coding.encode() + EICAR)
    assert packed != TEXT
    got = download(serving, f"bad-{coding}", packed, f"Content-Encoding: {coding}")
    assert got.http_head.status == 403
    clean = ENCODE[coding](TEXT + coding.encode())
    assert download(serving, f"ok-{coding}", clean, f"Content-Encoding: {coding}").status == 204
    (record,) = records(serving, f"ok-{coding}")
    assert record["size"] == len(TEXT) + len(coding)
    assert record["context"]["note"] == f"decoded from {coding}"


def test_nested_encodings_are_taken_off_one_by_one(serving: Serving) -> None:
    packed = brotli.compress(gzip.compress(TEXT + b"nested" + EICAR))
    got = download(serving, "nested", packed, "Content-Encoding: gzip", "Content-Encoding: br")
    assert got.http_head.status == 403
    assert records(serving, "nested")[0]["outcome"] == "detect"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("lying", TEXT),
        ("truncated", gzip.compress(content(5000))[:-1]),
        ("truncated-second-member", gzip.compress(b"one") + gzip.compress(b"two")[:-4]),
        ("trailing", gzip.compress(TEXT) + b"MZ"),
    ],
    ids=["lying", "truncated", "truncated second member", "trailing"],
)
def test_what_does_not_decode_wholly_is_an_error(serving: Serving, name: str, body: bytes) -> None:
    assert download(serving, name, body, "Content-Encoding: gzip").http_head.status == 403
    (record,) = records(serving, name)
    assert (record["outcome"], record["source"], record["decision"], record["rule"]) == (
        *("error", "rule", "block", "content-encoding"),
    )


def test_concatenated_members_are_one_body(serving: Serving) -> None:
    body = gzip.compress(TEXT) + gzip.compress(b"") + gzip.compress(EICAR)
    assert download(serving, "members", body, "Content-Encoding: gzip").http_head.status == 403
    assert records(serving, "members")[0]["outcome"] == "detect"


def test_a_bomb_is_an_error_and_costs_little(serving: Serving) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    million = bytes(1 << 20)
    bomb = b"".join(packer.compress(million) for _ in range(300)) + packer.flush()
    before = peak_memory(serving)
    assert len(bomb) < 400_000
    assert download(serving, "bomb", bomb, "Content-Encoding: gzip").http_head.status == 403
    (record,) = records(serving, "bomb")
    assert record["outcome"] == "error"
    assert "decodes to more than" in icap_log(serving)
    assert peak_memory(serving) - before < 32 << 20


def peak_memory(serving: Serving) -> int:
    status = Path(f"/proc/{serving.icapd.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def icap_log(serving: Serving) -> str:
    return (serving.site.directory / "log" / "preprocessor_icap.log").read_text()


def test_monitor_gives_an_encoded_body_back_as_it_came(serving: Serving) -> None:
    packed = gzip.compress(content(100_000))
    got = download(serving, "watched", packed, "Content-Encoding: gzip", service="watch")
    assert got.status == 204 or got.body == packed


# -- forms ----------------------------------------------------------------------------------------


def form(*parts: tuple[str, bytes]) -> tuple[bytes, str]:
    """A multipart/form-data body of files, and its Content-Type field."""
    body = b"".join(
        b'--XX\r\nContent-Disposition: form-data; name="f"; filename="%b"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n%b\r\n" % (name.encode(), data)
        for name, data in parts
    )
    return body + b"--XX--\r\n", "Content-Type: multipart/form-data; boundary=XX"


def test_each_file_of_a_form_is_judged_and_the_worst_decides(serving: Serving) -> None:
    for number in (1, 2):  # else the threat may be known, and decide, before they are
        body, kind = form((f"{number}.bin", content(3000, number)))
        assert post(serving, "clean-form", body, kind).status == 204
    body, kind = form(("a.bin", content(3000, 1)), ("b.com", EICAR), ("c.bin", content(3000, 2)))
    got = post(serving, "form", body, kind)
    assert (got.status, got.http_head.status) == (200, 403)
    found = {each["name"]: each for each in records(serving, "form", 3)}
    assert {name: each["outcome"] for name, each in found.items()} == {
        "a.bin": "not_detected",
        "b.com": "detect",
        "c.bin": "not_detected",
    }
    assert {each["decision"] for each in found.values()} == {"block"}
    assert found["a.bin"]["context"]["note"] == "file 1 of 3 of a form"
    assert b"b.com" in got.body
    assert len({each["case"] for each in found.values()}) == len(found)


@pytest.mark.parametrize("path", ["av/reqmod", "watch/reqmod"])
def test_a_form_of_one_file_is_recorded_under_that_files_name(serving: Serving, path: str) -> None:
    url = f"{path}/upload.php"
    body, kind = form(("two.docx", content(3000, len(path))))
    assert post(serving, url, body, kind, service=path.partition("/")[0]).status == 204
    assert [each["name"] for each in records(serving, url)] == ["two.docx"]
    assert post(serving, f"{url}?whole", b"no form" + body, kind).status == 204
    assert [each["name"] for each in records(serving, f"{url}?whole")] == ["upload.php"]


def test_a_form_with_a_threat_is_blocked_before_the_rest_of_it_is_judged(serving: Serving) -> None:
    slow = b"#kata state=not_detected delay=3600\nslow form"
    body, kind = form(("slow.bin", slow), ("b.com", EICAR))
    assert post(serving, "half-judged", body, kind).http_head.status == 403
    found = {each["name"]: each for each in records(serving, "half-judged", 2)}
    assert {name: (each["outcome"], each["decision"]) for name, each in found.items()} == {
        "slow.bin": ("pending", "block"),
        "b.com": ("detect", "block"),
    }


def test_a_form_with_200_files_is_judged_file_by_file(serving: Serving) -> None:
    files = [(f"{n}.bin", content(2000, n + 100)) for n in range(200)]
    body, kind = form(*files)
    assert post(serving, "many", body, kind).status == 204
    assert len(records(serving, "many", 200)) == 200
    bad, kind = form(*files[:150], ("evil.com", EICAR), *files[150:])
    assert post(serving, "many-bad", bad, kind).http_head.status == 403


def test_a_form_with_more_files_than_allowed_is_an_error(serving: Serving) -> None:
    body, kind = form(*[(f"{n}.bin", b"x%d" % n) for n in range(251)])
    assert post(serving, "too-many", body, kind).http_head.status == 403
    assert records(serving, "too-many")[0]["outcome"] == "error"


def test_a_form_of_fields_is_not_sent_to_kata(serving: Serving) -> None:
    before = serving.kata.memory.calls["submit"]
    urlencoded = "Content-Type: application/x-www-form-urlencoded"
    assert post(serving, "login", b"user=a&password=b%20c", urlencoded).status == 204
    assert serving.kata.memory.calls["submit"] == before
    (record,) = records(serving, "login")
    assert (record["outcome"], record["rule"], record["decision"]) == ("excluded", "form", "pass")


def test_what_only_says_it_is_a_form_is_judged_whole(serving: Serving) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=none"):
        got = post(serving, "no-form", b"\0" + EICAR, f"Content-Type: {kind}")
        assert got.http_head.status == 403


# -- parts ----------------------------------------------------------------------------------------


def test_a_request_for_a_part_becomes_one_for_the_whole(serving: Serving) -> None:
    asked = GET % (b"r", b"Range: bytes=5-9\r\nIf-Range: e\r\n")
    with IcapClient("127.0.0.1", serving.site.icap_port, timeout=30) as icap:
        got = icap.reqmod("av/reqmod", asked, None)
        assert got.status == 200
        assert got.http_head.field("range") is None
        assert got.http_head.field("if-range") is None
        assert got.http_head.url == "http://h.example/r"
        assert icap.reqmod("watch/reqmod", asked, None).status == 204, "monitor touches nothing"


def test_a_part_is_an_error_unless_its_type_is_excluded(serving: Serving) -> None:
    part = "Content-Range: bytes 5-9/100"
    assert download(serving, "part", b"12345", part, status=206).http_head.status == 403
    (record,) = records(serving, "part")
    assert (record["outcome"], record["rule"]) == ("error", "range")
    film = download(serving, "film", b"12345", part, "Content-Type: video/mp4", status=206)
    assert film.status == 204
    whole = download(serving, "whole", b"12345", "Content-Range: bytes 0-4/5", status=206)
    assert whole.status == 204
    assert download(serving, "seen", b"12345", part, status=206, service="watch").status == 204


def test_what_is_no_body_passes_connect_and_websocket(serving: Serving) -> None:
    connect = b"CONNECT h.example:443 HTTP/1.1\r\nHost: h.example:443\r\n\r\n"
    upgrade = GET % (b"ws", b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
    with IcapClient("127.0.0.1", serving.site.icap_port, timeout=30) as icap:
        assert icap.reqmod("av/reqmod", connect, None).status == 204
        assert icap.reqmod("av/reqmod", upgrade, None).status == 204


def test_a_stream_past_the_limit_is_oversize_and_goes_on(serving: Serving) -> None:
    body = content(6 << 20)
    got = download(serving, "radio", body, allow_204=False)
    assert got.status == 200
    assert got.body == body
    (record,) = records(serving, "radio")
    assert (record["outcome"], record["decision"]) == ("oversize", "pass")
