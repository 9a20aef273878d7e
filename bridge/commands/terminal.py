"""What the commands say, and to whom."""

from __future__ import annotations

import io
import sys

from bridge.core import printable


def prepare() -> None:
    """Let no name end a command because the terminal cannot show it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(sentence: str) -> None:
    """One line on stdout, whatever it holds."""
    sys.stdout.write(f"{printable(sentence)}\n")
    sys.stdout.flush()


def complain(command: str, sentence: str) -> None:
    """One line on stderr, whatever it holds."""
    sys.stderr.write(f"kata-bridge {command}: {printable(sentence)}\n")
    sys.stderr.flush()


def reason(error: OSError) -> str:
    """What the system says, without number and path."""
    return error.strerror or str(error)
