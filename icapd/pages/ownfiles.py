"""Reads the files that pages are made of."""

from __future__ import annotations

from pathlib import Path

from bridge.core import StartError, read_plain


def own_text(path: Path) -> str:
    """The text of a template, or of a file of texts. Raises StartError, which names it."""
    try:
        return read_plain(path).decode("utf-8")
    except OSError as error:
        raise StartError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StartError(f"{path} cannot be read: it is not UTF-8") from None
