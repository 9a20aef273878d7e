"""Where a webhook is, and the request that it gets: pure.

Sources: RFC 9112 (HTTP/1.1), RFC 7617 (basic authentication).
"""

from __future__ import annotations

import base64
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

import idna

_PORTS = {"http": 80, "https": 443}
_KEPT = "/%:@!$&'()*+,;=~-._?"  # may stand in a path or query as they are (RFC 3986)


class Target(NamedTuple):
    """A receiver. As text it is its scheme, host and port: the rest may hold a token."""

    scheme: str
    host: str  # without brackets, a name in its A-label form
    port: int
    resource: str  # path and query, as they are sent
    credentials: str | None  # of the header Authorization

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port as the header Host has them (RFC 9110, section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_webhook_url(url: str) -> Target:
    """`url` as `NotifySettings` has checked it. What is no ASCII in it is sent percent-encoded."""
    parts = urlsplit(url)
    resource = quote(parts.path or "/", safe=_KEPT)
    if parts.query:
        resource += "?" + quote(parts.query, safe=_KEPT)
    return Target(
        parts.scheme,
        _ascii_host(parts.hostname or ""),
        parts.port or _PORTS[parts.scheme],
        resource,
        _credentials(parts.username, parts.password),
    )


def format_request(target: Target, agent: str, body: bytes) -> bytes:
    """One POST of a JSON object, after whose answer the connection ends."""
    head = [
        f"POST {target.resource} HTTP/1.1",
        f"Host: {target.authority}",
        f"User-Agent: {agent}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if target.credentials is not None:
        head.append(f"Authorization: {target.credentials}")
    return ("\r\n".join(head) + "\r\n\r\n").encode("ascii", "replace") + body


def _ascii_host(host: str) -> str:
    try:
        return host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return host  # it will not be found, which is said with every other fault


def _credentials(user: str | None, password: str | None) -> str | None:
    if user is None and password is None:
        return None
    pair = f"{unquote(user or '')}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
