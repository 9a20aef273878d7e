"""Who may read the secrets that the configuration file holds. Blocks: disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bridge.commands.checking.line import Line, warning
from bridge.commands.checking.rights import others_may_read
from bridge.core import Settings, store_secrets, webhook_secrets

_AREA = "configuration"


def look_at_secrets(settings: Settings, config: Path) -> Iterator[Line]:
    """Nothing where it holds none, or only those may read it who should."""
    keys = secret_keys(settings)
    try:
        is_open = bool(keys) and others_may_read(config)
    except OSError:  # it was read a moment ago, and is gone
        return
    if is_open:
        held = " and ".join(keys)
        yield warning(
            _AREA,
            f"{config} can be read by every user of this machine, and holds {held}",
            f"take the rights of others away (chmod o= {config}), and change what they may know",
        )


def secret_keys(settings: Settings) -> list[str]:
    """The keys whose values are secrets, or have one in them. Pure."""
    found = {
        "status.token": settings.status.token is not None,
        "verdicts.store": any(store_secrets(settings.verdicts.store)),
        "notify.url": settings.notify is not None and any(webhook_secrets(settings.notify.url)),
    }
    return [key for key, holds in found.items() if holds]
