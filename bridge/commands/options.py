"""Options that several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path

from bridge.core import parse_duration

_DIGITS = 15
_LONGEST = 40  # signs of what somebody wrote that are said again


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")


def count(text: str) -> int:
    """A whole number that fits whatever is counted."""
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
        raise argparse.ArgumentTypeError(f"{shown!r} is no number, or too large a one")
    return int(text)


def duration(text: str) -> float:
    """Seconds of a time with its unit, more than none."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no time at all")
    return seconds
