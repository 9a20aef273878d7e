"""Tells a webhook of records, from threads of its own."""

from __future__ import annotations

import logging
import random
import ssl
import threading
from importlib.metadata import version
from pathlib import Path

from bridge.core.notify.answer import Answer
from bridge.core.notify.channel import Channel
from bridge.core.notify.event import event_of, format_event
from bridge.core.notify.target import parse_webhook_url
from bridge.core.settings import NotifySettings
from bridge.core.siem.buffer import LineBuffer
from bridge.core.siem.ending import end_delivery
from bridge.core.siem.queue import Batch, DiskQueue

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 10.0
_FIRST_BACKOFF = 2.0
_MAX_BACKOFF = 60.0


class Webhook:
    """Delivers records in order, at least once, each by one POST, and keeps them on disk until
    then.

    A record counts as delivered with a 2xx. Another answer, or none, is tried again for ever, but
    for a 4xx that would come again: that record is dropped. A record whose answer was lost comes
    twice.
    """

    def __init__(self, settings: NotifySettings, queue_dir: Path) -> None:
        """`queue_dir` is this process's own. Touches nothing before `start`."""
        self._target = parse_webhook_url(settings.url)
        self._channel = Channel(self._target, f"katabridge/{version('katabridge')}", settings.ca)
        self._queue = DiskQueue(queue_dir, settings.queue, "webhook")
        self._buffer = LineBuffer(self._queue, f"webhook {self._target}")
        self._failures = 0
        self._away: bool | None = None  # None: not tried yet
        self._reason = ""
        self._refused = 0
        self._refused_now = 0
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._buffer.store, name="notify-queue", daemon=True),
            threading.Thread(target=self._deliver_all, name="notify", daemon=True),
        ]

    def start(self) -> None:
        """Begin with what an earlier run left. Never fails: what is wrong is said, and tried
        again."""
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Records that are not delivered."""
        return self._buffer.waiting

    @property
    def lost(self) -> int:
        """Records lost since the start: the queue was full, or the receiver refused them."""
        return self._buffer.dropped + self._refused

    @property
    def target(self) -> str:
        """The receiver as logs name it."""
        return str(self._target)

    @property
    def away(self) -> str | None:
        """Why it takes no records; empty: it takes them, None: that is not known yet."""
        if self._away is None:
            return None if self.waiting else ""
        return self._reason if self._away else ""

    def send(self, line: bytes, *, history: bool) -> None:
        """Tell of a record, if it is one to be told (`event_of`). Never waits and never fails."""
        event = event_of(line, history=history)
        if event is not None:
            self._buffer.add(format_event(event, line))

    def close(self, seconds: float = 2.0) -> None:
        """Deliver for at most `seconds` what waits; the rest stays on disk. Blocks."""
        self._closing.set()
        what = f"records for the webhook {self._target}"
        end_delivery(what, self._buffer, self._queue, self._threads, self._channel.abort, seconds)

    # -- in the thread that delivers ---------------------------------------------------------------

    def _deliver_all(self) -> None:
        while True:
            batch = self._buffer.take(_IDLE_SECONDS, 1)
            if batch is None:
                if self._closing.is_set():
                    return
            elif not self._deliver(batch):
                return

    def _deliver(self, batch: Batch) -> bool:
        """Send one record, and wait where it must be sent again; False at the end."""
        try:
            answer = self._channel.post(batch.lines[0])
        except (OSError, ValueError) as error:
            return self._failed(batch, _reason(error))
        except Exception as error:  # a fault of ours must not end delivery for good
            _log.exception("a fault in sending to the webhook %s", self._target)
            return self._failed(batch, repr(error))
        if answer.is_delivered:
            self._delivered(batch)
        elif answer.is_refusal:
            self._drop(batch, answer)
        else:
            return self._failed(batch, str(answer), answer.retry_after)
        return True

    def _delivered(self, batch: Batch) -> None:
        waited = self._buffer.waiting
        self._buffer.done(batch)
        self._failures = 0
        refused, self._refused_now = self._refused_now, 0
        was_away, self._away = self._away, False
        if was_away or refused:
            _log.warning(
                "the webhook %s takes records again; %d waited, %d were refused",
                *(self._target, waited, refused),
            )

    def _drop(self, batch: Batch, answer: Answer) -> None:
        self._failures = 0
        self._refused += 1
        self._refused_now += 1
        self._buffer.done(batch)
        if self._refused_now == 1:
            _log.error(
                "the webhook %s refuses a record: %s; what it refuses is dropped",
                *(self._target, answer),
            )

    def _failed(self, batch: Batch, reason: str, retry_after: float = 0.0) -> bool:
        """Wait before the next attempt; False where there is none: at the end."""
        self._buffer.failed(batch)
        if not self._away and not self._channel.aborted:
            self._reason, self._away = reason, True
            _log.error(
                "the webhook %s takes no records: %s; they wait in %s",
                *(self._target, reason, self._queue.directory),
            )
        self._failures += 1
        return not self._closing.wait(max(_backoff(self._failures - 1), retry_after))


def _backoff(attempt: int) -> float:
    """Seconds: 1 to 2, doubled with each attempt up to 30 to 60."""
    longest = min(_MAX_BACKOFF, _FIRST_BACKOFF * 2 ** min(attempt, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


def _reason(error: OSError | ValueError) -> str:
    """The fault in one clause, which names neither path nor query."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return getattr(error, "strerror", None) or str(error)
