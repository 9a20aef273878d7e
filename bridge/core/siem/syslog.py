"""Sends lines to a syslog collector from threads of its own."""

from __future__ import annotations

import logging
import os
import random
import socket
import ssl
import threading
from datetime import datetime
from pathlib import Path

from bridge.core.siem.buffer import LineBuffer
from bridge.core.siem.connection import Connection, connect
from bridge.core.siem.ending import end_delivery
from bridge.core.siem.message import INFORMATIONAL, Origin, SyslogTarget, format_message
from bridge.core.siem.queue import Batch, DiskQueue

_log = logging.getLogger(__name__)

_QUEUE_BYTES = 64 << 20
_IDLE_SECONDS = 10.0
_FIRST_BACKOFF = 0.5
_MAX_BACKOFF = 30.0


class SyslogSender:
    """Delivers lines in order, at least once, and keeps them on disk until then.

    Over TCP and TLS a line counts as delivered once the collector's TCP has it: what the
    collector's program loses after that is lost, and after a broken connection lines may come
    twice. UDP promises nothing; its messages end at 8,192 bytes (`SyslogTarget.text_bytes`).
    """

    def __init__(
        self,
        target: SyslogTarget,
        queue_dir: Path,
        *,
        ca_file: Path | None = None,
        queue_bytes: int = _QUEUE_BYTES,
        origin: Origin | None = None,
    ) -> None:
        """Start sending what an earlier run left in `queue_dir`, which is this process's own.

        `ca_file`: whom to believe instead of the system's CAs; `queue_bytes`: of the queue's file;
        `origin`: for the messages' headers, else the system's host name and our process id. Never
        fails: what is wrong is logged, and tried again.
        """
        self._target = target
        self._ca_file = ca_file
        self._origin = origin or Origin(socket.gethostname(), process=str(os.getpid()))
        self._queue = DiskQueue(queue_dir, queue_bytes)
        self._buffer = LineBuffer(self._queue)
        self._connection: Connection | None = None
        self._failures = 0
        self._away: bool | None = None  # None: not tried yet
        self._reason = ""
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._buffer.store, name="syslog-queue", daemon=True),
            threading.Thread(target=self._deliver_all, name="syslog", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Lines that are not delivered."""
        return self._buffer.waiting

    @property
    def dropped(self) -> int:
        """Lines lost since the start: the queue was full."""
        return self._buffer.dropped

    @property
    def connected(self) -> bool:
        """Whether the collector takes lines, as far as we know."""
        return self._connection is not None and not self._away

    @property
    def away(self) -> str | None:
        """Why the collector takes no lines; empty: it takes them, None: that is not known yet."""
        return None if self._away is None else self._reason if self._away else ""

    def send(self, text: str, severity: int = INFORMATIONAL) -> None:
        """Send a line. Waits for neither disk nor network, and never fails."""
        now = datetime.now().astimezone()
        self._buffer.add(format_message(text, severity, now, self._origin))

    def close(self, seconds: float = 2.0) -> None:
        """Deliver for at most `seconds` what waits; the rest stays on disk. Blocks."""
        self._closing.set()
        what = f"lines for the syslog collector {self._target}"
        end_delivery(what, self._buffer, self._queue, self._threads, self._abort, seconds)

    def _abort(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.abort()

    # -- in the thread that delivers ---------------------------------------------------------------

    def _deliver_all(self) -> None:
        while True:
            try:
                more = self._deliver_some()
            except OSError as error:
                more = self._failed(_reason(error))
            except Exception as error:  # a fault of ours must not end delivery for good
                _log.exception("a fault in sending to the syslog collector %s", self._target)
                more = self._failed(repr(error))
            if not more:
                break
        self._disconnect()

    def _deliver_some(self) -> bool:
        """Deliver one batch, or look whether the collector is still there; False at the end."""
        if self._connection is None:
            self._connection = connect(self._target, self._ca_file)
        batch = self._buffer.take(_IDLE_SECONDS)
        if batch is None:
            self._connection.check()
            self._works(0)
            return not self._closing.is_set()
        self._deliver(batch, self._connection)
        return True

    def _deliver(self, batch: Batch, connection: Connection) -> None:
        try:
            connection.send(batch.lines)
        except BaseException:
            self._buffer.failed(batch)
            raise
        waited = self._buffer.waiting
        self._buffer.done(batch)
        self._works(waited)

    def _works(self, waited: int) -> None:
        self._failures = 0
        was_away, self._away = self._away, False
        if was_away:
            _log.warning(
                "the syslog collector %s takes lines again; %d waited", self._target, waited
            )

    def _failed(self, reason: str) -> bool:
        """Wait before the next attempt; False where there is none: at the end.

        The first attempt after a success comes at once and is not worth a word: collectors close
        idle connections.
        """
        self._disconnect()
        self._failures += 1
        if self._failures == 1:
            return True
        if not self._away:
            self._reason, self._away = reason, True
            _log.error(
                "the syslog collector %s is away: %s; lines wait in %s",
                *(self._target, reason, self._queue.directory),
            )
        return not self._closing.wait(_backoff(self._failures - 2))

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _backoff(attempt: int) -> float:
    """Seconds, doubled with each attempt up to 30, from half of that to all of it."""
    longest = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** min(attempt, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return error.strerror or str(error)
