"""New settings, handed by the supervisor to workers that run: memory that all of them share."""

from __future__ import annotations

import os
import pickle

from bridge.core import Settings


class Handed:
    """Made before the workers are forked. One writes, when nobody reads; the others read."""

    def __init__(self) -> None:
        self._memory = os.memfd_create("katabridge-settings")

    def put(self, settings: Settings) -> None:
        """Hand these."""
        data = pickle.dumps(settings)
        os.ftruncate(self._memory, 0)
        os.pwrite(self._memory, data, 0)

    def get(self) -> Settings:
        """What was handed last."""
        size = os.fstat(self._memory).st_size
        settings = pickle.loads(os.pread(self._memory, size, 0))  # noqa: S301 - our parent wrote it
        if not isinstance(settings, Settings):
            raise TypeError("these are no settings")
        return settings

    def close(self) -> None:
        """Give the memory back."""
        os.close(self._memory)
