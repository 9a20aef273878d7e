"""Records on their way to a SIEM: each as one CEF line over syslog."""

from __future__ import annotations

import json
import logging
import socket
from importlib.metadata import version
from pathlib import Path

from bridge.core.cef import format_cef, syslog_severity
from bridge.core.settings import SyslogSettings
from bridge.core.siem.message import parse_syslog_url
from bridge.core.siem.syslog import SyslogSender

_log = logging.getLogger(__name__)


class SyslogSink:
    """Takes records as the log has them. `queue_dir` belongs to this process alone."""

    def __init__(self, settings: SyslogSettings, queue_dir: Path) -> None:
        """Begin with what an earlier process left there."""
        target = parse_syslog_url(settings.url)
        self.target = str(target)
        self._max_bytes = target.text_bytes
        self._version = version("katabridge")
        self._host = socket.gethostname()
        self._sender = SyslogSender(
            target, queue_dir, ca_file=settings.ca, queue_bytes=settings.queue
        )

    @property
    def waiting(self) -> int:
        """Lines that are not delivered."""
        return self._sender.waiting

    @property
    def dropped(self) -> int:
        """Lines lost since the start."""
        return self._sender.dropped

    @property
    def away(self) -> str | None:
        """See SyslogSender."""
        return self._sender.away

    def send(self, line: bytes) -> None:
        """Never waits and never fails."""
        record = json.loads(line)
        text = format_cef(record, version=self._version, host=self._host, max_bytes=self._max_bytes)
        self._sender.send(text, syslog_severity(record))

    def close(self) -> None:
        """Deliver what can be delivered at once; the rest stays for the next start. Blocks."""
        self._sender.close()
