"""What the commands say, and to whom."""

from __future__ import annotations

import sys

from bridge.core import is_heard, printable


def say(sentence: str) -> None:
    """One line on stdout, whatever it holds."""
    sys.stdout.write(f"{printable(sentence)}\n")
    sys.stdout.flush()


def show(text: str) -> bool:
    """Text on stdout as it is; whether somebody still takes it."""
    sys.stdout.write(text)
    return is_heard()


def complain(command: str, sentence: str) -> None:
    """One line on stderr, whatever it holds."""
    sys.stderr.write(f"kata-bridge {command}: {printable(sentence)}\n")
    sys.stderr.flush()


def reason(error: OSError) -> str:
    """What the system says, without number and path."""
    return error.strerror or str(error)
