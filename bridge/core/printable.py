"""Untrusted text made harmless for logs and terminals."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with control signs, line breaks, direction marks and lone surrogates escaped."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )
