"""The grammar of ICAP (RFC 3507 4.3, 4.4, 4.5, 4.10; RFC 2616 2.2, 3.6.1, 4.2; draft 206).

Productions, as they are read here:

    Request-Line    = token SP URI SP "ICAP/1.0" CRLF           URI: visible ASCII
    Status-Line     = "ICAP/1.0" SP 3DIGIT [ SP Reason ] CRLF
    message-header  = token ":" *( any octet but CR, LF, NUL ) CRLF
    Encapsulated    = entry *( "," entry )   entry = name "=" 1*9DIGIT
    Preview         = 1*12DIGIT
    chunk           = 1*15HEX [ chunk-ext ] CRLF data CRLF
    last-chunk      = 1*15"0" [ chunk-ext ] CRLF *message-header CRLF
    chunk-ext       = *( ";" *blank token [ "=" ( token | quoted-string ) ] )
                      of these "ieof" and "use-original-body=" 1*15DIGIT mean something

What is read beyond the RFC is in DEPARTURES, each with the client that needs it. Nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from icapd.protocol.cache import Cache
from icapd.protocol.errors import ProtocolError

CRLF = b"\r\n"

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) ICAP/([0-9])\.([0-9])")
_STATUS_LINE = re.compile(rb"ICAP/([0-9])\.([0-9]) ([0-9]{3})(?: ([^\r\n\0]*))?")
# No bare CR or LF, no NUL, no folding, no blank before the colon.
_FIELD = re.compile(_TOKEN + rb":[^\r\n\0]*")
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[^\r\n\0]*\r\n)*")
_STRAY = re.compile(rb"(?<!\r)\n|\0|\r(?=[^\n])")
_ENTRY = re.compile(r"([A-Za-z-]+)=([0-9]{1,9})")
_VALUE = _TOKEN + rb"|\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~])*\""
_EXTENSION = re.compile(rb";[ \t]*(" + _TOKEN + rb")(?:=(" + _VALUE + rb"))?")
_CHUNK_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,15})((?:;[ \t]*" + _TOKEN + rb"(?:=(?:" + _VALUE + rb"))?)*)"
)
PLAIN_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,7})\r\n")  # how nearly all of them begin
_OFFSET = re.compile(rb"[0-9]{1,15}")
_CONTROL = re.compile(r"[^\x20-\x7e\xa0-\xff]")

# Fields that decide where a message ends: two different ones are an attack or a broken peer.
_SINGLE = frozenset({"encapsulated", "preview", "content-length", "transfer-encoding"})


class Departure(NamedTuple):
    """Something that the RFC does not allow, and is taken all the same."""

    what: str
    client: str


DEPARTURES = (
    Departure("up to two blank lines before a request line", "any, as RFC 2616 4.1 asks"),
    Departure("without Preview: one blank line before the first chunk size", "Traffic Server"),
    Departure("without Preview: `0; ieof` ends the body", "Traffic Server"),
    Departure("bytes behind a request with `Connection: close` are dropped", "Traffic Server"),
    Departure("`Transfer-Encoding: chunked` in the ICAP head where a body follows", "Nextcloud"),
    Departure("a field that is a list may be repeated (`Allow`)", "c-icap-client"),
    Departure("encapsulated HTTP heads are not parsed before they are used", "ownCloud"),
    Departure("a Content-Length inside that is not the body's length", "Nextcloud, c-icap-client"),
    Departure("OPTIONS without Encapsulated", "Squid, g3proxy"),
    Departure("no Host, or a false one: it decides nothing", "Nextcloud, ownCloud, Traffic Server"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a message is kept while it is incomplete: bytes, `fields` a number of lines."""

    head: int = 64 * 1024
    fields: int = 200
    encapsulated_heads: int = 256 * 1024
    chunk_line: int = 4096
    trailers: int = 16 * 1024


class RequestLine(NamedTuple):
    """`Method SP Request-URI SP ICAP/1.0` (RFC 3507 4.3.2)."""

    method: str
    uri: str


class ChunkLine(NamedTuple):
    """A chunk's size and the extensions ICAP defines (RFC 3507 4.5; partial-content draft 5.2)."""

    size: int
    ieof: bool = False
    use_original_body: int | None = None


def _parse_request_line(line: bytes) -> RequestLine:
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError("The first line is not an ICAP request line.")
    if match[3] != b"1" or match[4] != b"0":
        raise ProtocolError("Only version 1.0 of ICAP is spoken here.", 505)
    return RequestLine(match[1].decode("ascii"), match[2].decode("ascii"))


_request_lines = Cache(_parse_request_line)


def parse_request_line(line: bytes) -> RequestLine:
    """Read a request line; `ProtocolError` 400 if it is none, 505 for another version."""
    return _request_lines[line]


def parse_status_line(line: bytes) -> tuple[int, str]:
    """Read a status line into (status, reason)."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError("The first line is not an ICAP status line.")
    return int(match[3]), (match[4] or b"").decode("latin-1")


def _parse_field(line: bytes) -> tuple[str, str]:
    if _FIELD.fullmatch(line) is None:
        raise ProtocolError("A header line is malformed.")
    name, _, value = line.decode("latin-1").partition(":")
    return name.lower(), value.strip(" \t")


_fields = Cache(_parse_field)


def parse_fields(block: bytes, most: int = 200) -> dict[str, str]:
    """Read header fields, each line ended by CRLF, into lower-case name -> value.

    A repeated field is merged with `, ` as RFC 2616 4.2 allows; one that frames the message may
    only be repeated with the same value. `most`: how many lines there may be.
    """
    lines = block.split(CRLF)
    if lines.pop():
        raise ProtocolError("A header line is malformed.")
    if len(lines) > most:
        raise ProtocolError(f"There are more than {most} header lines.")
    fields = dict(map(_fields.__getitem__, lines))
    return fields if len(fields) == len(lines) else _merged(lines)


def parse_single_fields(lines: list[bytes], most: int = 200) -> dict[str, str]:
    """The same for lines without their ends, where no field may be repeated."""
    fields = dict(map(_fields.__getitem__, lines))
    if len(fields) != len(lines) or len(lines) > most:
        raise ProtocolError("A header stands twice, or there are too many.")
    return fields


def _merged(lines: list[bytes]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in map(_fields.__getitem__, lines):
        if name not in fields:
            fields[name] = value
        elif name not in _SINGLE:
            fields[name] += ", " + value
        elif fields[name] != value:
            raise ProtocolError(f"Two different {name.capitalize()} headers.")
    return fields


def refuse_stray(buffer: bytearray, start: int = 0) -> None:
    """Refuse what can never become part of a head, before its end has come: bare LF, CR, NUL."""
    if _STRAY.search(buffer, start) is not None:
        raise ProtocolError("A line ends without CRLF, or holds a NUL.")


def parse_list(value: str) -> list[str]:
    """The members of a list field, lower-case (RFC 2616 2.1 #rule)."""
    return [member for part in value.lower().split(",") if (member := part.strip(" \t"))]


def parse_number(fields: Mapping[str, str], name: str) -> int | None:
    """A field that is a plain decimal number, or None where it is absent."""
    value = fields.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 12):
        raise ProtocolError(f"{name.capitalize()} is not a number.")
    return int(value)


def parse_entries(value: str) -> list[tuple[str, int]]:
    """The entries of an Encapsulated header, names in lower case (RFC 3507 4.4.1)."""
    entries = []
    for part in value.split(","):
        match = _ENTRY.fullmatch(part.strip(" \t"))
        if match is None:
            raise ProtocolError("Encapsulated holds an entry that is none of RFC 3507's.")
        entries.append((match[1].lower(), int(match[2])))
    return entries


def parse_chunk_line(line: bytes) -> ChunkLine:
    """Read a chunk-size line without its CRLF."""
    match = _CHUNK_LINE.fullmatch(line)
    if match is None:
        raise ProtocolError("A chunk size is malformed.")
    size = int(match[1], 16)
    if not match[2]:
        return ChunkLine(size)
    ieof, original = False, None
    for name, value in _EXTENSION.findall(match[2]):
        if name.lower() == b"ieof":
            if value or ieof:
                raise ProtocolError("An ieof has a value, or stands twice.")
            ieof = True
        elif name.lower() == b"use-original-body":
            if _OFFSET.fullmatch(value) is None or original is not None:
                raise ProtocolError("A use-original-body is no offset, or stands twice.")
            original = int(value)
    if size and (ieof or original is not None):
        raise ProtocolError("An extension of the last chunk stands at another one.")
    return ChunkLine(size, ieof, original)


def clean_value(text: str) -> str:
    """Make `text` fit for a header value: what would break the line becomes `?`."""
    return _CONTROL.sub("?", text).strip()


def format_fields(fields: list[tuple[str, str]]) -> bytes:
    """Header fields as bytes, each line ended by CRLF; values must be clean."""
    text = "".join(f"{name}: {value}\r\n" for name, value in fields)
    block = text.encode("latin-1")
    if _FIELDS.fullmatch(block) is None or block.count(CRLF) != len(fields):
        raise ValueError("a header field of ours holds a line break or NUL")
    return block
