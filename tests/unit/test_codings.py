"""Content codings: which ones lie over a body, and taking them off within bounds."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from icapd.contents.chain import Bound, Chain, DecodingError
from icapd.contents.codings import UnreadableError, codings, unfolded
from icapd.contents.zstd import MAX_WINDOW, FrameWalk
from icapd.protocol import HttpHead

MIB = 1 << 20
PIECE_MAX = 128 * 1024
TEXT = b"".join(b"%d bottles\n" % n for n in range(3000))


def deflate_raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def zstd_stream(data: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return packer.compress(data) + packer.flush()


def zstd_window(log: int) -> bytes:
    options = zstandard.ZstdCompressionParameters(window_log=log, compression_level=3)
    packer = zstandard.ZstdCompressor(compression_params=options).compressobj()
    return packer.compress(TEXT) + packer.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", lambda data: gzip.compress(data, mtime=0)),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", deflate_raw),
    "br": ("br", lambda data: brotli.compress(data, quality=4)),
    "zstd": ("zstd", zstandard.compress),
    "zstd with a checksum": ("zstd", zstd_stream),
}
each_coding = pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=list(ENCODERS))


def decoded(
    data: bytes, *names: str, step: int = 1 << 16, max_size: int = 64 * MIB, ratio: int = 10_000
) -> bytes:
    chain = Chain(names, Bound(len(data), max_size, ratio))
    out = bytearray()
    for at in range(0, len(data), step):
        for piece in chain.feed(data[at : at + step]):
            assert len(piece) <= PIECE_MAX
            out += piece
    chain.finish()
    return bytes(out)


def head(*lines: str) -> HttpHead:
    return HttpHead("\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode("latin-1"))


# -- what the head says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], []),
        (["Content-Encoding: gzip"], ["gzip"]),
        (["content-encoding:X-GZip"], ["gzip"]),
        (["Content-Encoding: deflate, br"], ["br", "deflate"]),
        (["Content-Encoding: gzip", "Content-Encoding: zstd"], ["zstd", "gzip"]),
        (["Content-Encoding: identity"], []),
        (["Content-Encoding: utf-8"], []),
        (["Content-Encoding: none, gzip, binary"], ["gzip"]),
        (["Content-Encoding: aws-chunked,gzip"], ["gzip"]),
        (["Content-Encoding: gzip;q=1.0"], ["gzip"]),
        (["Content-Encoding: gzip deflate"], ["deflate", "gzip"]),
        (['Content-Encoding: "br"'], ["br"]),
        (["Content-Encoding: ,, ,gzip,"], ["gzip"]),
        (["Content-Encoding: gzip, gzip, gzip, gzip"], ["gzip"] * 4),
        (["Content-Encoding: gzipped, brotli"], []),
        (["Accept-Encoding: gzip"], []),
    ],
)
def test_codings_come_in_the_order_of_decoding(lines: list[str], found: list[str]) -> None:
    assert codings(head(*lines)) == found


@pytest.mark.parametrize(
    "word", ["compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip", "aes128gcm", "bzip2"]
)
@pytest.mark.parametrize("value", ["{}", "gzip, {}", "{}, gzip", "utf-8, {}"])
def test_a_coding_that_only_others_can_read_is_named(word: str, value: str) -> None:
    with pytest.raises(UnreadableError, match=f"with {word},"):
        codings(head("Content-Encoding: " + value.format(word.upper())))


def test_five_layers_are_too_many() -> None:
    with pytest.raises(UnreadableError, match="encoded 5 times"):
        codings(head("Content-Encoding: gzip, br, gzip", "Content-Encoding: br, zstd"))


@pytest.mark.parametrize(
    "field",
    [
        b"Content-Encoding:\r\n gzip",
        b"Content-Encoding: identity,\r\n\tgzip",
        b"X: y\nContent-Encoding: gzip",
        b"Content-Encoding:\n gzip",
        b"Content-Encoding : gzip",
    ],
)
def test_a_field_that_is_folded_or_split_by_bare_lf_is_read(field: bytes) -> None:
    odd = HttpHead(b"HTTP/1.1 200 OK\r\n" + field + b"\r\nServer: x\r\n\r\n")
    assert codings(unfolded(odd)) == ["gzip"]
    assert unfolded(odd).field("server") == "x"


def test_a_plain_head_stays_the_same_object() -> None:
    plain = head("Content-Encoding: gzip")
    assert unfolded(plain) is plain


# -- decoding ------------------------------------------------------------------------------------


@each_coding
@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("data", [b"", b"a", TEXT], ids=["nothing", "one byte", "text"])
def test_what_was_encoded_is_decoded(
    coding: str, encode: Callable[[bytes], bytes], step: int, data: bytes
) -> None:
    assert decoded(encode(data), coding, step=step) == data


@each_coding
def test_incompressible_and_repetitive_data(coding: str, encode: Callable[[bytes], bytes]) -> None:
    noise = b"".join(zlib.crc32(b"%d" % n).to_bytes(4, "big") for n in range(100_000))
    data = noise + bytes(3 * MIB) + noise
    assert decoded(encode(data), coding) == data


@each_coding
def test_a_body_cut_anywhere_is_not_whole(coding: str, encode: Callable[[bytes], bytes]) -> None:
    whole = encode(b"hello, hello, hello")
    for cut in range(len(whole)):
        with pytest.raises(DecodingError):
            decoded(whole[:cut], coding)


@each_coding
@pytest.mark.parametrize("step", [1, 1 << 20])
@pytest.mark.parametrize("more", [b"\0", b"X", b"\0" * 512, b"hello", b"\x1f", b"\x28\xb5\x2f\xfd"])
def test_bytes_after_the_end(
    coding: str, encode: Callable[[bytes], bytes], step: int, more: bytes
) -> None:
    with pytest.raises(DecodingError):
        decoded(encode(TEXT) + more, coding, step=step)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize(
    "data", [b"<html>not encoded at all</html>", bz2.compress(TEXT), b"MZ" + bytes(500)]
)
def test_a_lying_header(coding: str, data: bytes) -> None:
    with pytest.raises(DecodingError):
        decoded(data, coding)


@each_coding
def test_a_flipped_bit_is_an_error_or_other_bytes_but_never_a_crash(
    coding: str, encode: Callable[[bytes], bytes]
) -> None:
    whole = encode(TEXT[:300])
    for at in range(len(whole)):
        broken = bytes([*whole[:at], whole[at] ^ 64, *whole[at + 1 :]])
        try:
            decoded(broken, coding)
        except DecodingError as error:
            assert coding in str(error)


def test_a_wrong_checksum_of_gzip() -> None:
    whole = gzip.compress(TEXT)
    with pytest.raises(DecodingError):
        decoded(whole[:-8] + bytes(4) + whole[-4:], "gzip")


@pytest.mark.parametrize("step", [1, 100, 1 << 20])
@pytest.mark.parametrize(
    ("coding", "encode"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_members_one_after_another_are_one_body(
    coding: str, encode: Callable[[bytes], bytes], step: int
) -> None:
    parts = [TEXT, b"", b"a", b"", b"", bytes(200_000), TEXT[::-1]]
    assert decoded(b"".join(map(encode, parts)), coding, step=step) == b"".join(parts)
    last_cut = b"".join(map(encode, parts))[:-1]
    with pytest.raises(DecodingError, match="ends before"):
        decoded(last_cut, coding, step=step)


def test_members_of_no_size_are_counted_as_work() -> None:
    chain = Chain(["gzip"], Bound(1, MIB, 2))
    data = gzip.compress(b"") * 1000
    assert b"".join(chain.feed(data)) == b""
    chain.finish()
    assert chain.work > len(data) + 1000 * 100


def test_skippable_frames_of_zstd_hold_nothing() -> None:
    skipped = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    empty = b"\x50\x2a\x4d\x18" + bytes(4)
    frame = zstandard.compress(TEXT)
    for step in (1, 1 << 20):
        assert decoded(skipped + frame + empty + frame, "zstd", step=step) == 2 * TEXT


def test_a_window_that_browsers_refuse_is_refused() -> None:
    assert MAX_WINDOW == 8 * MIB
    assert decoded(zstd_window(23), "zstd") == TEXT
    with pytest.raises(DecodingError):
        decoded(zstd_window(24), "zstd")


def test_nested_codings() -> None:
    data = brotli.compress(zlib.compress(gzip.compress(zstandard.compress(TEXT))))
    assert decoded(data, "br", "deflate", "gzip", "zstd", step=3) == TEXT
    with pytest.raises(DecodingError, match="as gzip"):
        decoded(data, "br", "gzip", "deflate", "zstd")


def test_an_inner_coding_that_ends_early_is_named() -> None:
    with pytest.raises(DecodingError, match="before its gzip does"):
        decoded(brotli.compress(gzip.compress(TEXT)[:-9]), "br", "gzip")
    with pytest.raises(DecodingError, match="before its gzip does"):
        decoded(brotli.compress(b""), "br", "gzip")


# -- bounds --------------------------------------------------------------------------------------


def zstd_bomb(blocks: int) -> bytes:
    """128 KiB of each four bytes."""
    head = b"\x28\xb5\x2f\xfd\x00" + bytes([(23 - 10) << 3])
    return head + ((PIECE_MAX << 3 | 1 << 1).to_bytes(3, "little") + b"A") * blocks


def gzip_bomb(mebibytes: int) -> bytes:
    """About 1 kB for each MiB of zeros; without its end, which nobody is to reach."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * mebibytes


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip_bomb(10_240),
    "br": lambda: brotli.compress(bytes(64 * MIB), quality=5),
    "zstd": lambda: zstd_bomb(80_000),
}


@pytest.mark.parametrize("coding", BOMBS)
@pytest.mark.parametrize(
    ("max_size", "ratio", "word"),
    [(16 * MIB, 10_000_000, "more than 16777216 bytes"), (1 << 40, 0, "times its size")],
)
def test_a_bomb_is_stopped_in_bounded_pieces_with_bounded_work(
    coding: str, max_size: int, ratio: int, word: str
) -> None:
    bomb = BOMBS[coding]()
    chain = Chain([coding], Bound(len(bomb), max_size, ratio))
    sizes: list[int] = []
    with pytest.raises(DecodingError, match=word):
        sizes.extend(len(piece) for piece in chain.feed(bomb))
    limit = max_size if ratio else MIB
    assert max(sizes) <= PIECE_MAX
    assert limit - PIECE_MAX <= sum(sizes) <= limit
    assert chain.work <= 1.1 * limit + 2 * PIECE_MAX


@pytest.mark.parametrize("coding", BOMBS)
def test_every_piece_of_a_bomb_is_small(coding: str) -> None:
    bomb = BOMBS[coding]()[: 64 * 1024]
    chain = Chain([coding], Bound(len(bomb), 1 << 40, 1 << 30))
    pieces = chain.feed(bomb)
    sizes = [len(piece) for piece, _ in zip(pieces, range(200), strict=False)]
    assert sum(sizes) > 5 * MIB
    assert max(sizes) <= PIECE_MAX


def test_ten_megabytes_of_ten_gigabytes_are_ten_megabytes() -> None:
    assert 9 * MIB < len(BOMBS["gzip"]()) < 11 * MIB
    assert 80_000 * PIECE_MAX == 10_000 * MIB


def test_a_bomb_between_two_layers_counts_although_little_comes_out_of_it() -> None:
    empties = gzip.compress(b"", mtime=0) * (4 * MIB // 20)
    data = gzip.compress(empties)
    with pytest.raises(DecodingError, match="times its size"):
        decoded(data, "gzip", "gzip", ratio=100)
    with pytest.raises(DecodingError, match="more than 2097152 bytes"):
        decoded(data, "gzip", "gzip", max_size=2 * MIB)


def test_the_first_mebibyte_has_any_ratio_and_the_limits_are_exact() -> None:
    assert decoded(gzip.compress(bytes(MIB)), "gzip", ratio=2) == bytes(MIB)
    with pytest.raises(DecodingError, match="2 times its size"):
        decoded(gzip.compress(bytes(MIB + 1)), "gzip", ratio=2)
    assert decoded(gzip.compress(bytes(5000)), "gzip", max_size=5000) == bytes(5000)
    with pytest.raises(DecodingError, match="more than 4999 bytes"):
        decoded(gzip.compress(bytes(5000)), "gzip", max_size=4999)


@pytest.mark.parametrize("make", [lambda: zstd_stream(TEXT), lambda: zstandard.compress(TEXT)])
def test_the_walk_ends_where_frames_end(make: Callable[[], bytes]) -> None:
    frame, walk = make(), FrameWalk()
    ends, at = [], 0
    while at < 2 * len(frame):
        part = (frame + frame)[at : at + walk.wanted]
        assert 0 < len(part) <= PIECE_MAX
        at += len(part)
        if walk.took(part):
            ends.append(at)
    assert ends == [len(frame), 2 * len(frame)]
    assert walk.is_between
