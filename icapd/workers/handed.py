"""New settings, handed by the supervisor to workers that run: memory that all of them share."""

from __future__ import annotations

import hashlib
import os
import pickle
import struct
from typing import NamedTuple

from bridge.core import Settings

_HEAD = struct.Struct("!QQ")  # number, length
_DIGEST_SIZE = hashlib.sha256().digest_size


class Given(NamedTuple):
    """Settings as they were handed, and how many times that had been done by then."""

    number: int
    data: bytes

    def settings(self) -> Settings:
        """What they are."""
        settings = pickle.loads(self.data)  # noqa: S301 - our parent wrote it
        if not isinstance(settings, Settings):
            raise TypeError("these are no settings")
        return settings


class Handed:
    """Made before the workers are forked. One writes, at any time, and then says so; the others
    read what is whole, or nothing."""

    def __init__(self) -> None:
        self._memory = os.memfd_create("katabridge-settings")
        self._number = 0

    def put(self, settings: Settings) -> int:
        """Hand these; their number."""
        self._number += 1
        data = pickle.dumps(settings)
        head = _HEAD.pack(self._number, len(data))
        whole = head + _digest(head, data) + data
        os.pwrite(self._memory, whole, 0)
        os.ftruncate(self._memory, len(whole))
        return self._number

    def get(self) -> Given | None:
        """What was handed last; None while the next is being written, or before the first."""
        whole = os.pread(self._memory, os.fstat(self._memory).st_size, 0)
        start = _HEAD.size + _DIGEST_SIZE
        if len(whole) < start:
            return None
        head, digest = whole[: _HEAD.size], whole[_HEAD.size : start]
        number, length = _HEAD.unpack(head)
        data = whole[start : start + length]
        return Given(number, data) if _digest(head, data) == digest else None

    def close(self) -> None:
        """Give the memory back."""
        os.close(self._memory)


def _digest(head: bytes, data: bytes) -> bytes:
    return hashlib.sha256(head + data).digest()
