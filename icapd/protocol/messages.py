"""The heads of ICAP messages, and the HTTP heads that they carry (RFC 3507 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from icapd.protocol.cache import Cache
from icapd.protocol.encapsulated import Encapsulated, check_request, parse_encapsulated
from icapd.protocol.errors import ProtocolError
from icapd.protocol.grammar import (
    CRLF,
    Limits,
    parse_fields,
    parse_list,
    parse_number,
    parse_request_line,
    parse_status_line,
)


def path_of(uri: str) -> str:
    """Its path; clients get scheme, host and port wrong, so only this counts."""
    return _paths[uri]


def _path(uri: str) -> str:
    uri = uri.partition("?")[0]
    _, absolute, rest = uri.partition("://")
    return (rest.partition("/")[2] if absolute else uri).strip("/")


_paths = Cache(_path)


def allows(fields: Mapping[str, str], what: str) -> bool:
    """Whether the client offers it in Allow: `204`, `206`, `trailers` (RFC 3507 4.6)."""
    allow = fields.get("allow")
    return allow is not None and what in _members[allow]


_members: Cache[str, frozenset[str]] = Cache(lambda value: frozenset(parse_list(value)))


@dataclass(slots=True)
class Request:
    """An ICAP request's head with the HTTP heads it carries.

    `uri` is as sent; `path` is its path, without scheme, authority and query; `fields` maps
    lower-case names to values. `heads` holds the encapsulated HTTP heads as sent.
    """

    method: str
    uri: str
    fields: dict[str, str]
    encapsulated: Encapsulated
    preview: int | None = None
    heads: bytes = b""

    @property
    def path(self) -> str:
        """The service asked for."""
        return path_of(self.uri)

    @property
    def request_head(self) -> bytes:
        """The encapsulated HTTP request head, empty where absent."""
        return self.heads[: self.encapsulated.request_head or 0]

    @property
    def response_head(self) -> bytes:
        """The encapsulated HTTP response head, empty where absent."""
        return self.heads[self.encapsulated.request_head or 0 :]

    def allows(self, what: str) -> bool:
        """See `allows`."""
        return allows(self.fields, what)

    @property
    def wants_close(self) -> bool:
        """Whether the client ends the connection after this request."""
        connection = self.fields.get("connection")
        return connection is not None and "close" in _members[connection]


@dataclass(slots=True)
class Response:
    """An ICAP answer's head with the HTTP heads it carries; 100 Continue is one, too."""

    status: int
    reason: str
    fields: dict[str, str]
    encapsulated: Encapsulated
    heads: bytes = b""

    @property
    def preview(self) -> int:
        """An answer has no preview, and no client that is forgiven what a preview forbids."""
        return 0

    @property
    def http_head(self) -> bytes:
        """The encapsulated HTTP head: a response's where there is one, else a request's."""
        if self.encapsulated.response_head is not None:
            return self.heads[self.encapsulated.request_head or 0 :]
        return self.heads


def parse_request(block: bytes, limits: Limits) -> Request:
    """Read a request's head, its lines ended by CRLF, without the blank line."""
    line, _, rest = block.partition(CRLF)
    start = parse_request_line(line)
    fields = parse_fields(rest, limits.fields)
    value = fields.get("encapsulated")
    if value is not None:
        encapsulated = parse_encapsulated(value)
        check_request(start.method, encapsulated)
    elif start.method in ("REQMOD", "RESPMOD"):
        raise ProtocolError(f"{start.method} without an Encapsulated header.")
    else:
        encapsulated = Encapsulated()
    if "transfer-encoding" in fields or "content-length" in fields:
        _check_framing(fields, encapsulated)
    preview = parse_number(fields, "preview") if "preview" in fields else None
    return Request(start.method, start.uri, fields, encapsulated, preview)


def parse_response(block: bytes, limits: Limits) -> Response:
    """Read an answer's head, its lines ended by CRLF, without the blank line."""
    line, _, rest = block.partition(CRLF)
    status, reason = parse_status_line(line)
    fields = parse_fields(rest, limits.fields)
    value = fields.get("encapsulated")
    encapsulated = parse_encapsulated(value) if value is not None else Encapsulated()
    if status in (100, 204) and encapsulated.has_body:
        raise ProtocolError(f"An answer {status} that announces a body.")
    return Response(status, reason, fields, encapsulated)


def _check_framing(fields: dict[str, str], encapsulated: Encapsulated) -> None:
    """Refuse headers that frame the message otherwise than Encapsulated does (RFC 3507 4.4)."""
    coding = fields.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise ProtocolError("An ICAP body is chunked, nothing else.")
        if not encapsulated.has_body:
            raise ProtocolError("Transfer-Encoding announces a body, Encapsulated none.")
    length = parse_number(fields, "content-length")
    if length is not None and (length or encapsulated.has_body or encapsulated.heads_size):
        raise ProtocolError("Content-Length contradicts Encapsulated and chunks.")
