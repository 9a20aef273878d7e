"""Whatever was encoded or put into a form comes out of it, and anything else is never lost."""

from __future__ import annotations

import asyncio
import gzip
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.core import Outcome, OutcomeKind
from icapd.contents.chain import Bound, Chain, DecodingError
from icapd.contents.fields import MalformedError, PartHead
from tests.unit.test_contents import (
    FILE,
    FORM,
    MARK,
    Answer,
    answer_of,
    form,
    part,
    request,
    response,
    spool_in,
)
from tests.unit.test_forms import read

MIB = 1 << 20
BLOCK = 256 * 1024

Encode = Callable[[bytes], bytes]


def raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def in_two(encode: Encode) -> Encode:
    return lambda data: encode(data[: len(data) // 3]) + encode(data[len(data) // 3 :])


def flushed(data: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    half = packer.compress(data[: len(data) // 2]) + packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return half + packer.compress(data[len(data) // 2 :]) + packer.flush()


ENCODERS: list[tuple[str, Encode]] = [
    ("gzip", gzip.compress),
    ("x-gzip", in_two(gzip.compress)),
    ("deflate", zlib.compress),
    ("deflate", raw),
    ("br", lambda data: brotli.compress(data, quality=3)),
    ("zstd", zstandard.compress),
    ("zstd", in_two(zstandard.compress)),
    ("zstd", flushed),
    ("identity", lambda data: data),
]
CODINGS = [one for one in ENCODERS if one[0] in {"gzip", "deflate", "br", "zstd"}]

runs = st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from([1, 3, 700, 20_000]))
bodies = st.lists(runs, min_size=1, max_size=6).map(
    lambda parts: b"".join(data * times for data, times in parts)
)
chains = st.lists(st.sampled_from(ENCODERS), max_size=4)
memories = st.sampled_from([0, 1000, 1 << 24])


def answer(data: bytes, lines: list[str], memory: int, *, upload: bool = False) -> Answer:
    head = (request if upload else response)(*lines)
    with (
        tempfile.TemporaryDirectory() as directory,
        spool_in(Path(directory), memory=memory) as spool,
    ):
        return asyncio.run(answer_of(spool, data, head, max_ratio=100_000))


@settings(max_examples=150, deadline=None)
@given(bodies, chains, memories)
@example(b"\x78\x9c" + bytes(BLOCK), [ENCODERS[3]], 0)
def test_what_was_encoded_is_found(
    data: bytes, chain: list[tuple[str, Encode]], memory: int
) -> None:
    encoded = data
    for _, encode in chain:
        encoded = encode(encoded)
    found = answer(encoded, [f"Content-Encoding: {name}" for name, _ in chain], memory)
    assert isinstance(found, list)
    assert [one for _, one, _ in found] == [data]


def outcome(encoded: bytes, name: str, steps: list[int]) -> bytes | str:
    chain = Chain([name], Bound(len(encoded), 4 * MIB, 100_000))
    out, at, turn = bytearray(), 0, 0
    try:
        while at < len(encoded):
            step = steps[turn % len(steps)]
            for piece in chain.feed(encoded[at : at + step]):
                assert len(piece) <= 128 * 1024
                out += piece
            at, turn = at + step, turn + 1
        chain.finish()
    except DecodingError:
        return "error"
    return bytes(out)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(CODINGS),
    st.binary(max_size=200) | st.just(bytes(300_000)),
    st.floats(0, 1),
    st.binary(max_size=6),
    st.lists(st.integers(1, 90), min_size=1, max_size=4),
)
def test_a_damaged_body_is_the_same_however_it_is_cut(
    coding: tuple[str, Encode], data: bytes, place: float, put: bytes, steps: list[int]
) -> None:
    name, encode = coding
    encoded = encode(data)
    at = int(place * len(encoded))
    damaged = encoded[:at] + put + encoded[at + len(put) :]
    assert outcome(damaged, name, steps) == outcome(damaged, name, [1 << 20])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CODINGS), st.binary(max_size=60))
def test_a_body_that_is_cut_is_never_whole(coding: tuple[str, Encode], data: bytes) -> None:
    name, encode = coding
    encoded = encode(data)
    first_frame = zstandard.compress(data[: len(data) // 3])  # of those that come in two
    for cut in range(len(encoded)):
        kept = outcome(encoded[:cut], name, [1 << 20])
        assert kept == "error" or encoded[:cut] == first_frame


names = st.text("abcxyz. -_()äи", max_size=12)
contents = st.binary(max_size=300) | st.sampled_from(
    [b"\r\n", b"--", b"\r\n--" + MARK.encode()[:-1], bytes(BLOCK), bytes(BLOCK - 177) + b"\r\n--x"]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(names, contents), max_size=6), memories)
def test_the_files_of_a_form_are_found(files: list[tuple[str, bytes]], memory: int) -> None:
    body = form(*(part(data, FILE.format(name)) for name, data in files))
    found = answer(body, [FORM], memory, upload=True)
    nameless = {"", ".", ".."}
    stripped = [(name.strip(), data) for name, data in files if data]
    wanted = [("unnamed" if name in nameless else name, data) for name, data in stripped]
    if wanted:
        assert isinstance(found, list)
        assert [(name, data) for name, data, _ in found] == wanted
    else:
        assert isinstance(found, Outcome)
        assert found.kind is OutcomeKind.EXCLUDED


BITS = [b"\r\n", b"\n", b"\r", b"--", MARK.encode(), b";", b'"', b"\0", b"filename=", b" "]


mutations = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 9), st.sampled_from(BITS)), max_size=3
)


def mutated(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for place, cut, put in changes:
        at = int(place * len(data))
        data = data[:at] + put + data[at + cut :]
    return data


@settings(max_examples=200, deadline=None)
@given(mutations)
def test_the_bad_part_of_a_mutated_form_is_always_judged(
    changes: list[tuple[float, int, bytes]],
) -> None:
    """Whoever reads it in whatever way: the bytes of the file are in something that is judged."""
    bad = b"\x7fELF-the-bad-bytes"
    whole = form(part(b"text", 'form-data; name="t"'), part(bad))
    start, _, end = whole.partition(bad)
    found = answer(mutated(start, changes) + bad + end, [FORM], 1 << 20, upload=True)
    assert isinstance(found, list)
    assert any(bad in data for _, data, _ in found)


def parts_of(body: bytes, step: int) -> list[tuple[PartHead, bytes]] | None:
    try:
        return read(body, step, MARK.encode())
    except MalformedError:
        return None


@settings(max_examples=400, deadline=None)
@given(mutations, st.integers(1, 90))
def test_a_mutated_form_is_read_the_same_however_it_is_cut(
    changes: list[tuple[float, int, bytes]], step: int
) -> None:
    body = mutated(form(part(b"text", 'form-data; name="t"'), part(b"MZ")), changes)
    assert parts_of(body, step) == parts_of(body, 1 << 20)
