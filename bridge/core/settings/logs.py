"""Sections `logs`, `notify` and `status`: what is said, and to whom."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from bridge.core.fields import (
    CertificateFile,
    Duration,
    ListenAddress,
    PathSetting,
    Size,
    at_least,
)
from bridge.core.settings.section import Section
from bridge.core.siem.message import parse_syslog_url
from bridge.core.units import Address


def _syslog_url(value: str) -> str:
    parse_syslog_url(value)
    return value


class SyslogSettings(Section):
    """Where records go, too: a SIEM's collector."""

    url: Annotated[str, AfterValidator(_syslog_url)]
    format: Literal["cef"] = "cef"
    ca: CertificateFile | None = None
    queue: Annotated[Size, AfterValidator(at_least(1 << 20, "1MiB"))] = 64 << 20


class LogSettings(Section):
    """Where records and service logs go."""

    dir: PathSetting = Path("/var/log/katabridge")
    level: Literal["debug", "info", "warning", "error"] = "info"
    rotate: Annotated[Size, AfterValidator(at_least(1 << 20, "1MiB"))] = 100 << 20
    keep: Annotated[Duration, AfterValidator(at_least(86400, "1d"))] = 90 * 86400
    urls: Literal["full", "no_query"] = "full"
    syslog: SyslogSettings | None = None


def _webhook_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not value.isprintable() or " " in value:
        raise ValueError("not an address such as https://hooks.example/katabridge")
    return value


class NotifySettings(Section):
    """A webhook that is told of blocks and of late detections."""

    url: Annotated[str, AfterValidator(_webhook_url)]
    ca: CertificateFile | None = None
    queue: Annotated[Size, AfterValidator(at_least(1 << 20, "1MiB"))] = 16 << 20


def _token(value: object) -> object:
    """Told apart from a file's line: a token is typed, copied and sent in a header."""
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]{16,200}", value):
        raise ValueError("must be 16 to 200 signs of ASCII without spaces")  # never shown
    return value


def _host_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", value):
        raise ValueError(f"{value!r} is no host name, such as status.example")
    return value


class StatusSettings(Section):
    """Where each daemon has its status page and /metrics; None: nowhere.

    `hosts`: names by which browsers come. `token`: what a reader of the history, or who changes
    something, must show.
    """

    icapd: ListenAddress | None = Address("127.0.0.1", 8344)
    watch: ListenAddress | None = Address("127.0.0.1", 8345)
    hosts: list[Annotated[str, AfterValidator(_host_name)]] = []
    token: Annotated[SecretStr, BeforeValidator(_token)] | None = None
