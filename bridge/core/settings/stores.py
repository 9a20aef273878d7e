"""Sections `verdicts` and `spool`: what is kept on this machine or beside it."""

from __future__ import annotations

from pathlib import Path

from pydantic import field_validator

from bridge.core.fields import Count, Duration, PathSetting, Size
from bridge.core.model import OutcomeKind
from bridge.core.quoting import fault_of_path
from bridge.core.settings.section import Section
from bridge.core.verdicts.redis_url import connection_arguments
from bridge.core.verdicts.store import StoreError


class VerdictSettings(Section):
    """Where verdicts are kept, and how long (seconds by kind)."""

    store: str = "sqlite:///var/lib/katabridge/verdicts.db"
    """Where verdicts are kept: a file that all processes of one machine share (`sqlite:///PATH`),
    or a redis that machines share (`redis://` or `rediss://[USER]:PASSWORD@HOST:PORT/DB`, with TLS
    also `?ssl_ca_certs=FILE`)."""
    max_entries: Count = 1_000_000
    """The oldest verdicts in a file go beyond this. A redis has its own bound (`maxmemory`)."""
    keep: dict[OutcomeKind, Duration] = {
        OutcomeKind.NOT_DETECTED: 24 * 3600,
        OutcomeKind.DETECT: 7 * 24 * 3600,
    }
    """How long a verdict is known; one that is not written stays as shipped. Longer asks KATA less
    often about what comes again, and learns later what KATA has learnt."""

    @field_validator("store")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")  # never shown: it may hold a password
        if scheme in ("redis", "rediss"):
            try:
                connection_arguments(value)
            except StoreError as error:
                raise ValueError(str(error)) from None
            return value
        if scheme == "sqlite" and rest[:1] == "/" != rest and fault_of_path(rest) is None:
            return value
        raise ValueError("must be sqlite:///PATH, redis://HOST:PORT/DB or rediss://HOST:PORT/DB")

    @field_validator("keep")
    @classmethod
    def _verdicts_only(cls, value: dict[OutcomeKind, float]) -> dict[OutcomeKind, float]:
        verdicts = {OutcomeKind.NOT_DETECTED: 24 * 3600.0, OutcomeKind.DETECT: 7 * 24 * 3600.0}
        for kind in value:
            if kind not in verdicts:
                raise ValueError(f"{kind} is no verdict and is never kept")
        return verdicts | value


class SpoolSettings(Section):
    """Where bodies lie while they are judged."""

    dir: PathSetting = Path("/var/lib/katabridge/spool")
    """Where bodies lie while they are judged (files 0600). Beside it lie the journals of all
    processes."""
    memory: Size = 1 << 20
    """Bodies up to this stay in memory, and touch no disk."""
    memory_total: Size = 32 << 20
    """So much of them together; what comes beyond it goes to the disk."""
    max_bytes: Size = 10 << 30
    """Bytes on disk for each door, all workers together; past them bodies are `unavailable`. Past
    half of it, an oversize body that is only passed on waits for its reader."""
    min_free: Size = 1 << 30
    """The disk is left at least this; else bodies are `unavailable`."""
