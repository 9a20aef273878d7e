"""URLs taken apart for rules: what cannot be read in one way only is not read at all.

Proxies, browsers and servers read odd URLs differently (RFC 3986 against the WHATWG URL standard,
and neither by habit). A rule lets an object pass unscanned, so `parse_url` takes the plain URLs
that all of them read alike and gives None for the rest, which then matches no rule.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

import idna

DEFAULT_PORTS = {"http": 80, "https": 443, "ftp": 21}
_MAX_URL = 8192  # signs

_URL = re.compile(r"(https?|ftp)://([^/?#]*)(/[^?#]*)?([?#].*)?", re.IGNORECASE | re.ASCII)
_USER = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:%@]+)(?::([1-9][0-9]{0,4})?)?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CAPITALS = re.compile(r"[A-Z]+")
_MAX_LABEL = 63
_MAX_HOST = 253
_MAX_PORT = 65535

_PATH = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
# Servers differ in what an escaped slash, backslash or control sign does, and in decoding twice.
_UNSURE = re.compile(r"%(?:2f|5c|3b|3f|[01][0-9a-f]|7f|25[0-9a-f]{2})", re.IGNORECASE)
_ESCAPED = 0xE000


class Url(NamedTuple):
    """A URL, normalised. `host` is an A-label name, an IPv4 address or `[…]`, in lower case.

    `segments` are the parts of the path between slashes: dot segments removed, unreserved escapes
    decoded, and every escape that is left folded into one sign, so that no mask can cut it.
    """

    scheme: str
    host: str
    port: int
    segments: tuple[str, ...]


def parse_url(text: str) -> Url | None:
    """Read an absolute http, https or ftp URL; None where readers could differ. Raises nothing.

    User name, query and fragment take no part. An absent or empty port is the scheme's own.
    """
    if len(text) > _MAX_URL or not text.isprintable() or " " in text or "\\" in text:
        return None
    parts = _URL.fullmatch(text)
    if parts is None:
        return None
    scheme, authority, path, rest = parts[1].lower(), parts[2], parts[3], parts[4] or ""
    if path is None and "@" in rest:  # some readers take `good?@evil` for a user name
        return None
    place = _host_port(authority)
    segments = path_segments(path or "/")
    if place is None or segments is None:
        return None
    host, port = place
    return Url(scheme, host, port or DEFAULT_PORTS[scheme], segments)


def _host_port(authority: str) -> tuple[str, int | None] | None:
    user, at, place = authority.rpartition("@")
    match = _HOST_PORT.fullmatch(place)
    if match is None or (at and _USER.fullmatch(user) is None):
        return None
    host = normalise_host(match[1])
    port = int(match[2]) if match[2] else None
    if host is None or (port or 0) > _MAX_PORT:
        return None
    return host, port


def normalise_host(text: str) -> str | None:
    """A name in A-labels, `192.0.2.1` or `[2001:db8::1]`; None for what is no certain host.

    One trailing dot is dropped. Numbers that only some readers take for an address are none.
    """
    if text.startswith("["):
        return _ipv6(text)
    labels = [_label(label) for label in text.removesuffix(".").split(".")]
    if None in labels:
        return None
    host = ".".join(label for label in labels if label)
    if len(host) > _MAX_HOST:
        return None
    if _NUMBER.fullmatch(labels[-1] or "") is None:
        return host
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        return None


def _ipv6(text: str) -> str | None:
    try:
        address = IPv6Address(text.removeprefix("[").removesuffix("]"))
    except AddressValueError:
        return None
    return None if address.scope_id else f"[{address.compressed}]"


def _label(text: str) -> str | None:
    """One label in A-label form (RFC 5891), without the mapping that makes look-alikes equal."""
    label = _CAPITALS.sub(lambda sign: sign[0].lower(), text)
    if not label.isascii() and len(label) <= _MAX_LABEL:
        try:
            label = idna.alabel(label).decode("ascii")
        except UnicodeError:  # idna.IDNAError is one
            return None
    return label if _LABEL.fullmatch(label) else None


def path_segments(path: str) -> tuple[str, ...] | None:
    """The segments of a path that begins with a slash, normalised; None where it is not certain."""
    if _PATH.fullmatch(path) is None or _UNSURE.search(path):
        return None
    raw = _ESCAPE.sub(_fold, path).split("/")[1:]
    dots = [segment.partition(";")[0] in (".", "..") for segment in raw]
    if any(dot and ";" in segment for dot, segment in zip(dots, raw, strict=True)):
        return None  # some servers resolve `..;x`
    if ".." in raw and "" in raw[:-1]:
        return None  # `a//..`: some servers make one slash of two before they resolve
    return _without_dots(raw)


def _fold(escape: re.Match[str]) -> str:
    value = int(escape[1], 16)
    return chr(value) if _UNRESERVED.fullmatch(chr(value)) else chr(_ESCAPED + value)


def _without_dots(raw: list[str]) -> tuple[str, ...] | None:
    """RFC 3986, 5.2.4; None where dots lead out of the root."""
    found: list[str] = []
    for segment in raw:
        if segment == "..":
            if not found:
                return None
            found.pop()
        elif segment != ".":
            found.append(segment)
    if raw[-1] in (".", ".."):
        found.append("")
    return tuple(found)
