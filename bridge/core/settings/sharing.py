"""Limits that are written for the whole service and kept by each of its workers for its part."""

from __future__ import annotations

from bridge.core.settings.parts import exact_part, uneven_part
from bridge.core.settings.whole import Settings

_LEAST_QUEUE = 1 << 20  # bytes, as the keys themselves demand
_LEAST_VISITS = 100


def share(settings: Settings, worker: int) -> Settings:
    """The settings of worker 0, 1, … of `settings.icap.workers`; the same where there is one.

    Section `icap` is the same for all workers but in what no proxy sees, since its text makes the
    ISTag; it knows by itself what a worker may have of its connections.
    """
    workers = settings.icap.workers
    if workers == 1:
        return settings

    def part(whole: int, least: int = 1) -> int:
        return exact_part(whole, workers, worker, least=least)

    kata, spool, logs, notify = settings.kata, settings.spool, settings.logs, settings.notify
    changes: dict[str, object] = {
        "kata": kata.model_copy(
            update={
                "connections": part(kata.connections),
                "max_in_flight": part(kata.max_in_flight),
                "queue": part(kata.queue),
            }
        ),
        "spool": spool.model_copy(
            update={
                "memory_total": part(spool.memory_total, least=0),
                "max_bytes": part(spool.max_bytes, least=0),
            }
        ),
        "icap": _icap(settings),
    }
    if logs.syslog is not None:
        queue = part(logs.syslog.queue, _LEAST_QUEUE)
        syslog = logs.syslog.model_copy(update={"queue": queue})
        changes["logs"] = logs.model_copy(update={"syslog": syslog})
    if notify is not None:
        queue = part(notify.queue, _LEAST_QUEUE)
        changes["notify"] = notify.model_copy(update={"queue": queue})
    return settings.model_copy(update=changes)


def _icap(settings: Settings) -> object:
    visits = settings.icap.visits
    entries = max(_LEAST_VISITS, uneven_part(visits.entries, settings.icap.workers))
    return settings.icap.model_copy(
        update={"visits": visits.model_copy(update={"entries": entries})}
    )
