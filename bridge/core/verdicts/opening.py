"""From a URL to the verdict store that it names."""

from __future__ import annotations

from pathlib import Path

from bridge.core.verdicts.memory import MemoryVerdicts
from bridge.core.verdicts.sqlite import SqliteVerdicts
from bridge.core.verdicts.store import StoreError, VerdictStore

_MAX_ENTRIES = 1_000_000


def open_store(url: str, *, max_entries: int = _MAX_ENTRIES) -> VerdictStore:
    """The store behind `sqlite:///PATH`, `redis://…`, `rediss://…` or `memory:`.

    StoreError where the URL is none of these or the file cannot be had; a redis need not be there
    yet. `max_entries` bounds sqlite and memory; redis has its own `maxmemory`. Blocks: disk.
    """
    scheme = url.partition(":")[0]
    if url == "memory:":
        return MemoryVerdicts(max_entries)
    if url.startswith("sqlite:///") and url != "sqlite:///":
        return SqliteVerdicts(Path(url.removeprefix("sqlite://")), max_entries)
    if scheme in ("redis", "rediss"):
        # Only who uses it loads redis-py.
        from bridge.core.verdicts.redis import RedisVerdicts  # noqa: PLC0415

        return RedisVerdicts(url)
    raise StoreError(
        "the URL of the verdict store must begin with sqlite:/// (an absolute path), redis:// or "
        "rediss://"
    )
