"""The command `kata-bridge`. What is heavy is loaded by `main`."""

from __future__ import annotations

import argparse
import signal
import sys

_EXIT_STOPPED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (cannot start), 2 (configuration, usage), 130 (Ctrl-C).

    Where stdout did not take what was said it is `unsaid` of the command, else 1.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["watch"]:
        # until it has a handler; the configuration is read after that anyway
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return _main(words)
    except KeyboardInterrupt:  # what a command wants to say of it it has said itself
        return _EXIT_STOPPED


def _main(words: list[str]) -> int:
    from bridge.core import EXIT_UNSAID, open_streams, run_program  # noqa: PLC0415 - half a second

    open_streams("kata-bridge")
    options = argparse.Namespace(unsaid=EXIT_UNSAID)
    return run_program(lambda: _run(words, options), lambda: options.unsaid)


def _run(words: list[str], options: argparse.Namespace) -> int:
    _parser().parse_args(words, options)
    result: int = options.run(options)
    return result


def _parser() -> argparse.ArgumentParser:
    from bridge.commands import (  # noqa: PLC0415 - they are heavy
        bypass,
        capture,
        check,
        collect,
        emulate,
        enrol,
        history,
        known,
        migrate,
        quarantine,
        scan,
        watch,
    )

    parser = argparse.ArgumentParser(
        prog="kata-bridge", description="Folders whose files are judged by Kaspersky KATA."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (
        watch,
        enrol,
        check,
        scan,
        history,
        quarantine,
        known,
        bypass,
        capture,
        collect,
        migrate,
        emulate,
    ):
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
