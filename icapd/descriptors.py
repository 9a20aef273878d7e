"""How many descriptors the door may need, and asking the system for them."""

from __future__ import annotations

import logging
import resource

from bridge.core import OF_ALL_WORKERS, Adopt, Settings

_log = logging.getLogger(__name__)

_OWN = 300  # logs, stores, threads' files, and connections that are only told why they must go


def needed(settings: Settings) -> int:
    """Descriptors at most: a connection and its body's file, uploads and their files.

    `settings`: a worker's own.
    """
    connections = settings.icap.max_connections_of_worker
    return _OWN + 2 * connections + 2 * settings.kata.connections


def allow(settings: Settings) -> None:
    """Raise this process's soft limit to the hard one where it is too low for the settings.

    A warning names the key where even that is too low: connections would fail before the limit.
    """
    wanted = needed(settings)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    unlimited = hard == resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if unlimited else hard, hard))
    if not unlimited and hard < wanted:
        _log.warning(
            "icap.max_connections is %d, for which up to %d descriptors are needed, but this "
            "process may have %d (LimitNOFILE)",
            settings.icap.max_connections,
            wanted,
            hard,
            extra=OF_ALL_WORKERS,
        )


def prepare(settings: Settings) -> Adopt:
    """See `bridge.core.Reloader`."""
    return lambda: allow(settings)
