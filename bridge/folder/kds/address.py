"""The Central Node's address as KDS's configurations have it: a host, often nothing more."""

from __future__ import annotations

import ipaddress

from bridge.core import parse_central_node, quoted

_SCHEME = "https://"


def parse_kata_cn_addr(text: str) -> str:
    """The base URL of `host`, `host:port`, an IPv4 or IPv6 address, with or without `https://`.

    ValueError for anything else; http is refused, since KATA answers on https only.
    """
    refusal = (
        f"{quoted(text)} is not the address of a Central Node; write its host name or IP address, "
        'as in "cn.example" or "cn.example:8443"'
    )
    rest = text[len(_SCHEME) :] if text.lower().startswith(_SCHEME) else text
    if "://" in rest:
        raise ValueError(
            f"{quoted(text)}: KATA is asked over https only; leave out what is before ://"
        )
    if "#" in rest or not rest.isprintable():  # urlsplit would drop them without a word
        raise ValueError(refusal)
    try:
        return parse_central_node(f"{_SCHEME}{_bracketed(rest)}")
    except ValueError:
        raise ValueError(refusal) from None


def _bracketed(host: str) -> str:
    """An IPv6 address in the brackets that a URL needs; anything else as it is."""
    try:
        return f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        return host
