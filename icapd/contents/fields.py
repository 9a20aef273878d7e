"""Fields of forms, read strictly: what another reader might take otherwise is malformed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from icapd.names import as_text, decoded_words
from icapd.protocol import HttpHead

FORM_DATA = "multipart/form-data"
URL_ENCODED = "application/x-www-form-urlencoded"

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token of RFC 9110 5.6.2
_QUOTED = r'"[^"\x00-\x1f\x7f]*"'
_ESCAPED = re.compile(r'"((?:[^"\\;\x00-\x1f\x7f]|\\[^;\x00-\x1f\x7f])*)(?<!\\)"')
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
    return PartHead(_text(parameters["name"]), _file_name(parameters))


def _file_name(parameters: dict[str, str]) -> str | None:
    """Encoded words are what .NET sends beside filename*, and others alone; MalformedError."""
    written = parameters.get("filename")
    plain = None if written is None else _text(written)
    decoded = None if plain is None else decoded_words(plain)
    if "filename*" not in parameters:
        return decoded
    extended = _extended(parameters["filename*"])
    if plain is not None and extended not in {plain, decoded}:
        raise MalformedError("a part with two file names")
    return extended


def _parameters(value: str) -> tuple[str, dict[str, str]]:
    """A value and its parameters, each at most once; MalformedError."""
    start = value.find(";") if ";" in value else len(value)
    found: dict[str, str] = {}
    at = start
    while match := _PARAMETER.match(value, at):
        name, text, at = match["name"].lower(), match["value"], match.end()
        if text.startswith('"'):
            text = text[1:-1]
            if text.endswith("\\"):  # \" ends a name for some only
                text, at = _with_quotes(name, value, match.start("value"))
        if name in found:
            raise MalformedError(f"two parameters {name}")
        found[name] = text
    if _END.fullmatch(value, at) is None:
        raise MalformedError("odd parameters")
    return value[:start].strip().lower(), found


def _with_quotes(name: str, value: str, at: int) -> tuple[str, int]:
    r"""A file name with \" for its quotes, as curl 7.80 writes them, and its end; MalformedError.

    It holds no semicolon: for all readers it is one file name, and the same parameters follow.
    """
    match = _ESCAPED.match(value, at) if name == "filename" else None
    if match is None:
        raise MalformedError(f"an odd parameter {name}")
    return re.sub(r'\\(["\\])', r"\1", match[1]), match.end()


def _text(value: str) -> str:
    """What was read as latin-1, with the quotes that browsers write as %22."""
    return as_text(value).replace("%22", '"')


def _extended(value: str) -> str:
    """RFC 8187 3.2; MalformedError."""
    match = _EXTENDED.fullmatch(value)
    try:
        return unquote_to_bytes(match[2]).decode(match[1]) if match else _never(value)
    except UnicodeDecodeError:
        return _never(value)


def _never(value: str) -> str:
    raise MalformedError(f"a file name that nobody can read: {value[:80]!r}")
