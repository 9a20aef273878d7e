"""All that is known of one case: its record, what was found, what is known of its bytes."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bridge.core import (
    DETECTS,
    HISTORY,
    VERDICT_LOG,
    WATCH_LOG,
    HistoryFilter,
    Settings,
    case_time,
    tail_lines,
)
from bridge.status.known import known_of
from bridge.status.searching import LogSearch, UnreadableError, unreadable

_MOST = 500
_CLOCK_SECONDS = 86400.0  # by which a clock may have been set back since a case began
_RESCANS = 10  # that are followed
_RESCANS_SECONDS = 5.0  # after which none is begun to be followed: a browser waits
_LOG_BYTES = 64 << 20  # of the service log, from its end
_LOG_LINES = 100
_SERVICE_LOGS = (VERDICT_LOG, WATCH_LOG)


class _Lines(NamedTuple):
    """Those of a log that are wanted, `complete` where all of it was looked through.

    `fault`: why it cannot be read, a sentence.
    """

    log: str
    records: list[Any]
    complete: bool = True
    fault: str | None = None


class Cases:
    """Looks cases up, wherever there is something of them."""

    def __init__(self, settings: Settings, search: LogSearch, service_log: str) -> None:
        """`service_log`: a path, or a name in `logs.dir`."""
        self._settings = settings
        self._search = search
        names = {service_log, *_SERVICE_LOGS}  # the case may be another daemon's
        self._service_logs = [settings.logs.dir / name for name in names]

    async def everything(self, case: str) -> dict[str, Any]:
        """As the API gives it.

        `acts`: the records of what a person did with its file in quarantine, newest first; also
        of what was done after KATA had been asked again, which makes a case of its own.
        `complete`: whether all of the logs that can be read was looked through. `missing`: those
        that cannot be read, by name, each with a sentence.
        """
        since = _begin(case)
        own = HistoryFilter(case=case, since=since)
        history = await self._lines(HISTORY, own, 1)
        detections = await self._lines(DETECTS, own, _MOST)
        record = history.records[0] if history.records else None
        acts = _Lines(HISTORY, [])
        if history.complete and history.fault is None and _may_be_acted_on(record):
            acts = await self._acts(case)
        sha256 = (record or {}).get("sha256")
        service = await asyncio.to_thread(self._service_lines, case)
        looked = (history, detections, acts, *service)
        return {
            "record": record,
            "detections": detections.records,
            "acts": acts.records,
            "complete": all(each.complete for each in looked),
            "missing": {each.log: each.fault for each in looked if each.fault is not None},
            **await known_of(self._settings, sha256 if isinstance(sha256, str) else None),
            "log": [line for each in service for line in each.records][:_LOG_LINES],
        }

    async def _acts(self, case: str) -> _Lines:
        ends = time.monotonic() + _RESCANS_SECONDS
        acts: list[Any] = []
        last = case
        for _ in range(_RESCANS + 1):
            by_hand = HistoryFilter(quarantined_as=last, since=_begin(last))
            found = await self._lines(HISTORY, by_hand, _MOST)
            acts = [*found.records, *acts]
            anew = next(filter(None, map(_case_anew, found.records)), None)
            if anew is None or not found.complete or found.fault is not None:
                return found._replace(records=acts)
            last = anew
            if time.monotonic() > ends:
                break
        return _Lines(HISTORY, acts, complete=False)

    async def _lines(self, log: str, wanted: HistoryFilter, limit: int) -> _Lines:
        try:
            found = await self._search.search(log, wanted, limit=limit)
        except UnreadableError as error:
            return _Lines(log, [], fault=str(error))
        return _Lines(log, found.records, found.complete)

    def _service_lines(self, case: str) -> list[_Lines]:
        """Those of each service log; one that is not there has none."""
        return [_service_lines(log, case.encode()) for log in self._service_logs]


def _begin(case: str) -> float | None:
    """Before that (epoch) there is nothing of it; None where nobody knows."""
    began = case_time(case)
    return began and began - _CLOCK_SECONDS


def _may_be_acted_on(record: dict[str, Any] | None) -> bool:
    """Whether its file may have been in quarantine: who searches for what is not there is slow."""
    return record is None or (record.get("door"), record.get("decision")) == ("FOLDER", "block")


def _case_anew(act: dict[str, Any]) -> str | None:
    """The case of a file that was judged anew and left where it was, with a note of that."""
    anew = (act.get("source"), act.get("decision")) == ("kata", "block")
    case = act.get("case")
    return case if anew and isinstance(case, str) and case else None


def _service_lines(log: Path, key: bytes) -> _Lines:
    lines = (line for line in tail_lines(log, _LOG_BYTES) if key in line)
    try:
        found = [line.decode("utf-8", "backslashreplace") for line in islice(lines, _LOG_LINES)]
    except OSError as error:
        return _Lines(log.name, [], fault=unreadable(log, error))
    return _Lines(log.name, found)
