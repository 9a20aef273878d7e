"""What both daemons share: the event loop, signals, and the service log."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

import uvloop

from bridge.core.belongings import fault_of_file, fault_of_folder
from bridge.core.config import ConfigError, find_config, load_config
from bridge.core.ending import Ending
from bridge.core.hangups import take_hangup
from bridge.core.linelog import LineLog
from bridge.core.logfiles import open_log
from bridge.core.opening import StartError, refuse
from bridge.core.printable import printable
from bridge.core.reloading import Adopt, Prepare
from bridge.core.saying import is_own_word
from bridge.core.sdnotify import service_manager
from bridge.core.settings import Settings

Serve = Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, int | None]]

EXIT_START = 1
EXIT_CONFIG = 2


class _Formatter(logging.Formatter):
    def __init__(self, speaker: str) -> None:
        super().__init__()
        self._speaker = f"{speaker}: " if speaker else ""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone()
        stamp = time.isoformat(timespec="milliseconds")
        words = f"{self._speaker}{printable(record.getMessage())}"
        text = f"{stamp} {record.levelname.lower()} {words}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class _LineHandler(logging.Handler):
    def __init__(self, log: LineLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.write(self.format(record).encode("utf-8", "backslashreplace"))


def read_settings(
    argument: Path | None,
    *,
    check_only: bool,
    try_out: Callable[[Settings], object] | None = None,
) -> Settings | int:
    """The settings of a daemon, or the exit code where it ends here.

    A fault is said on stderr, and with `check_only` that there is none on stdout. `try_out`: what
    the daemon makes of them at its start; its StartError counts with `check_only`, too.
    """
    path = find_config(argument)
    try:
        settings = load_config(path)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    if check_only:
        try:
            if try_out is not None:
                try_out(settings)
        except StartError as error:
            sys.stderr.write(f"{error}\n")
            return EXIT_CONFIG
        sys.stdout.write(f"{path}: the configuration is good\n")
        return 0
    return settings


def start_log(settings: Settings, name: str, speaker: str = "", *, echo: bool = False) -> LineLog:
    """Send the service log to stderr and to `name` in `logs.dir`; StartError where it cannot be.

    `speaker`: which of several processes speaks; `echo`: another one says what all would say.
    """
    path = settings.logs.dir / name
    refuse(fault_of_folder(settings.logs.dir) or fault_of_file(path), "logs.dir")
    try:
        log = open_log(settings.logs, name)
    except OSError as error:
        where = error.filename or path
        raise StartError(f"{where}: {error.strerror}", "logs.dir") from None
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr), _LineHandler(log)]
    for handler in handlers:
        handler.setFormatter(_Formatter(speaker))
        if echo:
            handler.addFilter(is_own_word)
    logging.basicConfig(level=settings.logs.level.upper(), handlers=handlers, force=True)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # the client says what matters itself
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # a line for each change else
    return log


def follow(log: LineLog) -> Prepare:
    """What a service log, and how much is said there, is by new settings."""

    def prepare(settings: Settings) -> Adopt:
        def adopt() -> None:
            log.use(settings.logs.rotate, settings.logs.keep)
            logging.getLogger().setLevel(settings.logs.level.upper())

        return adopt

    return prepare


def run_daemon(program: str, serve: Serve) -> int:
    """`run_until_stopped` for a program; the exit code is 1 where it cannot start, too.

    Whoever started it as a service is told how it is: that it serves, `serve` has to say.
    """
    service_manager.join()
    return say_start_errors(program, lambda: run_until_stopped(serve))


def say_start_errors(program: str, run: Callable[[], int]) -> int:
    """Call `run`; a StartError of its is said on stderr and becomes the exit code 1."""
    try:
        return run()
    except StartError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return EXIT_START


def leave_alone_what_is_there() -> None:
    """Have the garbage collector never look again at what was loaded for the program's whole life.

    These are some 60,000 objects: a full collection of them stops the event loop for 30 ms, and in
    a forked process it writes to 18 MB that were shared.
    """
    gc.collect()
    gc.freeze()


def run_until_stopped(serve: Serve) -> int:
    """Run `serve` until SIGTERM or SIGINT sets the first event it is given; SIGHUP sets the second.

    One that came before counts, one that comes after the stop does not. Returns the exit code: 1
    where it gives a number that is not 0. StartError where it cannot start. Ends the process with
    that code where a thread hangs: nobody waits for that.
    """

    leave_alone_what_is_there()
    # a lease on a file that somebody opens sends SIGIO, which would end us
    signal.signal(signal.SIGIO, signal.SIG_IGN)

    async def main() -> int | None:
        stop, hangup = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            service_manager.stopping()
            stop.set()
            hangup.clear()

        def hang_up() -> None:
            if not stop.is_set():
                hangup.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        if take_hangup():
            hang_up()
        alive = asyncio.create_task(service_manager.keep_alive(), name="watchdog")
        try:
            return await serve(stop, hangup)
        finally:
            alive.cancel()
            # what is told once more while we end must not end us otherwise
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    ending = Ending(runner)
    try:
        code = EXIT_START if runner.run(main()) else 0
    except BaseException:
        ending.end_soon(EXIT_START)
        raise
    ending.end(code)
    return code
