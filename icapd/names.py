"""Texts out of heads: names, URLs and users, whose bytes were read as latin-1."""

from __future__ import annotations


def as_text(value: str) -> str:
    """What was read as latin-1, as UTF-8 where its bytes are that; else as it is."""
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value
