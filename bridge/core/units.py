"""Values with units, as the configuration writes them: `2s`, `10m`, `256KiB`, `host:port`."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from bridge.core.quoting import quoted

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE = re.compile(r"([0-9]+)(B|KiB|MiB|GiB|TiB)")
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_MAX_PORT = 65535
_MAX_DIGITS = 15
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?")
_MAX_DURATION = 10 * 365 * 86400.0


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_duration(value: object) -> float:
    """Seconds of `300ms`, `2s`, `10m`, `24h` or `7d`; ValueError for anything else."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"{quoted(value)} is not a time with a unit; "
            "write a number and ms, s, m, h or d (as in 60s)"
        )
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > _MAX_DURATION:
        raise ValueError(f"{quoted(value)} is longer than ten years")
    return seconds


def parse_size(value: object) -> int:
    """Bytes of `4096B`, `256KiB`, `100MiB`, `10GiB`; ValueError for anything else."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"{quoted(value)} is not a size with a unit; "
            "write a whole number and B, KiB, MiB, GiB or TiB (as in 100MiB)"
        )
    if len(match[1]) > _MAX_DIGITS:
        raise ValueError(f"{quoted(value)} is larger than any disk")
    return int(match[1]) * _BYTES[match[2]]


def parse_address(value: object) -> Address:
    """`127.0.0.1:1344` or `[::1]:1344`; ValueError for anything else."""
    text = value if isinstance(value, str) else ""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        valid = bool(colon) and port.isascii() and port.isdigit() and int(port) <= _MAX_PORT
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"{quoted(value)} is not an IP address with a port (as in 127.0.0.1:1344)")
    return Address(host, int(port))


def parse_central_node(value: object) -> str:
    """The base URL of a Central Node without a trailing slash; https only."""
    parts = None
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        host = parts.hostname if parts is not None else None
        port = parts.port if parts is not None else None
    except ValueError:
        host = None
    named = host is not None and (":" in host or _HOST.fullmatch(host) is not None)
    if parts is None or parts.scheme != "https" or not named or port == 0:
        raise ValueError(f"{quoted(value)} is not an https address (as in https://cn.example)")
    if parts.path.strip("/") or parts.query or "@" in parts.netloc:
        raise ValueError(
            f"{quoted(value)} must be scheme, host and port only (as in https://cn.example)"
        )
    return f"https://{parts.netloc}"


def parse_fingerprint(value: object) -> str:
    """`sha256:` and 64 hex digits (colons between them allowed) as lower-case hex."""
    text = value if isinstance(value, str) else ""
    kind, _, digits = text.partition(":")
    digits = digits.replace(":", "").lower()
    if kind != "sha256" or re.fullmatch(r"[0-9a-f]{64}", digits) is None:
        raise ValueError(f"{quoted(value)} is not a fingerprint (sha256: and 64 hex digits)")
    return digits
