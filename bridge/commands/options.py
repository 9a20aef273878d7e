"""Options that several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path

from bridge.core import parse_duration


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")


def duration(text: str) -> float:
    """Seconds of a time with its unit, more than none."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no time at all")
    return seconds
