"""pcapng (draft-ietf-opsawg-pcapng), as far as a capture of Ethernet packets needs it. No I/O.

All numbers are little-endian; a block's length stands at its beginning and at its end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_PACKET = 6
_MAGIC = 0x1A2B3C4D
_ETHERNET = 1
_COMMENT, _USER_APPLICATION, _NAME, _DESCRIPTION = 1, 4, 2, 3
_FRAME = 12  # bytes of a block that are not its body
_PACKET_HEAD = 20
_LARGEST_BLOCK = 1 << 20  # more is damage


class Packet(NamedTuple):
    """`time`: microseconds since the epoch. `block`: all bytes of its block."""

    time: int
    block: bytes


def file_head(program: str, interface: str, description: str) -> bytes:
    """What a file begins with: one section with one Ethernet interface, times in microseconds."""
    section = struct.pack("<IHHq", _MAGIC, 1, 0, -1) + _options((_USER_APPLICATION, program))
    options = _options((_NAME, interface), (_DESCRIPTION, description))
    return _block(_SECTION, section) + _block(
        _INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + options
    )


def packet(time: int, data: bytes, length: int, comment: str = "") -> bytes:
    """A packet's block. `time`: microseconds; `length`: what it had, at least `len(data)` bytes."""
    head = struct.pack("<IIIII", 0, time >> 32, time & 0xFFFFFFFF, len(data), length)
    options = _options((_COMMENT, comment)) if comment else b""
    return _block(_PACKET, head + _padded(data) + options)


def packets(file: BinaryIO) -> Iterator[Packet]:
    """The packets of such a file, in its order; a block that is not whole ends it."""
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack("<II", head)
        if length % 4 or not _FRAME <= length <= _LARGEST_BLOCK:
            return
        rest = file.read(length - 8)
        if len(rest) < length - 8 or rest[-4:] != head[4:]:
            return
        if kind == _PACKET and len(rest) >= _PACKET_HEAD:
            _, high, low = struct.unpack_from("<III", rest)
            yield Packet(high << 32 | low, head + rest)


def _block(kind: int, body: bytes) -> bytes:
    length = len(body) + _FRAME
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _options(*options: tuple[int, str]) -> bytes:
    """Texts by their codes, and the end of options."""
    coded = b""
    for code, text in options:
        value = text.encode("utf-8", "replace")
        coded += struct.pack("<HH", code, len(value)) + _padded(value)
    return coded + struct.pack("<HH", 0, 0)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
