"""A conversation as the TCP connection that carried it: packets made of what each side said.

Nothing of the real packets is known but bytes, times and addresses: numbers begin at 0 and Ethernet
addresses are made up. No I/O.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from bridge.core.capture.pcapng import packet
from bridge.core.units import Address

_FIN, _SYN, _RST, _PUSH, _ACK = 1, 2, 4, 8, 16
_WINDOW = 65535
_TTL = 64
_TCP = 6
_TCP_HEAD = 20
_MACS = (b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02")  # locally administered
MOST_DATA = 60_000  # bytes of one packet: its length is a number of 16 bits
_Ip = IPv4Address | IPv6Address


class _Payload(NamedTuple):
    """What a packet carries, and how many bytes of it are kept."""

    data: bytes
    keep: int


_NOTHING = _Payload(b"", 0)


class TcpFlow:
    """One TCP connection. Each method gives the blocks of its packets, to be written in order.

    Times are microseconds since the epoch.
    """

    def __init__(self, client: Address, server: Address) -> None:
        """Addresses of different kinds are written as IPv6; an odd one as `::`."""
        ips = (_ip(client.host), _ip(server.host))
        if ips[0].version != ips[1].version:
            ips = (_as_v6(ips[0]), _as_v6(ips[1]))
        self._is_v4 = ips[0].version == 4
        self._ips = (ips[0].packed, ips[1].packed)
        self._ports = (client.port, server.port)
        self._sent = [0, 0]  # by client, by server: the next sequence number

    def open(self, time: int, comment: str = "") -> list[bytes]:
        """The handshake."""
        return [
            self._packet(time, 0, _SYN, comment=comment),
            self._packet(time, 1, _SYN | _ACK),
            self._packet(time, 0, _ACK),
        ]

    def data(
        self, time: int, by_client: bool, data: bytes, keep: int | None = None, comment: str = ""
    ) -> Iterator[bytes]:
        """What one side sent; of it the first `keep` bytes are kept, None: all."""
        side = 0 if by_client else 1
        for start in range(0, len(data), MOST_DATA):
            piece = data[start : start + MOST_DATA]
            kept = len(piece) if keep is None else min(len(piece), max(keep - start, 0))
            yield self._packet(time, side, _PUSH | _ACK, _Payload(piece, kept), comment)
            comment = ""

    def close(self, time: int, by_client: bool) -> list[bytes]:
        """The end, which one side began."""
        first = 0 if by_client else 1
        return [
            self._packet(time, first, _FIN | _ACK),
            self._packet(time, 1 - first, _FIN | _ACK),
            self._packet(time, first, _ACK),
        ]

    def reset(self, time: int, by_client: bool) -> list[bytes]:
        """The end of a connection that one side cut."""
        return [self._packet(time, 0 if by_client else 1, _RST | _ACK)]

    def _packet(
        self, time: int, side: int, flags: int, payload: _Payload = _NOTHING, comment: str = ""
    ) -> bytes:
        data, keep = payload
        acknowledged = self._sent[1 - side] if flags & _ACK else 0
        head = struct.pack(
            ">HHIIBBHHH",
            self._ports[side],
            self._ports[1 - side],
            self._sent[side],
            acknowledged,
            _TCP_HEAD // 4 << 4,
            flags,
            _WINDOW,
            0,
            0,
        )
        step = len(data) + bool(flags & (_SYN | _FIN))
        self._sent[side] = (self._sent[side] + step) & 0xFFFFFFFF
        source, target = self._ips[side], self._ips[1 - side]
        size = len(head) + len(data)
        pseudo = source + target + struct.pack(">II", size, _TCP)
        head = head[:16] + _checksum(pseudo, head, data) + head[18:]
        whole = self._link_head(side, size) + head
        return packet(time, whole + data[:keep], len(whole) + len(data), comment)

    def _link_head(self, side: int, size: int) -> bytes:
        """Ethernet and IP."""
        source, target = self._ips[side], self._ips[1 - side]
        link = _MACS[1 - side] + _MACS[side]
        if not self._is_v4:
            fixed = struct.pack(">IHBB", 6 << 28, size, _TCP, _TTL)
            return link + b"\x86\xdd" + fixed + source + target
        fixed = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, 0x4000, _TTL, _TCP, 0)
        checksum = _checksum(fixed, source, target)
        return link + b"\x08\x00" + fixed[:10] + checksum + source + target


def _ip(text: str) -> _Ip:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return IPv6Address(0)


def _as_v6(address: _Ip) -> IPv6Address:
    if isinstance(address, IPv4Address):
        return IPv6Address(b"\x00" * 10 + b"\xff\xff" + address.packed)
    return address


def _checksum(*parts: bytes) -> bytes:
    """The Internet checksum (RFC 1071); each part but the last has an even length.

    A sum of 16-bit words with end-around carry is what a long number leaves when divided by 65535.
    """
    total = 0
    for part in parts:
        total += int.from_bytes(part + bytes(len(part) % 2), "big") % 0xFFFF
    return struct.pack(">H", (0xFFFF - total % 0xFFFF) % 0xFFFF)
