"""Signatures at fixed places, in the order in which they count.

What can do harm comes first, so that bytes that fit two rows count as the more dangerous one. Where
a magic is short, a check of the fields behind it goes with it; a row without its check is no match.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bridge.core.formats.streams import is_adts, is_mp3, is_transport_stream

Check = Callable[[bytes], bool]


class Signature(NamedTuple):
    """`magic` at `offset`, and what else must hold of the head."""

    name: str
    magic: bytes
    offset: int = 0
    check: Check | None = None


def first_signature(table: tuple[Signature, ...], head: bytes) -> str | None:
    """The name of the first row that fits."""
    for name, magic, offset, check in table:
        if head.startswith(magic, offset) and (check is None or check(head)):
            return name
    return None


def _number(head: bytes, start: int, end: int) -> int:
    return int.from_bytes(head[start:end], "little")


def _is_pe(head: bytes) -> bool:
    return head.startswith(b"PE\0\0", _number(head, 60, 64))


def _is_fat_macho(head: bytes) -> bool:
    return int.from_bytes(head[4:8], "big") < 45  # from 45 on it is a Java version


def _is_pyc(head: bytes) -> bool:
    return 3000 <= _number(head, 0, 2) < 4000 and len(head) >= 16


def _is_swf(head: bytes) -> bool:
    return 1 <= head[3] <= 50 and len(head) >= 8 if len(head) > 3 else False


def _is_bzip2(head: bytes) -> bool:
    return head[3:4] in b"123456789" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90")


def _is_arj(head: bytes) -> bool:
    return 30 <= _number(head, 2, 4) <= 2600


def _is_lzh(head: bytes) -> bool:
    return head[4:5] in (b"h", b"z") and head[6:7] == b"-"


def _is_djvu(head: bytes) -> bool:
    return head[12:16] in (b"DJVU", b"DJVM", b"DJVI")


def _is_jpeg(head: bytes) -> bool:
    return head[3:4] >= b"\xc0" and head[3:4] != b"\xff"


def _is_gif(head: bytes) -> bool:
    if len(head) < 14:
        return False
    colours = 3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0
    return head[13 + colours : 14 + colours] in (b"!", b",")


def _is_bmp(head: bytes) -> bool:
    header = _number(head, 14, 18)
    fits = header in (12, 40, 52, 56, 64, 108, 124) and _number(head, 10, 14) >= 14 + header
    return fits and not any(head[6:10]) and len(head) >= 26


def _is_icon(head: bytes) -> bool:
    count = _number(head, 4, 6)
    return (
        len(head) >= 22
        and 0 < count <= 256
        and head[9] == 0
        and _number(head, 14, 18) > 0
        and _number(head, 18, 22) >= 6 + 16 * count
    )


def _is_id3(head: bytes) -> bool:
    return len(head) >= 10 and 2 <= head[3] <= 4 and max(head[6:10]) < 0x80


def _is_truetype(head: bytes) -> bool:
    tables = int.from_bytes(head[4:6], "big")
    tag = head[12:16]
    return 1 <= tables <= 64 and len(tag) == 4 and all(0x20 <= sign < 0x7F for sign in tag)


def _is_mpeg_pack(head: bytes) -> bool:
    return len(head) >= 12 and (head[4] & 0xC0 == 0x40 or head[4] & 0xF0 == 0x20)


ACTIVE: tuple[Signature, ...] = (
    Signature("pe", b"MZ", check=_is_pe),
    Signature("mz", b"MZ"),
    Signature("elf", b"\x7fELF"),
    Signature("macho", b"\xfe\xed\xfa\xce"),
    Signature("macho", b"\xfe\xed\xfa\xcf"),
    Signature("macho", b"\xce\xfa\xed\xfe"),
    Signature("macho", b"\xcf\xfa\xed\xfe"),
    Signature("macho", b"\xca\xfe\xba\xbe", check=_is_fat_macho),
    Signature("macho", b"\xca\xfe\xba\xbf"),
    Signature("class", b"\xca\xfe\xba\xbe"),
    Signature("dex", b"dex\n0"),
    Signature("pyc", b"\r\n", 2, _is_pyc),
    Signature("luac", b"\x1bLua"),
    Signature("wasm", b"\0asm"),
    Signature("swf", b"FWS", check=_is_swf),
    Signature("swf", b"CWS", check=_is_swf),
    Signature("swf", b"ZWS", check=_is_swf),
    Signature("crx", b"Cr24"),
    Signature("deb", b"!<arch>\ndebian-binary"),
    Signature("rpm", b"\xed\xab\xee\xdb"),
    Signature("lnk", b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F"),
    Signature("chm", b"ITSF"),
    Signature("hlp", b"?_\x03\0"),
    Signature("rar", b"Rar!\x1a\x07\0"),
    Signature("rar", b"Rar!\x1a\x07\x01\0"),
    Signature("7z", b"7z\xbc\xaf\x27\x1c"),
    Signature("gzip", b"\x1f\x8b\x08"),
    Signature("bzip2", b"BZh", check=_is_bzip2),
    Signature("xz", b"\xfd7zXZ\0"),
    Signature("zstd", b"\x28\xb5\x2f\xfd"),
    Signature("lzip", b"LZIP\x01"),
    Signature("lz4", b"\x04\x22\x4d\x18"),
    Signature("compress", b"\x1f\x9d"),
    Signature("cab", b"MSCF\0\0\0\0"),
    Signature("wim", b"MSWIM\0\0\0"),
    Signature("ace", b"**ACE**", 7),
    Signature("arj", b"\x60\xea", check=_is_arj),
    Signature("lzh", b"-l", 2, _is_lzh),
    Signature("ar", b"!<arch>\n"),
    Signature("cpio", b"070701"),
    Signature("cpio", b"070702"),
    Signature("cpio", b"070707"),
    Signature("xar", b"xar!"),
    Signature("tnef", b"\x78\x9f\x3e\x22"),
    Signature("vhd", b"conectix"),
    Signature("vhdx", b"vhdxfile"),
    Signature("vmdk", b"KDMV"),
    Signature("vmdk", b"# Disk DescriptorFile"),
    Signature("qcow", b"QFI\xfb"),
    Signature("pdf", b"%PDF-"),
    Signature("rtf", b"{\\rt"),  # what Word takes, not what the standard asks
    Signature("ps", b"%!PS"),
    Signature("ps", b"\x04%!PS"),
    Signature("ps", b"\xc5\xd0\xd3\xc6"),
    Signature("djvu", b"AT&TFORM", check=_is_djvu),
    Signature("onenote", b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"),
    Signature("mdb", b"\0\x01\0\0Standard Jet DB"),
    Signature("mdb", b"\0\x01\0\0Standard ACE DB"),
    Signature("slk", b"ID;P"),
    # A tar begins with a file's name and a disk image with anything: before pictures and films.
    Signature("tar", b"ustar", 257),
    Signature("iso", b"CD001", 32769),
    Signature("iso", b"BEA01", 32769),
)

PASSIVE: tuple[Signature, ...] = (
    Signature("png", b"\x89PNG\r\n\x1a\n", check=lambda head: head.startswith(b"IHDR", 12)),
    Signature("jpeg", b"\xff\xd8\xff", check=_is_jpeg),
    Signature("gif", b"GIF87a", check=_is_gif),
    Signature("gif", b"GIF89a", check=_is_gif),
    Signature("bmp", b"BM", check=_is_bmp),
    Signature("tiff", b"II*\0", check=lambda head: _number(head, 4, 8) >= 8),
    Signature("tiff", b"MM\0*", check=lambda head: int.from_bytes(head[4:8], "big") >= 8),
    Signature("ico", b"\0\0\x01\0", check=_is_icon),
    Signature("ico", b"\0\0\x02\0", check=_is_icon),
    Signature("jp2", b"\0\0\0\x0cjP  \r\n\x87\n"),
    Signature("jxl", b"\0\0\0\x0cJXL \r\n\x87\n"),
    Signature("psd", b"8BPS\0\x01\0\0\0\0\0\0"),
    Signature("mp3", b"ID3", check=_is_id3),
    Signature("mp3", b"\xff", check=is_mp3),
    Signature("aac", b"\xff", check=is_adts),
    Signature("flac", b"fLaC\0\0\0\x22"),
    Signature("ogv", b"\x80theora", 28, lambda head: head.startswith(b"OggS\0\x02")),
    Signature("ogg", b"OggS\0\x02"),
    Signature("midi", b"MThd\0\0\0\x06"),
    Signature("flv", b"FLV\x01"),
    Signature("asf", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c"),
    Signature("mpeg", b"\0\0\x01\xba", check=_is_mpeg_pack),
    Signature("mpeg", b"\0\0\x01\xb3", check=lambda head: len(head) >= 12),
    Signature("mpegts", b"G", check=is_transport_stream),
    Signature("ttf", b"\0\x01\0\0", check=_is_truetype),
    Signature("ttf", b"true", check=_is_truetype),
    Signature("otf", b"OTTO", check=_is_truetype),
    Signature("ttc", b"ttcf\0"),
    Signature("woff", b"wOFF", check=lambda head: len(head) >= 44),
    Signature("woff2", b"wOF2", check=lambda head: len(head) >= 48),
)
