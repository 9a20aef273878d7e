"""What is known of an object when rules are asked about it; what costs is made on demand."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address

from bridge.core.exclusions.urls import Url, parse_url
from bridge.core.formats import Format, recognise

_MEDIA_TYPE = re.compile(r"[ \t]*([\w!#$&^.+-]+/[\w!#$&^.+-]+)[ \t]*(?:;|\Z)", re.ASCII)


@dataclass(frozen=True)
class Facts:
    """One object, from either door. What is None is not known, and matches no rule.

    `name` is its file name. `size` in bytes and `sha256` in lower hex are of the body that is here,
    never announced ones. `md5` is the lower hex, or makes it. `head` gives the first
    `formats.HEAD_BYTES` bytes. Both are called once at most, only if a rule asks; what they raise
    goes through. `url` is raw, as the proxy gave it; `content_type` and `user_agent` are header
    values; `source` is the client's IP address.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    md5: Callable[[], str] | str | None = None
    head: Callable[[], bytes] | None = None
    url: str | None = None
    content_type: str | None = None
    user_agent: str | None = None
    source: str | None = None

    @cached_property
    def format(self) -> Format | None:
        """By content; None without a body."""
        return None if self.head is None else recognise(self.head())

    @cached_property
    def md5_hex(self) -> str | None:
        """Lower hex; None without a body."""
        return self.md5() if callable(self.md5) else self.md5

    @cached_property
    def location(self) -> Url | None:
        """The URL, where it can be read in one way only."""
        return None if self.url is None else parse_url(self.url)

    @cached_property
    def media_type(self) -> str | None:
        """`type/subtype` of the content type, in lower case; None where it is not just one."""
        kind = _MEDIA_TYPE.match(self.content_type or "")
        return None if kind is None else kind[1].lower()

    @cached_property
    def address(self) -> IPv4Address | IPv6Address | None:
        """The client's address; one that is IPv4 in IPv6 is taken as IPv4."""
        try:
            address = ip_address(self.source or "")
        except ValueError:
            return None
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return mapped or address
