"""Texts out of heads: names, URLs and users, whose bytes were read as latin-1."""

from __future__ import annotations

import re
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from urllib.parse import unquote

UNNAMED = "unnamed"
NO_NAMES = frozenset({"", ".", ".."})
LONGEST = 255
_ENDING = 32  # of a longer one its end is kept, which says what it is
# a field beyond these names nothing: email takes time by their product to read one
_LONGEST_FIELD, _MOST_PARAMETERS = 8192, 64
_WORD = r"=\?[\w.-]+\?[bq]\?[^?\s]*\?="
_WORDS = re.compile(rf"{_WORD}(?:[ \t]*{_WORD})*", re.IGNORECASE | re.ASCII)
# encodings of texts; Python knows more, of which some can harm
_CHARSET = re.compile(
    r"utf-8|us-ascii|iso-8859-\d\d?|(?:windows-|cp)125\d|koi8-[ru]|gb(?:2312|k|18030)|big5"
    r"|shift_jis|euc-(?:jp|kr)|iso-2022-jp",
    re.IGNORECASE | re.ASCII,
)


def as_text(value: str) -> str:
    """What was read as latin-1, as UTF-8 where its bytes are that; else as it is."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def file_name(path: str) -> str:
    """The last part of a path, of either system, in at most 255 signs; `unnamed` without one."""
    name = path.replace("\\", "/").rpartition("/")[2].strip()
    if len(name) > LONGEST:
        name = f"{name[: LONGEST - _ENDING - 1]}…{name[-_ENDING:]}"
    return UNNAMED if name in NO_NAMES else name


def disposition_name(value: str) -> str:
    """The file name in a Content-Disposition, as browsers take it; empty where it has none.

    `filename*` counts before `filename` (RFC 6266 4.3), in which names are encoded in all ways.
    """
    if len(value) > _LONGEST_FIELD or value.count(";") > _MOST_PARAMETERS:
        return ""
    message = Message()
    try:
        message["content-disposition"] = as_text(value)
        parameters = message.get_params([], "content-disposition")
    except Exception:
        return ""
    names = [text for key, text in parameters if key.lower() == "filename"]
    for each in names:
        if isinstance(each, tuple):
            return _extended(each[2], each[0] or "")
    return _unescaped(decoded_words(names[0])) if names else ""


def _extended(text: str, charset: str) -> str:
    """What RFC 8187 encoded, from the signs that its bytes are in latin-1."""
    if not _CHARSET.fullmatch(charset):
        return as_text(text)
    try:
        return text.encode("latin-1").decode(charset)
    except (UnicodeError, LookupError):
        return text


def _unescaped(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeError:
        return text


def decoded_words(text: str) -> str:
    """A name with its encoded words (RFC 2047) decoded; those that do not decode stay."""
    return _WORDS.sub(lambda found: _decoded(found[0]), text)


def _decoded(words: str) -> str:
    try:
        pieces = decode_header(words)
        if all(_CHARSET.fullmatch(charset or "") for _, charset in pieces):
            return "".join(data.decode(charset) for data, charset in pieces)
    except (MessageError, ValueError, LookupError):
        pass
    return words
