"""Syslog messages and where they go: pure.

Sources: RFC 5424 (the message), RFC 5426 (UDP), RFC 6587 section 3.4.1 and RFC 5425 section 4.3
(octet counting over TCP and TLS).
"""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from bridge.core.printable import printable
from bridge.core.quoting import quoted

LOCAL0 = 16
INFORMATIONAL = 6
UDP_BYTES = 8192  # what common collectors take; larger datagrams are lost more easily as well

_HEADER_BYTES = 600  # of a message, at most: see the lengths below
_MAX_PORT = 65535
_SCHEMES = ("udp", "tcp", "tls")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_NO_HEADER_SIGN = re.compile(r"[^\x21-\x7e]")
_EXAMPLE = "as in tls://siem.example:6514"


class Origin(NamedTuple):
    """Who sends: host, program, process and facility of the header (RFC 5424, section 6.2)."""

    host: str
    app: str = "katabridge"
    process: str = "-"
    facility: int = LOCAL0


class SyslogTarget(NamedTuple):
    """A collector. `scheme` is `udp`, `tcp` or `tls`."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def text_bytes(self) -> int:
        """How long a text may be there: `format_cef(max_bytes=…)`."""
        return UDP_BYTES - _HEADER_BYTES if self.scheme == "udp" else 32_768


def parse_syslog_url(text: object) -> SyslogTarget:
    """`udp://host:port`, `tcp://…` or `tls://…`; ValueError for anything else."""
    try:
        parts = urlsplit(text if isinstance(text, str) else "")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not _is_host(host) or parts.scheme not in _SCHEMES:
        raise ValueError(f"{quoted(text)} is not udp://, tcp:// or tls:// with a host ({_EXAMPLE})")
    if not port:
        raise ValueError(f"{quoted(text)} names no port ({_EXAMPLE})")
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(f"{quoted(text)} must be scheme, host and port only ({_EXAMPLE})")
    return SyslogTarget(parts.scheme, host, port)


def format_message(text: str, severity: int, time: datetime, origin: Origin) -> bytes:
    """A message by RFC 5424, without structured data; `time` has a zone.

    No byte order mark goes before the text: so it is MSG-ANY (section 6.4), and collectors find
    `CEF:` at its start. Signs that could break a line become text.
    """
    stamp = time.isoformat(timespec="milliseconds")
    names = f"{_name(origin.host, 255)} {_name(origin.app, 48)} {_name(origin.process, 128)}"
    header = f"<{origin.facility * 8 + severity}>1 {stamp} {names} CEF - "
    return (header + printable(text)).encode()


def frame(message: bytes) -> bytes:
    """A message as it goes over a stream: its length in bytes, a space, and itself."""
    return b"%d %b" % (len(message), message)


def datagram(message: bytes) -> bytes:
    """A message as it goes over UDP: what is over 8,192 bytes is cut off, at a sign's boundary."""
    if len(message) <= UDP_BYTES:
        return message
    return message[:UDP_BYTES].decode("utf-8", "ignore").encode()


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _HOST.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _name(value: str, length: int) -> str:
    return _NO_HEADER_SIGN.sub("_", value)[:length] or "-"
