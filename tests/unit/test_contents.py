"""What of a body is judged, and that nothing of it stays behind in the spool."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import threading
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard

from bridge.core import Body, ContentSettings, Item, Outcome, OutcomeKind, Source, Spool
from bridge.core.settings import SpoolSettings
from bridge.emulator import EICAR
from icapd.contents import Found, needs_unpacking, unpack
from icapd.protocol import HttpHead

MIB = 1 << 20
NOISE = os.urandom(400_000)
MARK = "----WebKitFormBoundary7MA4YWxk"
FORM = f"Content-Type: multipart/form-data; boundary={MARK}"
URL_ENCODED = "Content-Type: application/x-www-form-urlencoded"
FILE = 'form-data; name="f"; filename="{}"'


def response(*lines: str) -> HttpHead:
    return HttpHead("\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1"))


def request(*lines: str) -> HttpHead:
    return HttpHead("\r\n".join(["POST /up HTTP/1.1", *lines, "", ""]).encode("latin-1"))


def part(data: bytes, disposition: str = FILE.format("a.exe"), *fields: str) -> bytes:
    lines = [f"Content-Disposition: {disposition}", *fields, "", ""]
    return "\r\n".join(lines).encode() + data


def form(*parts: bytes) -> bytes:
    opened = b"".join(b"--" + MARK.encode() + b"\r\n" + inner + b"\r\n" for inner in parts)
    return opened + b"--" + MARK.encode() + b"--\r\n"


def ascii_start(data: bytes) -> str:
    """The name of a case whose bytes may be many."""
    return ascii(data[:20])


@contextmanager
def spool_in(directory: Path, **settings: Any) -> Iterator[Spool]:
    """A spool that holds nothing at the end, neither in its books nor on disk."""
    values = {"memory": 256 * 1024, "memory_total": 64 * MIB, "max_bytes": 1 << 33, "min_free": 0}
    spool = Spool(SpoolSettings.model_construct(dir=directory, **{**values, **settings}), "test")
    try:
        yield spool
    finally:
        spool.close()
    assert (spool.memory_used, spool.disk_used) == (0, 0)
    assert list(spool.dir.iterdir()) == []


Answer = Outcome | list[tuple[str, bytes, str | None]]


async def spooled(spool: Spool, data: bytes) -> Body:
    writer = spool.writer()
    await writer.write(data)
    return await writer.finish()


async def content(found: Found) -> bytes:
    assert isinstance(found.item.body, Body)
    data = b"".join([piece async for piece in found.item.body.chunks()])
    assert hashlib.sha256(data).hexdigest() == found.item.sha256
    assert len(data) == found.item.size
    return data


async def answer_of(
    spool: Spool, data: bytes, head: HttpHead, max_size: int = 100 * MIB, **limits: int
) -> Answer:
    body = await spooled(spool, data)
    try:
        found = await unpack(
            spool, Item("up", body), head, limits=ContentSettings(**limits), max_size=max_size
        )
    finally:
        body.release()
    if isinstance(found, Outcome):
        return found
    answer = [(one.item.name, await content(one), one.note) for one in found]
    for one in found:
        one.item.body.release()
    return answer


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., Answer]:
    """Unpacks with a body in memory and with one on disk: the same must come of it."""

    def run(data: bytes, head: HttpHead, **options: int) -> Answer:
        answers = []
        for memory in (1 << 22, 0):
            with spool_in(tmp_path, memory=memory) as spool:
                answers.append(asyncio.run(answer_of(spool, data, head, **options)))
        assert answers[0] == answers[1]
        return answers[0]

    return run


Unpacked = Callable[..., Answer]


def error(answer: Answer, rule: str) -> str:
    assert isinstance(answer, Outcome)
    assert (answer.kind, answer.source) == (OutcomeKind.ERROR, Source.RULE)
    assert answer.rule == rule
    return answer.detail


def excluded(answer: Answer, rule: str) -> str:
    assert isinstance(answer, Outcome)
    assert (answer.kind, answer.source) == (OutcomeKind.EXCLUDED, Source.RULE)
    assert answer.rule == rule
    return answer.detail


# -- what needs it -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (response("Content-Type: text/html"), False),
        (response("Vary: Accept-Encoding, Content-Encoding"), False),
        (response("Content-Encoding: identity"), False),
        (response("Content-Encoding: utf-8"), False),
        (response("Content-Encoding: gzip"), True),
        (response("content-ENCODING:\r\n GZIP"), True),
        (response("Content-Encoding: compress"), True),
        (response(FORM), False),
        (response(URL_ENCODED), False),
        (request("Content-Type: application/json"), False),
        (request(FORM), True),
        (request(URL_ENCODED.lower()), True),
        (request("X-Type: multipart/form-data"), False),
        (request("Content-Type: a/b", FORM), True),
        (request("Content-Type:\r\n multipart/form-data; boundary=x"), True),
        (HttpHead(b""), False),
    ],
)
def test_most_bodies_need_no_unpacking(head: HttpHead, answer: bool) -> None:
    assert needs_unpacking(head) is answer


def test_a_body_that_is_nothing_else_is_found_itself(unpacked: Unpacked) -> None:
    for head in (response(), request("Content-Type: a/b"), response("Content-Encoding: none")):
        assert unpacked(b"hello", head) == [("up", b"hello", None)]


# -- codings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 18_000, 3 * MIB])
def test_an_encoded_body_is_judged_decoded(unpacked: Unpacked, size: int) -> None:
    data = os.urandom(size // 2 + 1) + bytes(size // 2)
    answer = unpacked(gzip.compress(data), response("Content-Encoding: gzip"))
    assert answer == [("up", data, "decoded from gzip")]


def test_nested_codings_are_noted_in_the_order_of_decoding(unpacked: Unpacked) -> None:
    body = brotli.compress(gzip.compress(b"hello"))
    answer = unpacked(body, response("Content-Encoding: gzip", "Content-Encoding: br"))
    assert answer == [("up", b"hello", "decoded from br, gzip")]


@pytest.mark.parametrize(
    ("data", "value", "detail"),
    [
        (b"<html>", "gzip", "the body does not decode wholly as gzip"),
        (gzip.compress(b"hello")[:-1], "gzip", "the body ends before its gzip does"),
        (gzip.compress(b"hello") + b"more", "gzip", "the body does not decode wholly as gzip"),
        (brotli.compress(b"hello") + b"x", "br", "the body does not decode wholly as br"),
        (b"hello", "compress", "the body is encoded with compress, which cannot be decoded here"),
        (b"hello", ", ".join(["br"] * 5), "the body is encoded 5 times, more than 4"),
    ],
    ids=["a lie", "cut", "gzip and more", "br and more", "unreadable", "too deep"],
)
def test_what_does_not_decode_is_an_error(
    unpacked: Unpacked, data: bytes, value: str, detail: str
) -> None:
    answer = unpacked(data, response(f"Content-Encoding: {value}"))
    assert error(answer, "content-encoding") == detail


def test_an_empty_body_in_a_coding_needs_no_judging(unpacked: Unpacked) -> None:
    for data, value in ((gzip.compress(b""), "gzip"), (brotli.compress(b""), "br")):
        answer = unpacked(data, response(f"Content-Encoding: {value}"))
        assert excluded(answer, "content-encoding") == f"an empty body, decoded from {value}"


def test_the_limits_of_size_and_ratio(unpacked: Unpacked) -> None:
    head = response("Content-Encoding: deflate")
    body = zlib.compress(bytes(2 * MIB))
    answer = unpacked(body, head, max_size=2 * MIB, max_ratio=2000)
    assert isinstance(answer, list)
    too_large = unpacked(body, head, max_size=2 * MIB - 1, max_ratio=2000)
    assert "more than 2097151 bytes" in error(too_large, "content-encoding")
    too_dense = unpacked(body, head, max_ratio=900)
    assert "more than 900 times its size" in error(too_dense, "content-encoding")


def gzip_bomb() -> bytes:
    """10 MB that are 10 GB."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * 10_240


def zstd_bomb() -> bytes:
    """10 MB that are more than 300 GB, in blocks of four bytes."""
    block = (128 * 1024 << 3 | 1 << 1).to_bytes(3, "little") + b"A"
    return b"\x28\xb5\x2f\xfd\x00" + bytes([(23 - 10) << 3]) + block * (10 * MIB // 4)


def br_bomb() -> bytes:
    return bytes(brotli.compress(NOISE[:2000] + bytes(100 * MIB), quality=5))


@pytest.mark.parametrize(
    ("coding", "bomb"), [("gzip", gzip_bomb), ("zstd", zstd_bomb), ("br", br_bomb)]
)
def test_a_decompression_bomb_takes_bounded_memory_and_disk(
    tmp_path: Path, coding: str, bomb: Callable[[], bytes]
) -> None:
    limit = 24 * MIB
    with spool_in(tmp_path) as spool:
        most = 0

        async def main() -> Answer:
            nonlocal most
            body = await spooled(spool, bomb())
            head = response(f"Content-Encoding: {coding}")
            settings = ContentSettings(max_ratio=100_000)
            tracemalloc.start()
            try:
                reserve = spool.reserve_disk

                def watched(size: int) -> None:
                    nonlocal most
                    reserve(size)
                    most = max(most, spool.disk_used - body.size)

                spool.reserve_disk = watched  # type: ignore[method-assign]
                found = await unpack(spool, Item("up", body), head, limits=settings, max_size=limit)
                assert tracemalloc.get_traced_memory()[1] < 3 * MIB
            finally:
                tracemalloc.stop()
                body.release()
            assert isinstance(found, Outcome)
            return found

        detail = error(asyncio.run(main()), "content-encoding")
    assert f"more than {limit} bytes" in detail
    assert limit - 2 * MIB < most <= limit


# -- forms ---------------------------------------------------------------------------------------


def test_each_file_of_a_form_is_judged(unpacked: Unpacked) -> None:
    body = form(
        part(b"comment", 'form-data; name="t"'),
        part(b"one", FILE.format("C:\\docs\\one.doc")),
        part(b"", FILE.format("")),
        part(b"two" * 100_000, FILE.format("../x/two.pdf")),
        part(b"\0\1\2", 'form-data; name="blob"'),
        part(b"y" * 4097, 'form-data; name="long"'),
        part(b"y" * 4096, 'form-data; name="short"'),
        part(b"MZ", FILE.format(" ")),
        part(b"..", FILE.format("x/..")),
    )
    assert unpacked(body, request(FORM)) == [
        ("one.doc", b"one", "file 1 of 6 of a form"),
        ("two.pdf", b"two" * 100_000, "file 2 of 6 of a form"),
        ("blob", b"\0\1\2", "file 3 of 6 of a form"),
        ("long", b"y" * 4097, "file 4 of 6 of a form"),
        ("unnamed", b"MZ", "file 5 of 6 of a form"),
        ("unnamed", b"..", "file 6 of 6 of a form"),
    ]


def test_a_form_with_one_file_is_that_file(unpacked: Unpacked) -> None:
    body = form(part(b"hello", 'form-data; name="t"'), part(b"x", FILE.format("y" * 300)))
    assert unpacked(body, request(FORM)) == [("y" * 222 + "…" + "y" * 32, b"x", None)]


def test_an_encoded_form_is_decoded_and_taken_apart(unpacked: Unpacked) -> None:
    head = request(FORM, "Content-Encoding: zstd")
    one = zstandard.compress(form(part(b"x")))
    assert unpacked(one, head) == [("a.exe", b"x", "decoded from zstd")]
    two = zstandard.compress(form(part(b"x"), part(b"y")))
    assert unpacked(two, head) == [
        ("a.exe", b"x", "file 1 of 2 of a form, decoded from zstd"),
        ("a.exe", b"y", "file 2 of 2 of a form, decoded from zstd"),
    ]
    broken = zstandard.compress(form(part(b"x")) + b"more")
    assert unpacked(broken, head) == [("up", form(part(b"x")) + b"more", "decoded from zstd")]


@pytest.mark.parametrize(
    "body",
    [form(), form(part(b"text", 'form-data; name="t"')), form(part(b"", FILE.format("")))],
    ids=["no parts", "text", "no file chosen"],
)
def test_a_form_without_files_needs_no_judging(unpacked: Unpacked, body: bytes) -> None:
    assert excluded(unpacked(body, request(FORM)), "form") == "a form without files"


def test_a_form_with_200_parts(unpacked: Unpacked) -> None:
    data = [b"%d" % n + os.urandom(5000) for n in range(200)]
    answer = unpacked(form(*map(part, data)), request(FORM))
    assert isinstance(answer, list)
    assert [found for _, found, _ in answer] == data
    assert answer[199][2] == "file 200 of 200 of a form"


def test_a_form_with_too_many_parts_is_an_error(unpacked: Unpacked) -> None:
    body = form(*[part(b"text", 'form-data; name="t"')] * 6)
    assert excluded(unpacked(body, request(FORM), max_files=6), "form")
    detail = error(unpacked(body, request(FORM), max_files=5), "form")
    assert detail == "a form with more than 5 parts (icap.contents.max_files)"


@pytest.mark.parametrize("size", [256 * 1024, 300_000, 2 * 256 * 1024])
def test_blanks_that_follow_a_form_in_a_piece_of_their_own(unpacked: Unpacked, size: int) -> None:
    for missing in range(-3, 4):
        filled = size - len(form(part(b""))) + missing
        body = form(part(b"x" * filled)) + b"\r\n\r\n"
        assert unpacked(body, request(FORM)) == [("a.exe", b"x" * filled, None)]


MALFORMED = {
    "cut": form(part(b"x"))[:-6],
    "cut late": form(*[part(bytes(100_000))] * 9)[:-6],
    "more behind": form(part(b"x")) + b"MZ",
    "much more behind": form(part(b"x")) + b"MZ" + bytes(300_000),
    "a hidden boundary": form(part(b"x\n--" + MARK.encode() + b"\nMZ")),
    "base64": form(part(b"TVo=", FILE.format("a"), "Content-Transfer-Encoding: base64")),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=list(MALFORMED))
def test_a_malformed_form_is_judged_whole(unpacked: Unpacked, body: bytes) -> None:
    assert unpacked(body, request(FORM)) == [("up", body, None)]


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Type: multipart/form-data",),
        (FORM, FORM),
        (FORM, "Content-Type: text/plain"),
        ("Content-Type: text/plain", FORM),
        (FORM, URL_ENCODED),
        (f"{FORM}; boundary=other",),
        (f"Content-Type: multipart/mixed; boundary={MARK}",),
    ],
)
def test_a_form_by_one_of_two_readings_is_judged_whole(
    unpacked: Unpacked, lines: tuple[str, ...]
) -> None:
    body = form(part(b"text", 'form-data; name="t"'))
    assert unpacked(body, request(*lines)) == [("up", body, None)]


def test_a_response_is_never_a_form(unpacked: Unpacked) -> None:
    for head, body in ((response(FORM), form(part(b"x"))), (response(URL_ENCODED), b"a=b")):
        assert unpacked(body, head) == [("up", body, None)]


@pytest.mark.parametrize(
    "body",
    [
        b"a=b&c=%20d+e",
        b"a=",
        b"a=b\r\n",
        b"a=" + b"%20" * 200_000,
        b"it's(1)=~!*.-_",
        b"a=" + b"b" * (256 * 1024 - 3) + b"\r\n",
    ],
    ids=ascii_start,
)
def test_a_url_encoded_form_needs_no_judging(unpacked: Unpacked, body: bytes) -> None:
    assert excluded(unpacked(body, request(URL_ENCODED)), "form") == "a url-encoded form"


@pytest.mark.parametrize(
    "body",
    [
        b"MZ\x90\0",
        b"a b",
        EICAR,
        b"EICAR=" + EICAR,
        b"{}",
        b"=b",
        b"a",
        b"a=%2",
        b"a=%zz",
        b"a=<b>",
        b"a=" + b"b" * (1 << 20),
        b"b" * 600 + b"=c",
        b"a=\xd0",
        b"a=b\n",
        b"a\r\nb",
        b"\r\na=b",
        b"a=b\r\n\r\n",
        b"a\rb\n",
        b"a\r" + b"b" * 300_000 + b"\n",
        b"b" * 600_000 + b"\0",
        b"\x7f",
    ],
    ids=ascii_start,
)
def test_what_no_form_encoder_makes_is_judged_whole(unpacked: Unpacked, body: bytes) -> None:
    assert unpacked(body, request(URL_ENCODED)) == [("up", body, None)]


def test_one_part_of_50_mebibytes_takes_bounded_memory(tmp_path: Path) -> None:
    data = os.urandom(MIB) * 50

    async def main(spool: Spool) -> None:
        body = await spooled(spool, form(part(data)))
        tracemalloc.start()
        try:
            found = await unpack(
                spool, Item("up", body), request(FORM), limits=ContentSettings(), max_size=100 * MIB
            )
            assert tracemalloc.get_traced_memory()[1] < 4 * MIB
        finally:
            tracemalloc.stop()
            body.release()
        assert isinstance(found, list)
        assert found[0].item.sha256 == hashlib.sha256(data).hexdigest()
        found[0].item.body.release()

    with spool_in(tmp_path) as spool:
        asyncio.run(main(spool))


# -- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (response("Content-Encoding: gzip"), gzip.compress(os.urandom(3 * MIB))),
        (request(FORM), form(*[part(os.urandom(400_000)) for _ in range(8)])),
    ],
    ids=["gzip", "form"],
)
def test_a_full_spool_is_unavailable(tmp_path: Path, head: HttpHead, body: bytes) -> None:
    with spool_in(tmp_path, max_bytes=len(body) + MIB) as spool:
        answer = asyncio.run(answer_of(spool, body, head))
    assert isinstance(answer, Outcome)
    assert answer.kind is OutcomeKind.UNAVAILABLE
    assert "spool.max_bytes" in answer.detail


class Gate:
    """Stops the thread work of a spool at its nth call, in the thread, until it is opened."""

    def __init__(self, spool: Spool, at: int) -> None:
        self._real, self._left = spool.in_thread, at
        self._go = threading.Event()
        self.reached = asyncio.Event()
        spool.in_thread = self._in_thread  # type: ignore[method-assign]

    def _in_thread(self, function: Callable[..., Any], *arguments: object) -> asyncio.Future[Any]:
        self._left -= 1
        if self._left:
            return self._real(function, *arguments)
        self.reached.set()
        return self._real(self._wait, function, *arguments)

    def _wait(self, function: Callable[..., Any], *arguments: object) -> Any:
        self._go.wait(30)
        return function(*arguments)

    def open(self) -> None:
        self._go.set()


async def cancelled_at(spool: Spool, data: bytes, head: HttpHead, at: int) -> bool:
    """Whether there was an nth step to be cancelled in."""
    body = await spooled(spool, data)
    gate = Gate(spool, at)
    limits = ContentSettings()
    work = unpack(spool, Item("up", body), head, limits=limits, max_size=100 * MIB)
    task = asyncio.create_task(work)
    reached = asyncio.create_task(gate.reached.wait())
    done, _ = await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
    was_cancelled = task not in done
    if was_cancelled:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    else:
        found = task.result()
        assert isinstance(found, list)
        for one in found:
            one.item.body.release()
    gate.open()
    reached.cancel()
    body.release()
    return was_cancelled


async def freed(spool: Spool) -> None:
    async with asyncio.timeout(30):
        while spool.memory_used or spool.disk_used:  # by a thread that tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (response("Content-Encoding: gzip"), gzip.compress(NOISE * 2)),
        (
            response("Content-Encoding: br, gzip"),
            gzip.compress(brotli.compress(NOISE, quality=1)),
        ),
        (request(FORM), form(part(NOISE), part(b"x"), part(NOISE))),
        (request(FORM), form(part(NOISE), part(NOISE + MARK.encode()), part(b"x"))),
        (request(FORM, "Content-Encoding: gzip"), gzip.compress(form(part(b"x"), part(NOISE)))),
    ],
    ids=["gzip", "nested", "form", "malformed form", "encoded form"],
)
@pytest.mark.parametrize("memory", [0, 2 * MIB], ids=["disk", "memory"])
def test_nothing_leaks_wherever_it_is_cancelled(
    tmp_path: Path, head: HttpHead, body: bytes, memory: int
) -> None:
    async def main(at: int) -> bool:
        with_step = await cancelled_at(spool, body, head, at)
        await freed(spool)
        return with_step

    steps = 0
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
    while True:
        with spool_in(tmp_path, memory=memory) as spool:
            if not asyncio.run(main(steps + 1)):
                break
        steps += 1
    assert steps >= 2
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_small_page_needs_no_thread(tmp_path: Path) -> None:
    """The hot path: a compressed page, and a small form."""

    async def main(spool: Spool, work: Callable[[], Awaitable[Answer]]) -> Answer:
        def refuse(*_: object) -> Any:
            raise AssertionError("a thread was asked")

        spool.in_thread = refuse  # type: ignore[method-assign, assignment]
        return await work()

    page = os.urandom(4000).hex().encode() * 4
    cases = [
        (
            gzip.compress(page),
            response("Content-Encoding: gzip"),
            [("up", page, "decoded from gzip")],
        ),
        (form(part(page)), request(FORM), [("a.exe", page, None)]),
    ]
    for data, head, wanted in cases:
        with spool_in(tmp_path) as spool:
            answer = asyncio.run(main(spool, lambda: answer_of(spool, data, head)))  # noqa: B023
        assert answer == wanted
