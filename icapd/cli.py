"""The command `icapd`. What is heavy is loaded by `main`."""

from __future__ import annotations

import signal
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the ICAP door; the exit code is 0, 1 (cannot start) or 2 (configuration)."""
    # until we have a handler; the configuration is read after that anyway
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from icapd import program  # noqa: PLC0415 - it takes half a second

    return program.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
