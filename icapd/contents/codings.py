"""What Content-Encoding says (RFC 9110 8.4): which codings lie over a body, in which order."""

from __future__ import annotations

import re

from icapd.protocol import HttpHead

MAX_LAYERS = 4

_KNOWN = {
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
    "br": "br",
    "zstd": "zstd",
}

# Real codings, most of them in IANA's registry, that some client may read and nobody here can.
_UNREADABLE = frozenset(
    {
        *("aes128gcm", "aesgcm", "bzip", "bzip2", "x-bzip", "x-bzip2", "compress", "x-compress"),
        *("dcb", "dcz", "exi", "lz4", "lzfse", "lzma", "x-lzma", "pack200-gzip", "sdch"),
        *("snappy", "x-snappy", "x-snappy-framed", "xpress", "xz", "x-xz"),
    }
)

_BETWEEN = re.compile(r'[\s,;"]+')  # some clients split at blanks, some drop parameters
_FOLD = re.compile(rb"\r?\n[ \t]+")
_BARE_LF = re.compile(rb"(?<!\r)\n")


class UnreadableError(Exception):
    """A body that nobody here can decode. The text is one sentence."""


def mentions(head: HttpHead, *words: bytes) -> bool:
    """Whether any of these lower-case words stands anywhere in a head: quick, and never too few."""
    low = head.low
    return any(word in low for word in words)


def unfolded(head: HttpHead) -> HttpHead:
    """The head with one line a field, as those clients read it that take folds and bare LF."""
    raw = head.raw
    if b"\n " in raw or b"\n\t" in raw or raw.count(b"\n") != raw.count(b"\r\n"):
        return HttpHead(_BARE_LF.sub(b"\r\n", _FOLD.sub(b" ", raw)))
    return head


def codings(head: HttpHead) -> list[str]:
    """The codings over a body, the first to be decoded first: gzip, deflate, br, zstd.

    Words that are no coding ("identity", "utf-8", "none") are passed over: servers send them, and
    clients take the body as it is. UnreadableError for a coding that cannot be decoded here, and
    for more than four.
    """
    words = _BETWEEN.split(", ".join(head.all("content-encoding")).lower())
    for word in words:
        if word in _UNREADABLE:
            raise UnreadableError(f"the body is encoded with {word}, which cannot be decoded here")
    found = [_KNOWN[word] for word in reversed(words) if word in _KNOWN]
    if len(found) > MAX_LAYERS:
        raise UnreadableError(f"the body is encoded {len(found)} times, more than {MAX_LAYERS}")
    return found
