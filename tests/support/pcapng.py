"""Reads a pcapng file of TCP over Ethernet without our code: packets, and what each side sent."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from ipaddress import ip_address

FIN, SYN, RST, ACK = 1, 2, 4, 16
_ENHANCED_PACKET = 6


@dataclass
class Segment:
    """One packet. `data` is what was captured of `length` bytes; `options`: codes to texts."""

    time: int
    source: str
    target: str
    ports: tuple[int, int]
    sequence: int
    acknowledged: int
    flags: int
    checksum: int
    data: bytes
    length: int
    options: dict[int, bytes] = field(default_factory=dict)


def segments(file: bytes) -> list[Segment]:
    """All packets; asserts that each block is whole and each checksum right."""
    found, at = [], 0
    while at < len(file):
        kind, length = struct.unpack_from("<II", file, at)
        assert length % 4 == 0
        assert file[at + length - 4 : at + length] == file[at + 4 : at + 8]
        if kind == _ENHANCED_PACKET:
            found.append(_segment(file[at + 8 : at + length - 4]))
        at += length
    assert at == len(file)
    return found


def _segment(body: bytes) -> Segment:
    interface, high, low, captured, original = struct.unpack_from("<5I", body)
    assert interface == 0
    assert captured <= original
    frame = body[20 : 20 + captured]
    options = _options(body[20 + captured + -captured % 4 :])
    is_v4 = frame[12:14] == b"\x08\x00"
    assert is_v4 or frame[12:14] == b"\x86\xdd"
    packet, size = frame[14:], 20 if is_v4 else 40
    if is_v4:
        assert packet[0] == 0x45
        assert _is_right(packet[:20], 10)
        total, addresses = int.from_bytes(packet[2:4], "big"), packet[12:20]
        assert packet[9] == 6
    else:
        total, addresses = int.from_bytes(packet[4:6], "big") + 40, packet[8:40]
        assert packet[6] == 6
    assert total + 14 == original
    tcp, half = packet[size:], len(addresses) // 2
    if captured == original:
        pseudo = addresses + struct.pack(">II", len(tcp), 6)
        assert _is_right(pseudo + tcp, len(pseudo) + 16)
    ports = struct.unpack(">HH", tcp[:4])
    assert tcp[12] >> 4 == 5
    return Segment(
        time=high << 32 | low,
        source=str(ip_address(addresses[:half])),
        target=str(ip_address(addresses[half:])),
        ports=(ports[0], ports[1]),
        sequence=int.from_bytes(tcp[4:8], "big"),
        acknowledged=int.from_bytes(tcp[8:12], "big"),
        flags=tcp[13],
        checksum=int.from_bytes(tcp[16:18], "big"),
        data=tcp[20:],
        length=total - size - 20,
        options=options,
    )


def _options(rest: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(rest):
        code, size = struct.unpack_from("<HH", rest, at)
        if code == 0:
            break
        found[code] = rest[at + 4 : at + 4 + size]
        at += 4 + size + -size % 4
    return found


def _is_right(data: bytes, at: int) -> bool:
    """Whether the checksum at that place is the one of all the rest."""
    rest = data[:at] + b"\0\0" + data[at + 2 :]
    return int.from_bytes(data[at : at + 2], "big") == 0xFFFF - _sum(rest)


def _sum(data: bytes) -> int:
    total = 0
    padded = data + bytes(len(data) % 2)
    for (word,) in struct.iter_unpack(">H", padded):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def said(found: list[Segment], port: int, *, by_client: bool) -> bytes:
    """What was captured of one side's bytes; what was cut is left out.

    Asserts that sequence numbers go on without a gap, connection by connection. `port`: ours.
    """
    expected: dict[tuple[str, int], int] = {}
    data = b""
    for each in found:
        if (each.ports[1] == port) is not by_client:
            continue
        key = each.source + each.target, each.ports[0 if by_client else 1]
        if each.flags & SYN:
            expected[key] = each.sequence
        assert each.sequence == expected[key], each
        step = each.length + bool(each.flags & (SYN | FIN))
        expected[key] = (each.sequence + step) & 0xFFFFFFFF
        data += each.data
    return data
