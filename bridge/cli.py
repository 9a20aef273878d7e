"""The command `kata-bridge`."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from bridge.core import parse_address, read_settings, run_daemon
from bridge.folder.service import serve


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (cannot start) or 2 (configuration, usage)."""
    options = _parser().parse_args(arguments)
    result: int = options.run(options)
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kata-bridge", description="Folders whose files are judged by Kaspersky KATA."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    watch = commands.add_parser("watch", help="watch the configured folders")
    watch.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    watch.add_argument(
        "--check-config", action="store_true", help="check the configuration, and end"
    )
    watch.set_defaults(run=_watch)
    emulate = commands.add_parser("emulate", help="run a KATA for demonstration and tests")
    emulate.add_argument("--state", type=Path, required=True, metavar="DIR")
    emulate.add_argument("--listen", default="127.0.0.1:9443", metavar="HOST:PORT")
    emulate.add_argument("--delay", type=_seconds, default=0.2, metavar="SECONDS")
    emulate.add_argument("--accept", choices=("auto", "manual"), default="auto")
    emulate.add_argument("--max-in-flight", type=_count, metavar="N")
    emulate.add_argument("--accept-sensor", metavar="ID", help="press Accept for ID, and end")
    emulate.set_defaults(run=_emulate)
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 86400:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds between 0 and a day")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"{text} is no count")
    return int(text)


def _watch(options: argparse.Namespace) -> int:
    settings = read_settings(options.config, check_only=options.check_config)
    if isinstance(settings, int):
        return settings
    return run_daemon("kata-bridge watch", lambda stop: serve(settings, stop))


def _emulate(options: argparse.Namespace) -> int:
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


if __name__ == "__main__":
    sys.exit(main())
