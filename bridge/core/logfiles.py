"""Log files as the configuration has them: rotated by size and day, kept for a while."""

from __future__ import annotations

from bridge.core.linelog import LineLog
from bridge.core.settings import LogSettings

VERDICT_LOG = "preprocessor_icap.log"  # the name under which KATA's own users look for it
WATCH_LOG = "kata-bridge-watch.log"


def open_log(settings: LogSettings, name: str) -> LineLog:
    """A log in `logs.dir`; OSError where it cannot be written. Blocks: disk."""
    return LineLog(
        settings.dir / name,
        max_bytes=settings.rotate,
        daily=True,
        keep_seconds=settings.keep,
    )
