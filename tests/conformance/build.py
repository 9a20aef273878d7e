"""Builds requests as bytes, well formed or not, for the case tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.conformance.model import At, Case, Check, Expect, Level, Message, Request

MUST, SHOULD, MAY, PRACTICE = Level.MUST, Level.SHOULD, Level.MAY, Level.PRACTICE

GET = b"GET http://origin.example/a.txt HTTP/1.1\r\nHost: origin.example\r\n\r\n"
PUT = b"PUT http://origin.example/a.txt HTTP/1.1\r\nHost: origin.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"
TEXT = b"This body is harmless.\r\n"
LAST, IEOF = b"0\r\n\r\n", b"0; ieof\r\n\r\n"

SERVED = Expect()
MALFORMED = Expect(served=False, refused=frozenset({400}), closes=True)
TOO_LONG = Expect(served=False, refused=frozenset({400, 413, 414, 431}), closes=True)
# A close with or without a word is right; going on as if all were well is not.
CUT = Expect(served=False, refused=frozenset({400, 408}), silent=True, closes=True)
# Being strict and being lenient are both right; being half of each is not.
EITHER = Expect(refused=frozenset({400}))


def refused(*statuses: int, closes: bool = False, check: Check | None = None) -> Expect:
    """One of these statuses is due; the connection may be kept unless `closes`."""
    return Expect(served=False, refused=frozenset(statuses), closes=closes, check=check)


def served(check: Check | None = None, *, closes: bool = False) -> Expect:
    """An answer as it is legal, and what else to look at."""
    return Expect(check=check, closes=closes)


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    """One chunk."""
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


def chunks(data: bytes, size: int) -> bytes:
    """A body in chunks of a size, without its last chunk."""
    return b"".join(chunk(data[i : i + size]) for i in range(0, len(data), size))


def icap(method: bytes, *fields: bytes, uri: bytes = b"@URI@", host: bytes = b"@HOST@") -> bytes:
    """An ICAP head with `fields` behind Host."""
    lines = [method + b" " + uri + b" ICAP/1.0", b"Host: " + host, *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def options(*fields: bytes, expect: Expect = SERVED, tail: bytes = b"") -> Request:
    """An OPTIONS request; `fields` in place of `Encapsulated: null-body=0`, `tail` its body."""
    lines = fields or (b"Encapsulated: null-body=0",)
    return Request("OPTIONS", (icap(b"OPTIONS", *lines) + tail,), expect)


def raw(data: bytes, expect: Expect, *, method: str = "OPTIONS", ends: bool = False) -> Request:
    """Bytes as they are."""
    return Request(method, (data,), expect, ends=ends)


def modify(
    method: str,
    *fields: bytes,
    body: bytes | None = TEXT,
    wire: bytes | None = None,
    rest: bytes | None = None,
    rest_wire: bytes | None = None,
    heads: tuple[bytes, bytes] | None = None,
    encapsulated: bytes | None = None,
    expect: Expect = SERVED,
    uri: bytes = b"@URI@",
    ends: bool = False,
    may_change: bool = False,
    last: bool = True,
) -> Request:
    """A REQMOD or RESPMOD.

    `body` is what the chunks hold (None: null-body), `wire` how they are written (all, with the
    last one) where not plainly; `rest` and `rest_wire` are the same for what follows a preview.
    `heads`: the HTTP request and response head. `encapsulated`: the field's line, where it is not
    the right one. Without `last` the ICAP head is not ended: the caller adds to `wire`.
    """
    is_response = method == "RESPMOD"
    request, response = heads or ((GET, OK) if is_response else (GET if body is None else PUT, b""))
    line = encapsulated
    if line is None:
        line = b"Encapsulated: " + _sections(request, response, is_response, body is not None)
    lines = [*fields, line] if line else list(fields)
    head = icap(method.encode(), *lines, uri=uri) + request + response
    if wire is None:
        wire = b"" if body is None else (chunk(body) if body else b"") + LAST
    steps = [head + wire]
    if rest is not None:
        steps.append(rest_wire if rest_wire is not None else chunks(rest, 4096) + LAST)
    whole = body if body is None else body + (rest or b"")
    previewed = any(field.lower().startswith(b"preview:") for field in fields)
    message = Message(response if is_response else request, whole)
    return Request(
        method, tuple(steps), expect, message, _allowed(fields), previewed, ends, may_change
    )


def _sections(request: bytes, response: bytes, is_response: bool, has_body: bool) -> bytes:
    entries, offset = [], 0
    for name, head in ((b"req-hdr", request), (b"res-hdr", response)):
        if head:
            entries.append(b"%b=%d" % (name, offset))
            offset += len(head)
    kind = (b"res-body" if is_response else b"req-body") if has_body else b"null-body"
    return b", ".join([*entries, b"%b=%d" % (kind, offset)])


def _allowed(fields: Sequence[bytes]) -> frozenset[str]:
    items: set[str] = set()
    for field in fields:
        if match := re.match(rb"allow:(.*)", field, re.IGNORECASE | re.DOTALL):
            items |= {item.strip() for item in match[1].decode("latin-1").split(",")}
    return frozenset(items)


def respmod(*fields: bytes, **how: object) -> Request:
    """A RESPMOD, see `modify`."""
    return modify("RESPMOD", *fields, **how)  # type: ignore[arg-type]


def reqmod(*fields: bytes, **how: object) -> Request:
    """A REQMOD, see `modify`."""
    return modify("REQMOD", *fields, **how)  # type: ignore[arg-type]


def case(
    name: str,
    section: str,
    level: Level,
    requirement: str,
    *requests: Request,
    at: At | None = None,
) -> Case:
    """A case; where it is tried follows from its requests unless `at` says it."""
    methods = {request.method for request in requests} - {"OPTIONS"}
    where = at or (At(methods.pop()) if len(methods) == 1 else At.ANY)
    return Case(name, section, level, requirement, where, requests)
