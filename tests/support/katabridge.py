"""A configured katabridge with an emulated KATA, as the end-to-end tests use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridge.emulator import Emulator, Memory
from bridge.testing.site import Records, Site, deep_merge

__all__ = ["Records", "Site", "deep_merge", "emulated_site"]


def emulated_site(directory: Path, memory: Memory, **changes: Any) -> tuple[Site, Emulator]:
    """An emulator that is ready to serve, and a site that uses it."""
    emulator = Emulator(memory)
    return Site(directory, emulator.url, emulator.certificate, changes=changes), emulator
