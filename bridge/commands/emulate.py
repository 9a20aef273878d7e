"""`kata-bridge emulate`: a KATA for demonstration and tests."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.commands.options import count
from bridge.core import parse_address

if TYPE_CHECKING:
    from bridge.commands import Commands


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser("emulate", help="run a KATA for demonstration and tests")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR")
    parser.add_argument("--listen", default="127.0.0.1:9443", metavar="HOST:PORT")
    parser.add_argument("--delay", type=_seconds, default=0.2, metavar="SECONDS")
    parser.add_argument("--accept", choices=("auto", "manual"), default="auto")
    parser.add_argument("--max-in-flight", type=count, metavar="N")
    parser.add_argument("--accept-sensor", metavar="ID", help="press Accept for ID, and end")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 86400:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds between 0 and a day")
    return value


def run(options: argparse.Namespace) -> int:
    """Serve until a signal; exit code 1 where it cannot start."""
    try:
        from bridge.emulator import (  # noqa: PLC0415 - an extra
            Emulator,
            EmulatorError,
            Memory,
            accept_sensor,
        )
    except ImportError as error:
        return _fail(f"{error}; install katabridge[emulator].")
    try:
        if options.accept_sensor is not None:
            if accept_sensor(options.state, options.accept_sensor):
                sys.stdout.write(f"{options.accept_sensor} is accepted\n")
                return 0
            sentence = f"has not knocked at the KATA in {options.state} yet."
            return _fail(f"{options.accept_sensor} {sentence}")
        listen = parse_address(options.listen)
        memory = Memory(
            options.state,
            accept=options.accept,
            delay=options.delay,
            max_in_flight=options.max_in_flight,
        )
        emulator = Emulator(memory, listen)
    except (OSError, ValueError) as error:
        reason = f"cannot listen on {options.listen} with its state in {options.state}"
        return _fail(f"{reason}: {getattr(error, 'strerror', None) or error}.")
    except EmulatorError as error:
        return _fail(str(error))
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before there are threads: `sigwait` takes them
    with emulator:
        sys.stdout.write(
            f"An emulated KATA answers on {emulator.url}. It is for demonstration and tests: it "
            f"knows EICAR and nothing else.\nIts certificate: {emulator.certificate}\n"
        )
        sys.stdout.flush()
        signal.sigwait(ends)
    return 0


def _fail(sentence: str) -> int:
    sys.stderr.write(f"kata-bridge emulate: {sentence}\n")
    return 1
