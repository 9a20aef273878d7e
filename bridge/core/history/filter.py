"""Which records of a log are wanted: decided on the whole record, exactly."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

from bridge.core.history.folding import fold, folded
from bridge.core.model import Decision, Door, OutcomeKind

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

EQUAL = ("case", "outcome", "decision", "door")
_CHOICES: dict[str, type[StrEnum]] = {"outcome": OutcomeKind, "decision": Decision, "door": Door}
_HASH = re.compile(r"[0-9a-f]{1,64}")
_MAPPED_BITS = 96  # of ::ffff:0:0/96


@dataclass(frozen=True, slots=True)
class HistoryFilter:
    """What a record must be; None, or an empty text, lets everything through.

    `since` and `until` are seconds since the epoch, the first of them in, the second out. `name`,
    `user` and `url` must be contained, whatever their capitals and the spelling of their accents
    (NFC, NFD), as they are or as `printable` shows them; who gave a command by hand counts as the
    user where there is none, and the path of a file as the URL. `user_is` is the whole of a user,
    in the same way. `hash` is the beginning of a sha256 or md5, `client` an address or a network
    (`10.1.0.0/16`): of the client, or of the proxy where it named none. The rest is equal;
    `quarantined_as` is the case until a person did something with its file. ValueError, a sentence
    without its full stop, where a value can fit nothing.
    """

    since: float | None = None
    until: float | None = None
    case: str | None = None
    name: str | None = None
    hash: str | None = None
    user: str | None = None
    client: str | None = None
    url: str | None = None
    outcome: str | None = None
    decision: str | None = None
    door: str | None = None
    quarantined_as: str | None = None
    user_is: str | None = None

    def __post_init__(self) -> None:
        """Check the values, and bring each into the form that it has in a record."""
        for key in (field.name for field in fields(self)):
            value = getattr(self, key)
            if isinstance(value, str):
                object.__setattr__(self, key, _checked(key, value.strip()))
            elif value is not None and not math.isfinite(value):
                raise ValueError(f"{key} {value} is no time")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since is not before until: no record can be in between")

    def fits(self, record: Mapping[str, object]) -> bool:
        """Whether the record is wanted."""
        context = record.get("context")
        context = context if isinstance(context, Mapping) else {}
        user = context.get("user") or context.get("by")
        return (
            all(getattr(self, key) in (None, record.get(key)) for key in EQUAL)
            and self.quarantined_as in (None, context.get("quarantined_as"))
            and self.fits_time(record.get("time"))
            and self._fits_hash(record)
            and _contains(record.get("name"), self.name)
            and _contains(user, self.user)
            and _is(user, self.user_is)
            and _contains(context.get("url") or context.get("path"), self.url)
            and self._fits_client(context.get("client_ip") or context.get("proxy"))
        )

    def fits_time(self, value: object) -> bool:
        """Whether a record of that time (RFC 3339) is wanted."""
        if self.since is None and self.until is None:
            return True
        seconds = seconds_of(value)
        if seconds is None:
            return False
        return (self.since is None or seconds >= self.since) and (
            self.until is None or seconds < self.until
        )

    def _fits_hash(self, record: Mapping[str, object]) -> bool:
        if self.hash is None:
            return True
        values = (record.get(key) for key in ("sha256", "md5"))
        return any(isinstance(each, str) and each.startswith(self.hash) for each in values)

    def _fits_client(self, value: object) -> bool:
        if self.client is None:
            return True
        address = address_of(value) if isinstance(value, str) else None
        return address is not None and address in network_of(self.client)


def seconds_of(value: object) -> float | None:
    """A record's time in seconds since the epoch; None where it is none."""
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=4096)  # a log has so many clients
def address_of(text: str) -> Address | None:
    """The address; an IPv4 one that is written as IPv6 as IPv4. None where it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=16)
def network_of(text: str) -> Network:
    """An address, or a network; an IPv4 one that is written as IPv6 as IPv4. ValueError."""
    network = ipaddress.ip_network(text.partition("%")[0], strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def _checked(key: str, text: str) -> str | None:
    if not text:
        return None
    if key in _CHOICES:
        return _choice(key, text)
    if key == "hash":
        text = text.lower()
        if _HASH.fullmatch(text) is None:
            raise ValueError(f"hash {text!r} is none: write hex digits of a sha256 or md5")
    elif key == "client":
        try:
            network_of(text)
        except ValueError:
            raise ValueError(
                f"client {text!r} is no address and no network (as in 10.0.0.7 or 10.1.0.0/16)"
            ) from None
    return text.lower() if key in ("case", "quarantined_as") else text


def _choice(key: str, text: str) -> str:
    known: list[str] = [each.value for each in _CHOICES[key]]
    for value in known:
        if value.lower() == text.lower():
            return value
    raise ValueError(f"{key} {text!r} does not exist; there are {', '.join(known)}")


def _contains(value: object, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return isinstance(value, str) and _expression(wanted).search(fold(value)) is not None


def _is(value: object, wanted: str | None) -> bool:
    if wanted is None:
        return True
    if not isinstance(value, str):
        return False
    expression, text = _expression(wanted), fold(value)
    return any(expression.fullmatch(each) is not None for each in (text, text.strip()))


@lru_cache(maxsize=16)
def _expression(wanted: str) -> re.Pattern[str]:
    """What must be found in a text that is folded."""
    return re.compile(
        "".join(
            f"(?:{re.escape(text)}|{re.escape(meant)})" if meant else re.escape(text)
            for text, meant in folded(wanted)
        )
    )
