"""The grammar of ICAP heads and chunk lines (RFC 3507 4.3, 4.4; RFC 2616 3.6.1).

Departures from the RFC, each with the client that needs it:

* one blank line before the first chunk size: Traffic Server;
* `0; ieof` outside a preview ends the body: Traffic Server;
* repeated list fields are merged: c-icap-client repeats `Allow`;
* up to two blank lines before a request line, as RFC 2616 4.1 asks of servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from icapd.protocol.errors import ProtocolError

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) ICAP/([0-9])\.([0-9])")
_STATUS_LINE = re.compile(rb"ICAP/([0-9])\.([0-9]) ([0-9]{3})(?: ([^\r\n\0]*))?")
# One pass over all fields: no bare CR or LF, no NUL, no folding, no blank before the colon.
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[^\r\n\0]*\r\n)*")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;([^\r\n\0]*))?")
_CONTROL = re.compile(r"[^\x20-\x7e\xa0-\xff]")

# Fields that decide where a message ends: two different ones are an attack or a broken peer.
_SINGLE = frozenset({"encapsulated", "preview"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a message is kept while it is incomplete (bytes)."""

    head: int = 64 * 1024
    encapsulated_heads: int = 256 * 1024
    chunk_line: int = 4096
    trailers: int = 16 * 1024


@dataclass(frozen=True, slots=True)
class RequestLine:
    """`Method SP Request-URI SP ICAP/1.0` (RFC 3507 4.3.2)."""

    method: str
    uri: str


@dataclass(frozen=True, slots=True)
class ChunkLine:
    """A chunk's size and the extensions ICAP defines (RFC 3507 4.5; partial-content draft 206)."""

    size: int
    ieof: bool = False
    use_original_body: int | None = None


def parse_request_line(line: bytes) -> RequestLine:
    """Read a request line; `ProtocolError` 400 if it is none, 505 for another version."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError("The first line is not an ICAP request line.")
    if match[3] != b"1" or match[4] != b"0":
        raise ProtocolError("Only ICAP/1.0 is spoken here.", 505)
    return RequestLine(match[1].decode("ascii"), match[2].decode("ascii"))


def parse_status_line(line: bytes) -> tuple[int, str]:
    """Read a status line into (status, reason)."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError("The first line is not an ICAP status line.")
    return int(match[3]), (match[4] or b"").decode("latin-1")


def parse_fields(block: bytes) -> dict[str, str]:
    """Read header fields, each line ended by CRLF, into lower-case name -> value.

    A repeated field is merged with `, ` as RFC 2616 4.2 allows; one that frames the message may
    only be repeated with the same value.
    """
    if _FIELDS.fullmatch(block) is None:
        raise ProtocolError("A header line of the ICAP head is malformed.")
    fields: dict[str, str] = {}
    for line in block.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        value = value.strip(" \t")
        if name not in fields:
            fields[name] = value
        elif name not in _SINGLE:
            fields[name] += ", " + value
        elif fields[name] != value:
            raise ProtocolError(f"Two different {name.capitalize()} headers.")
    return fields


def parse_number(fields: Mapping[str, str], name: str) -> int | None:
    """A field that is a plain decimal number, or None where it is absent."""
    value = fields.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 12):
        raise ProtocolError(f"{name.capitalize()} is not a number.")
    return int(value)


def parse_chunk_line(line: bytes) -> ChunkLine:
    """Read a chunk-size line without its CRLF."""
    match = _CHUNK_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError("A chunk size is malformed.")
    size = int(match[1], 16)
    if match[2] is None:
        return ChunkLine(size)
    ieof, original = False, None
    for extension in match[2].split(b";"):
        name, _, value = extension.strip(b" \t").partition(b"=")
        if name.lower() == b"ieof":
            ieof = True
        elif name.lower() == b"use-original-body" and value.isdigit():
            original = int(value)
    return ChunkLine(size, ieof, original)


def clean_value(text: str) -> str:
    """Make `text` fit for a header value: what would break the line becomes `?`."""
    return _CONTROL.sub("?", text).strip()


def format_fields(fields: list[tuple[str, str]]) -> bytes:
    """Header fields as bytes, each line ended by CRLF; values must be clean."""
    text = "".join(f"{name}: {value}\r\n" for name, value in fields)
    block = text.encode("latin-1")
    if _FIELDS.fullmatch(block) is None or block.count(b"\r\n") != len(fields):
        raise ValueError("a header field of ours holds a line break or NUL")
    return block
