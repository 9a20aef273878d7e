"""Which values of a configuration are secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from bridge.core.settings import Settings

SHORTEST_SECRET = 4  # a shorter value is taken out only where it is known to stand

_AUTHORITY = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://(?:(?P<user>[^/?#]*)@)?[^/?#]*(?P<rest>.*)", re.S
)
_USERINFO = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:/+|/*)(?P<user>.*)@", re.S)
_PASSWORD = re.compile(r"[?&]password=([^&#]*)", re.I)
_PARTS = re.compile(r"[/?&#;]+")
_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(.*?)(?:-----END|\Z)", re.S)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_WORD = re.compile(r"[a-z_.-]{1,15}|[0-9]{1,7}|.{1,7}", re.S)  # in a path: too common to be one
_GRAM = 24  # signs of a key in Base64 that are looked for together: 144 bits
_LEAST_LINE = 8


def secrets_of_settings(settings: Settings) -> frozenset[str]:
    """All secrets of a configuration, those in its key files too. Blocks: disk."""
    found = set(store_secrets(settings.verdicts.store))
    if settings.status.token is not None:
        found.add(settings.status.token.get_secret_value())
    if settings.notify is not None:
        found.update(webhook_secrets(settings.notify.url))
    files = [settings.kata.client_cert, settings.kata.client_key]
    if settings.icap.tls is not None:
        files += [settings.icap.tls.cert, settings.icap.tls.key]
    for file in files:
        found.update(_lines_of(file))
    return frozenset(each for each in found if len(each) >= SHORTEST_SECRET)


def _lines_of(file: Path) -> Iterable[str]:
    try:
        return key_lines(file.read_text(encoding="ascii", errors="replace"))
    except OSError:  # what this process cannot read, no text of ours can hold
        return ()


def url_secrets(url: str) -> Iterator[str]:
    """The password of a URL, as it stands and decoded, even where it is not written as it must be.

    What stands before the last `@` is taken for user and password, and before the first one, too.
    """
    match = _AUTHORITY.match(url)
    yield from _of_userinfo(match["user"] if match else None)
    match = _USERINFO.match(url)
    yield from _of_userinfo(match["user"] if match else None)


def store_secrets(url: str) -> Iterator[str]:
    """The password of a store's URL, also where a parameter holds it."""
    yield from url_secrets(url)
    for value in _PASSWORD.findall(url):
        yield from {value, unquote(value)}


def webhook_secrets(url: str) -> Iterator[str]:
    """Password, path and query of a webhook: who knows these can post there."""
    match = _AUTHORITY.match(url)
    yield from url_secrets(url)
    rest = (url if match is None else match["rest"]).lstrip("/")
    for part in (rest, *_PARTS.split(rest)):
        for each in {part, part.partition("=")[2]}:
            if each and _WORD.fullmatch(each) is None:
                yield from {each, unquote(each)}


def _of_userinfo(userinfo: str | None) -> Iterator[str]:
    if userinfo:
        user, colon, password = userinfo.partition(":")
        secret = password if colon else user
        yield from {secret, unquote(secret)}


def key_lines(pem: str) -> Iterator[str]:
    """Pieces of every private key in a PEM text, such that no line of it is without one."""
    for block in _KEY.findall(pem):
        lines = [line.strip() for line in block.splitlines()]
        lines = [line for line in lines if _BASE64.fullmatch(line)]
        whole = "".join(lines)
        yield from (whole[at : at + _GRAM] for at in range(0, len(whole) - _GRAM + 1, _GRAM))
        if lines and len(lines[-1]) >= _LEAST_LINE:
            yield lines[-1]
