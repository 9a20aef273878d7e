"""How much of a body may be given before its verdict, and of which. Pure: no clock, no I/O.

A client that gets a few bytes now and then goes on waiting. What is given was not judged, so it is
little, and nothing that a client acts on before it has all of it.
"""

from __future__ import annotations

import re

from bridge.core import format_group
from icapd.contents import media_types, unfolded
from icapd.protocol import HttpHead

MIN_SIZE = 256 << 10  # bytes: below this nothing is given
HEAD_BYTES = 64 << 10  # what `may_trickle` wants to see of a body
_MOST = 64 << 10
_SHARE = 10  # at most one byte in so many
_ACTED_ON = ("script", "web")  # by content
_TYPE = re.compile(r"(?!unknown/|application/unknown)[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)
_FAMILIES = ("text/", "multipart/", "message/")
_TEXT_BEGINS = (b"<", b"#!", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
_BLANK = b" \t\r\n\f\0"
_LOOKED_AT = 512
_WORDS = ("html", "script", "xml", "json", "svg", "css", "wasm", "manifest", "mht")


def allowance(received: int) -> int:
    """Bytes that may be given of so many: a tenth, at most 64 KiB, nothing of a small body."""
    return min(_MOST, received // _SHARE) if received >= MIN_SIZE else 0


def may_trickle(response: HttpHead, head: bytes) -> bool:
    """Whether such a body may be given in part: never HTML, scripts or text, never encoded ones.

    `head`: its first `HEAD_BYTES`. A text is as good as a script, what is encoded cannot be told
    from one, and what has not exactly one type may be taken for another by its client.
    """
    plain = unfolded(response)
    types = media_types(plain)
    if len(types) != 1 or _TYPE.fullmatch(types[0]) is None or _is_acted_on(types[0]):
        return False
    if plain.joined("content-encoding") is not None:
        return False
    group = format_group(head)
    return not _is_text(head) if group == "unknown" else group not in _ACTED_ON


def _is_acted_on(kind: str) -> bool:
    return kind.startswith(_FAMILIES) or any(word in kind for word in _WORDS)


def _is_text(head: bytes) -> bool:
    """Whether it may be a script that is not recognised: it begins as text, or looks like it."""
    start = head.lstrip(_BLANK)[:_LOOKED_AT]
    if start.startswith(_TEXT_BEGINS) or start[1::2].count(0) > len(start) // 4:  # UTF-16
        return True
    return not any(sign < 32 and sign not in b"\t\n\f\r\x1b" for sign in start)
