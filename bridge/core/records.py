"""What is left of every case: `log-history.log`, and of every detection: `log-detects.log`.

JSON lines with the same keys from both doors; only `context` differs. Everything outside ASCII is
escaped, so that a name can do no harm on a terminal.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _text
from pathlib import Path
from typing import NamedTuple

from bridge.core.logfiles import open_log
from bridge.core.model import Case, Decision, Identity, Outcome
from bridge.core.notify import Webhook
from bridge.core.rotation import rotated_files, tail_lines
from bridge.core.settings import LogSettings
from bridge.core.siem.sink import SyslogSink
from bridge.core.stamp import stamp

HISTORY = "log-history.log"
DETECTS = "log-detects.log"

_WINDOWS = (1 << 20, 16 << 20, 256 << 20, 4 << 30)  # bytes from the end, until it is enough
_TIME = re.compile(rb'\{"time":"([^"]{20,40})"')
_CASE = re.compile(rb'"case":"([0-9a-z]{16})"')
_LATE = b',"late":true,'
_DETECTION = b',"outcome":"detect",'
LATE = ":late"  # ends the key of a late line, whose case has its record already


def format_record(
    case: Case, item: Identity | None, outcome: Outcome, decision: Decision, *, late: bool = False
) -> bytes:
    """One record as a line. `item` is None where the bytes never came in whole."""
    said = _said(
        outcome.rule,
        "" if outcome.is_verdict else outcome.detail,
        outcome.threat,
        outcome.technology,
        outcome.importance,
        outcome.scan_id,
    )
    size, sha256 = (item.size, f'"{item.sha256}"') if item else (_number(case.size), "null")
    return (
        f'{{"time":"{stamp()}","case":"{case.id}","door":"{case.door._value_}",'
        f'"name":{_text(case.name)},"size":{size},"sha256":{sha256},"md5":{_or_null(outcome.md5)},'
        f'"outcome":"{outcome.kind._value_}","source":"{outcome.source._value_}",'
        f'"decision":"{decision._value_}","late":{"true" if late else "false"},'
        f'"mode":"{case.mode._value_}",{said},"waited_ms":{case.waited_ms},'
        f'"context":{{{_pairs(case.context)}}}}}'
    ).encode("ascii")


@lru_cache(maxsize=4096)  # much of what is asked for is asked for often
def _said(  # noqa: PLR0913, PLR0917 - what an outcome says
    rule: str | None,
    detail: str,
    threat: str | None,
    technology: str | None,
    importance: str | None,
    scan_id: str | None,
) -> str:
    return (
        f'"rule":{_or_null(rule)},"detail":{_or_null(detail or None)},"threat":{_or_null(threat)},'
        f'"technology":{_or_null(technology)},"importance":{_or_null(importance)},'
        f'"scan_id":{_or_null(scan_id)}'
    )


def _or_null(value: str | None) -> str:
    return "null" if value is None else _text(value)


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _pairs(context: dict[str, str | None]) -> str:
    """The keys are ours, and need no escaping."""
    return ",".join(
        [
            f'"{key}":null' if value is None else f'"{key}":{_text(value)}'
            for key, value in context.items()
        ]
    )


class Present(NamedTuple):
    """The cases that have a record, a line among the detections, and one of a late detection."""

    history: set[str]
    detections: set[str]
    late: set[str]


def _cases(path: Path, since: float) -> Iterator[tuple[str, bool]]:
    """Each case in a log since a time (epoch), and whether its line is about a late detection."""
    for line in _lines_since(path, since):
        match = _CASE.search(line)
        if match is not None:
            yield match[1].decode("ascii"), _is_late(line)


def _is_late(line: bytes) -> bool:
    return _LATE in line.partition(b',"context":')[0]


def _lines_since(path: Path, since: float) -> Iterator[bytes]:
    """The end of a log, from a line before that time on."""
    for size in _WINDOWS:
        lines = tail_lines(path, size)
        first = next(lines, b"")
        if size == _WINDOWS[-1] or _is_before(first, since) or _is_all(path, size):
            yield first
            yield from lines
            return


def _is_before(line: bytes, since: float) -> bool:
    match = _TIME.match(line)
    try:
        return match is not None and datetime.fromisoformat(match[1].decode()).timestamp() < since
    except ValueError:
        return False


def _is_all(path: Path, size: int) -> bool:
    files = [path, *rotated_files(path)]
    return sum(each.stat().st_size for each in files if each.exists()) <= size


class Receiver(NamedTuple):
    """A collector or webhook; why it takes nothing: empty where it does, None: not known yet."""

    name: str
    away: str | None


class Records:
    """Writes records; several processes may share the files."""

    def __init__(
        self, settings: LogSettings, syslog_queue: Path, webhook: Webhook | None = None
    ) -> None:
        """Open both files; OSError where that fails.

        `syslog_queue`: a folder of this process's own for lines whose collector is away. `webhook`
        is told of blocks and late detections; it is started, and closed, here.
        """
        self._history = open_log(settings, HISTORY)
        self._detects = open_log(settings, DETECTS)
        self._sink = SyslogSink(settings.syslog, syslog_queue) if settings.syslog else None
        self._webhook = webhook
        if webhook is not None:
            webhook.start()

    def use(self, settings: LogSettings) -> None:
        """Rotate and delete by these from now on."""
        for log in (self._history, self._detects):
            log.use(settings.rotate, settings.keep)

    def write(self, line: bytes, *, history: bool = True, detection: bool) -> bool:
        """Append a record to where it belongs. Whether the disk has it."""
        if detection:  # first: a crash in between must not lose the detection
            self._detects.write(line)
        if history:
            self._history.write(line)
        if self._sink is not None and (history or detection):
            self._sink.send(line)
        if self._webhook is not None and (history or detection):
            self._webhook.send(line, history=history)
        return not self.waiting

    def write_all(self, lines: Sequence[tuple[bytes, bool]]) -> None:
        """Append records of cases that end at the same time; with each, whether it detects."""
        detections = [line for line, detection in lines if detection]
        if detections:
            self._detects.write_all(detections)
        history = [line for line, _ in lines]
        self._history.write_all(history)
        if self._sink is not None:
            for line in history:
                self._sink.send(line)
        if self._webhook is not None:
            for line in history:
                self._webhook.send(line, history=True)

    def present(self, case_ids: Collection[str], since: float) -> Present:
        """Which of these cases stand in the logs since a time (epoch). Blocks: disk."""
        wanted = set(case_ids)
        if not wanted:
            return Present(set(), set(), set())
        history = {case for case, _ in _cases(self._history.path, since)}
        detects = list(_cases(self._detects.path, since))
        late = {case for case, is_late in detects if is_late}
        early = {case for case, is_late in detects if not is_late}
        return Present(history & wanted, early & wanted, late & wanted)

    @property
    def waiting(self) -> int:
        """Lines that wait for the disk."""
        return self._history.waiting + self._detects.waiting

    @property
    def dropped(self) -> int:
        """Lines that were lost since the start."""
        return self._history.dropped + self._detects.dropped

    @property
    def syslog_waiting(self) -> int:
        """Lines that the collector has not taken."""
        return self._sink.waiting if self._sink else 0

    @property
    def syslog_dropped(self) -> int:
        """Lines for the collector that were lost since the start."""
        return self._sink.dropped if self._sink else 0

    @property
    def notify_waiting(self) -> int:
        """Records that the webhook has not taken."""
        return self._webhook.waiting if self._webhook else 0

    @property
    def notify_lost(self) -> int:
        """Records for the webhook that were lost since the start."""
        return self._webhook.lost if self._webhook else 0

    @property
    def collector(self) -> Receiver | None:
        """The SIEM's collector, if there is one."""
        return Receiver(self._sink.target, self._sink.away) if self._sink else None

    @property
    def webhook(self) -> Receiver | None:
        """The webhook, if there is one."""
        return Receiver(self._webhook.target, self._webhook.away) if self._webhook else None

    @property
    def troubles(self) -> dict[Path, str]:
        """The logs whose lines wait for the disk, and why."""
        return {log.path: log.trouble for log in (self._history, self._detects) if log.trouble}

    def take_waiting(self) -> dict[str, tuple[bytes, bool]]:
        """What the disk has not taken, for somebody else to keep: line, and whether it detects.

        By case; a late line under the case's id with `LATE` behind it.
        """
        taken = {}
        for log, detects in ((self._history, False), (self._detects, True)):
            for line in log.take_waiting():
                match = _CASE.search(line)
                if match is not None:
                    key = match[1].decode("ascii") + (LATE if _is_late(line) and detects else "")
                    taken[key] = line, detects or _DETECTION in line
        return taken

    def catch_up(self) -> None:
        """Write what waits for the disk, rotate and delete what is due. Blocks: disk."""
        self._history.catch_up()
        self._detects.catch_up()

    def close(self) -> None:
        """Close both files. Blocks: disk, and collector and webhook for two seconds."""
        receivers = [each for each in (self._sink, self._webhook) if each is not None]
        # each may take its two seconds, at the same time
        closing = [threading.Thread(target=each.close) for each in receivers]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        self._history.close()
        self._detects.close()
