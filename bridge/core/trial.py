"""A file of our own, to see whether a Central Node takes any.

That a node answers the state call says nothing of uploads: something on the way may swallow each of
them, or KATA's intake may be broken.
"""

from __future__ import annotations

import hashlib
import io
import secrets
from pathlib import Path
from typing import BinaryIO

from bridge.core.model import Item


class _Bytes:
    """Bytes that nobody has seen before, held in memory."""

    def __init__(self, size: int) -> None:
        text = f"katabridge asks whether files are taken: {secrets.token_hex(max(16, size // 2))}\n"
        self._bytes = text.encode()
        self.sha256 = hashlib.sha256(self._bytes).hexdigest()
        self.size = len(self._bytes)
        self.path: Path | None = None

    def retain(self) -> _Bytes:
        return self

    def release(self) -> None:
        pass

    def open(self) -> BinaryIO:
        return io.BytesIO(self._bytes)


def trial_item(name: str, size: int = 0) -> Item:
    """A text of about that many bytes that KATA cannot know; nobody waits for its verdict."""
    return Item(name, _Bytes(size))
