"""The command `kata-bridge`."""

from __future__ import annotations

import argparse
import sys

from bridge.commands import (
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
from bridge.core import open_streams


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is 0, 1 (cannot start) or 2 (configuration, usage)."""
    open_streams()
    options = _parser().parse_args(arguments)
    result: int = options.run(options)
    return result


def _parser() -> argparse.ArgumentParser:
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
