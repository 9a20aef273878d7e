"""Who is at the other end, and how it lets us down."""

from __future__ import annotations

from ipaddress import ip_address


class Disconnected(Exception):
    """The proxy closed the connection where more was expected."""


class Expired(Exception):
    """The proxy was waited for long enough; the text says for what, with the key of the time."""


def address_of(peername: tuple[object, ...] | None) -> str:
    """The address in a socket's peer name; an IPv4 one that came by an IPv6 socket as IPv4."""
    text = str(peername[0]) if peername else "unknown"
    try:
        mapped = getattr(ip_address(text), "ipv4_mapped", None)
    except ValueError:
        return text
    return str(mapped or text)
