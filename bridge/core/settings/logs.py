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
from bridge.core.quoting import quoted
from bridge.core.settings.section import Section
from bridge.core.siem.message import parse_syslog_url
from bridge.core.units import Address


def _syslog_url(value: str) -> str:
    parse_syslog_url(value)
    return value


class SyslogSettings(Section):
    """Where records go, too: a SIEM's collector."""

    url: Annotated[str, AfterValidator(_syslog_url)]
    """A SIEM's collector: `udp://`, `tcp://` or `tls://` with host and port. Every record goes
    there, too, as CEF in a message by RFC 5424: TCP and TLS with octet counting, UDP cut at 8 KiB.
    """
    format: Literal["cef"] = "cef"
    """The format: `cef`."""
    ca: CertificateFile | None = None
    """With `tls`: the CA, or self-signed certificate, that the collector's certificate must fit.
    Without it the system's count."""
    queue: Annotated[Size, AfterValidator(at_least(1 << 20, "1MiB"))] = 64 << 20
    """Lines wait on disk, up to this, while the collector is away; then the oldest are dropped, and
    counted in the log. After a broken connection lines may come twice."""


class LogSettings(Section):
    """Where records and service logs go."""

    dir: PathSetting = Path("/var/log/katabridge")
    """`log-history.log` (every case), `log-detects.log` (every detection), `log-events.log`
    ([outages](outages.md), with a beginning and an end), `preprocessor_icap.log` (icapd's own log
    and every verdict given to a proxy), `kata-bridge-watch.log`."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """`debug`, `info`, `warning` or `error`, for the daemons' own logs; they go to stderr, too."""
    rotate: Annotated[Size, AfterValidator(at_least(1 << 20, "1MiB"))] = 100 << 20
    """A log file is rotated at this size, and every day."""
    keep: Annotated[Duration, AfterValidator(at_least(86400, "1d"))] = 90 * 86400
    """Rotated files are deleted when they are older."""
    urls: Literal["full", "no_query"] = "full"
    """`no_query` leaves queries out of records and logs, `full` does not. User names and passwords
    in URLs are always left out."""
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
    """A webhook that is told of blocks and of late detections: `http://` or `https://`, with path
    and query as it needs them. `user:password@` becomes basic authentication. Logs name its host
    only."""
    ca: CertificateFile | None = None
    """With `https`: the CA, or self-signed certificate, that the webhook's certificate must fit.
    Without it the system's count."""
    queue: Annotated[Size, AfterValidator(at_least(1 << 20, "1MiB"))] = 16 << 20
    """Records wait on disk, up to this for each door, while the webhook takes none; then the oldest
    are dropped, and counted."""


def _token(value: object) -> object:
    """Told apart from a file's line: a token is typed, copied and sent in a header."""
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]{16,200}", value):
        raise ValueError("must be 16 to 200 signs of ASCII without spaces")  # never shown
    return value


def _host_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", value):
        raise ValueError(f"{quoted(value)} is no host name, such as status.example")
    return value


class StatusSettings(Section):
    """Where each daemon has its status page and /metrics; None: nowhere."""

    icapd: ListenAddress | None = Address("127.0.0.1", 8344)
    """IP address and port of icapd's [status page](status.md), with `/metrics`, `/health` and
    `/ready`; `null`: nowhere. It speaks plain HTTP, and whoever reaches it can read all but the
    history: keep it on 127.0.0.1, behind a firewall, or behind a web server with TLS."""
    watch: ListenAddress | None = Address("127.0.0.1", 8345)
    """The same of `kata-bridge watch` (without `--once`; with `--kds-config` there is none)."""
    hosts: list[Annotated[str, AfterValidator(_host_name)]] = []
    """Names by which browsers reach the page, beside the machine's own name, `localhost` and
    addresses, as in `[status.example]` behind a web server. Under any other name it is refused, so
    that no page of a stranger's can be led here (DNS rebinding). `/metrics`, `/health` and `/ready`
    are there under every name."""
    token: Annotated[SecretStr, BeforeValidator(_token)] | None = None
    """What a reader of the history on the status page, or who changes something there, must show:
    16 to 200 signs of ASCII without spaces, such as `openssl rand -hex 20` prints. Without it
    neither is possible."""
