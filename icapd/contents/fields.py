"""Fields of forms, read strictly: what another reader might take otherwise is malformed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from urllib.parse import unquote_to_bytes

from icapd.protocol import HttpHead

FORM_DATA = "multipart/form-data"
URL_ENCODED = "application/x-www-form-urlencoded"

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token of RFC 9110 5.6.2
_QUOTED = r'"[^"\x00-\x1f\x7f]*"'
# What clients write without quotes: more than a token.
_BARE = r"[!#$%&'*+.^_`|~0-9A-Za-z:=?/{}-]+"
_PARAMETER = re.compile(rf"[ \t]*;[ \t]*(?P<name>{_WORD})=(?P<value>{_QUOTED}|{_BARE})")
_END = re.compile(r"[ \t]*;?[ \t]*")
_BOUNDARY = re.compile(r"[!-~ ]{0,69}[!-~]")  # RFC 2046 5.1.1, and what clients make of it
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[A-Za-z0-9-]*'([!#$&+.^_`|~0-9A-Za-z%-]*)", re.I)
_AS_IT_IS = frozenset({"7bit", "8bit", "binary"})
_ONCE = ("Content-Disposition", "Content-Type", "Content-Transfer-Encoding")


class MalformedError(Exception):
    """A form that somebody might read otherwise."""


@dataclass(frozen=True, slots=True)
class PartHead:
    """What the head of a part says: `field`, and `filename` where it is a file."""

    field: str
    filename: str | None


def media_types(head: HttpHead) -> list[str]:
    """The types of all Content-Type fields, in lower case and without parameters."""
    return [value.partition(";")[0].strip().lower() for value in head.all("content-type")]


def boundary(content_type: str) -> bytes:
    """The boundary of a Content-Type value; MalformedError."""
    name, parameters = _parameters(content_type)
    found = parameters.get("boundary", "")
    odd = any(key.startswith("boundary*") for key in parameters)
    if odd or name != FORM_DATA or _BOUNDARY.fullmatch(found) is None:
        raise MalformedError("no boundary that everybody reads alike")
    return found.encode("ascii")


def part_head(fields: Sequence[tuple[str, str]]) -> PartHead:
    """The head of a part, from its fields in canonical case, decoded as latin-1; MalformedError."""
    values: dict[str, str] = {}
    for name, value in fields:
        if (name in values and name in _ONCE) or _CONTROL.search(value):
            raise MalformedError(f"a part with an odd {name}")
        values[name] = value
    transfer = values.get("Content-Transfer-Encoding", "binary").strip().lower()
    if transfer not in _AS_IT_IS:
        raise MalformedError("a part with a Content-Transfer-Encoding")
    head = _disposition(values.get("Content-Disposition", ""))
    inner = values.get("Content-Type", "").lstrip().lower()
    if head.filename is None and inner.startswith("multipart/"):
        raise MalformedError("a part with parts of its own")
    return head


def _disposition(value: str) -> PartHead:
    """RFC 7578 4.2, with the filename* that it forbids and some clients send."""
    kind, parameters = _parameters(value)
    if kind != "form-data" or "name" not in parameters:
        raise MalformedError("a part without a name")
    if any("*" in key and key not in {"filename*", "name*"} for key in parameters):
        raise MalformedError("a part with a name in pieces")
    filename = parameters.get("filename")
    if filename is not None:
        filename = _text(filename)
    if "filename*" in parameters:
        extended = _extended(parameters["filename*"])
        if filename is not None and extended not in {filename, _encoded_words(filename)}:
            raise MalformedError("a part with two file names")
        filename = extended
    return PartHead(_text(parameters["name"]), filename)


def _parameters(value: str) -> tuple[str, dict[str, str]]:
    """A value and its parameters, each at most once; MalformedError."""
    start = value.find(";") if ";" in value else len(value)
    found: dict[str, str] = {}
    at = start
    while match := _PARAMETER.match(value, at):
        name, text = match["name"].lower(), match["value"]
        quoted = text.startswith('"')
        text = text[1:-1] if quoted else text
        if name in found or (quoted and text.endswith("\\")):  # \" ends a name for some only
            raise MalformedError(f"an odd parameter {name}")
        found[name] = text
        at = match.end()
    if _END.fullmatch(value, at) is None:
        raise MalformedError("odd parameters")
    return value[:start].strip().lower(), found


def _text(value: str) -> str:
    """UTF-8 that was read as latin-1, with the quotes that browsers write as %22."""
    return value.encode("latin-1").decode("utf-8", "replace").replace("%22", '"')


def _extended(value: str) -> str:
    """RFC 8187 3.2; MalformedError."""
    match = _EXTENDED.fullmatch(value)
    try:
        return unquote_to_bytes(match[2]).decode(match[1]) if match else _never(value)
    except UnicodeDecodeError:
        return _never(value)


def _never(value: str) -> str:
    raise MalformedError(f"a file name that nobody can read: {value[:80]!r}")


def _encoded_words(value: str) -> str:
    """A name in the encoded words of RFC 2047, which .NET sends beside filename*."""
    try:
        return str(make_header(decode_header(value)))
    except (MessageError, UnicodeError, LookupError, ValueError):
        return value
