"""Takes secrets out of heads, each sign of them replaced by an asterisk: nothing changes its place.

In doubt a value is a secret, and what is no line of a head is one.
"""

from __future__ import annotations

import re
from functools import lru_cache

from bridge.core import is_secret_name
from icapd.taps.credentials import stars, without_credentials

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NO_SIGN_OF_NAMES = re.compile(rb"[^A-Za-z0-9-]")
# to its end; what follows a bare CR, and a folded line, may go on with a value
_LINE = re.compile(rb"[^\r\n]*(?:(?:\r(?!\n)|\r?\n[ \t]++(?=[^ \t\r\n]))[^\r\n]*)*(?:\r?\n|\Z)")
_REQUEST = re.compile(rb"([!-~]+ )([^\r\n]+)( (?:HTTP|ICAP)/[0-9](?:\.[0-9]+)?[ \t]*)")
_STATUS = re.compile(rb"(?:HTTP|ICAP)/[0-9](?:\.[0-9]+)? [0-9]{3}(?: [^\r\n]*)?")
_OLD_REQUEST = re.compile(rb"([A-Z]{3,20} )((?:[A-Za-z][A-Za-z0-9+.-]*:/)?/[^\r\n]*)()")
# of TLS, or its beginning
_HELLO = re.compile(rb"\x16\x03[\x00-\x04](?=.{0,2}\Z|..\x01\Z|..\x01\x00)(.{0,2})", re.DOTALL)
_HELLO_HEAD = 5
_LONGEST_NAME = 100
_MOST = 64 << 10  # bytes that are looked at: heads are shorter, and nobody is to wait for it
_EXTENSION = re.compile(rb";(?![ \t]*(?:ieof|use-original-body=[0-9]{1,15})[;\r])[^;\r]*", re.I)


def without_secrets(heads: bytes, *, keep_query: bool = True, is_trailer: bool = False) -> bytes:
    """Heads, whole or not, without what must not be seen; of the same length.

    Without `keep_query` the queries of URLs are taken out, too. `is_trailer`: it is fields only.
    """
    heads, rest = heads[:_MOST], stars(heads[_MOST:])
    hello = _HELLO.match(heads)
    if hello is not None:
        size = _HELLO_HEAD + int.from_bytes(hello[1], "big")
        return heads[:size] + stars(heads[size:]) + rest
    hidden, begins, is_head, is_clear = [], not is_trailer, True, True
    for line in _LINE.findall(heads):
        text = line.rstrip(b"\r\n")
        if not text.strip(b" \t"):
            # behind an empty line there is another head, or content
            hidden.append(line)
            begins = is_clear = True
            continue
        is_head = is_head and (not begins or _starts(text))
        masked = stars(text)
        if is_head:
            hide = _hide_start if begins else _hide_field
            masked = hide(text, is_clear and line.endswith(b"\n"), keep_query)
        hidden.append(masked + line[len(text) :])
        # else it may end with the beginning of a name
        is_clear = begins or (b":" in text and b"\n" not in text and b"\r" not in text)
        begins = False
    return b"".join(hidden) + rest


def without_extensions(last_chunk: bytes) -> bytes:
    """The last chunk of a body without extensions that ICAP does not know; of the same length."""
    return _EXTENSION.sub(lambda match: b";" + stars(match[0][1:]), last_chunk)


def _starts(text: bytes) -> bool:
    line = text.splitlines()[0]
    return any(form.fullmatch(line) is not None for form in (_STATUS, _REQUEST, _OLD_REQUEST))


def _hide_start(text: bytes, is_whole: bool, keep_query: bool) -> bytes:
    line = text.splitlines()[0]
    rest = stars(text[len(line) :])  # behind a bare CR, or folded
    match = _REQUEST.fullmatch(line) or _OLD_REQUEST.fullmatch(line)
    if match is None:
        return without_credentials(line) + rest  # an answer's, with its reason
    if not match[3] and (rest or not is_whole):  # it may end within a password
        return match[1] + stars(match[2]) + rest
    url = without_credentials(match[2], keep_query=keep_query, is_target=True)
    return match[1] + url + match[3] + rest


def _hide_field(line: bytes, is_whole: bool, keep_query: bool) -> bytes:
    name, colon, value = line.partition(b":")
    if not colon:
        return stars(line)
    rest = value.lstrip(b" \t")
    before = name + colon + value[: len(value) - len(rest)]
    if not is_whole or b"\r" in rest or b"\n" in rest or _is_secret(name):
        return before + stars(rest)
    return before + without_credentials(rest, keep_query=keep_query)


def _is_secret(name: bytes) -> bool:
    return len(name) > _LONGEST_NAME or _is_secrets_name(name)


@lru_cache(maxsize=1000)  # there are not many names
def _is_secrets_name(name: bytes) -> bool:
    name = name.strip(b" \t")
    plain = _NO_SIGN_OF_NAMES.sub(b"", name.replace(b"_", b"-")).decode("ascii")
    return _TOKEN.fullmatch(name) is None or is_secret_name(plain)
