"""What both daemons share: the event loop, signals, and the service log."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

import uvloop

from bridge.core.engine import StartError
from bridge.core.linelog import LineLog
from bridge.core.printable import printable

Serve = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

EXIT_START = 1
EXIT_CONFIG = 2


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone()
        stamp = time.isoformat(timespec="milliseconds")
        text = f"{stamp} {record.levelname.lower()} {printable(record.getMessage())}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class _LineHandler(logging.Handler):
    def __init__(self, log: LineLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.write(self.format(record).encode("utf-8", "backslashreplace"))


def set_up_logging(level: str, log: LineLog | None = None) -> None:
    """Send the service log to stderr, and to `log` where there is one."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log is not None:
        handlers.append(_LineHandler(log))
    for handler in handlers:
        handler.setFormatter(_Formatter())
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # the client says what matters itself


def run_daemon(program: str, serve: Serve) -> int:
    """Run `serve` until SIGTERM or SIGINT sets the event it is given; returns the exit code."""

    # a lease on a file that somebody opens sends SIGIO, which would end us
    signal.signal(signal.SIGIO, signal.SIG_IGN)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(stop)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except StartError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return EXIT_START
    return 0
