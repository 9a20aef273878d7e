"""The address of a redis verdict store. No error and no name made here holds its password."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from bridge.core.quoting import fault_of_path, named
from bridge.core.verdicts.store import StoreError

_PORT = 6379
_OPTION = re.compile(r"ssl_[a-z_]{1,40}")
_TLS_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


def connection_arguments(url: str) -> tuple[str, bool, dict[str, Any]]:
    """(name for people, whether TLS, arguments of a redis connection) of a URL.

    `redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DB]`, and with TLS `?ssl_ca_certs=FILE` (also
    ssl_ca_path, ssl_certfile, ssl_keyfile). StoreError says what is wrong.
    """
    parts, port = _split(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    server = f"{parts.scheme}://{shown}:{port}"
    arguments: dict[str, Any] = {"host": host, "port": port, "db": _database(parts.path, server)}
    name = f"{server}{parts.path}"
    is_tls = parts.scheme == "rediss"
    if parts.username:
        arguments["username"] = unquote(parts.username)
    if parts.password:
        arguments["password"] = unquote(parts.password)
    return name, is_tls, arguments | _tls_files(parts.query, is_tls, name)


def _split(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError:  # its text may hold a piece of the password
        parts, port = SplitResult("", "", "", "", ""), 0
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.fragment:
        raise StoreError(
            "the URL of the redis verdict store cannot be read: it is redis[s]://"
            "USER:PASSWORD@HOST:PORT/DB, with signs like / # @ in a password written as %2F %23 %40"
        )
    return parts, port


def _database(path: str, name: str) -> int:
    number = path.strip("/") or "0"
    if not number.isdecimal():
        raise StoreError(f"{name}: what follows the port is the number of a redis database")
    return int(number)


def _tls_files(query: str, is_tls: bool, name: str) -> dict[str, str]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(given) - set(_TLS_FILES))
    if unknown:
        # anything else may be a piece of a password
        option = repr(unknown[0]) if _OPTION.fullmatch(unknown[0]) else "what follows the `?`"
        raise StoreError(
            f"{name}: {option} is no option of a redis verdict store; known are "
            f"{', '.join(_TLS_FILES)} (certificates are always verified)"
        )
    if given and not is_tls:
        raise StoreError(f"{name}: {min(given)} needs TLS, that is rediss://")
    for option, file in given.items():
        fault = fault_of_path(file)
        if fault is not None:
            raise StoreError(f"{name}: {option}: {fault}")
        if not os.path.exists(file):  # noqa: PTH110 - Path's raises where it may not look
            raise StoreError(f"{name}: {option}: {named(Path(file))} does not exist")
    return given
