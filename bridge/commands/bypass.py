"""`kata-bridge bypass`: the emergency switch. Doors pass everything unjudged for a while."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.commands.options import add_config, duration
from bridge.commands.terminal import complain
from bridge.core import BypassError, Door, local_time, read_bypass, read_settings, set_bypass

if TYPE_CHECKING:
    from bridge.commands import Commands


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser(
        "bypass",
        help="pass everything unjudged for a while",
        description="The emergency switch: doors pass everything UNJUDGED until the time is over. "
        "Running daemons see it within two seconds; each case is recorded with the rule `bypass`. "
        "Without --for and --off: which doors are open.",
    )
    parser.add_argument("--for", type=duration, dest="seconds", metavar="TIME", help="as in 1h")
    parser.add_argument("--door", choices=[door.lower() for door in Door], help="only this door")
    parser.add_argument("--off", action="store_true", help="judge again")
    add_config(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Set or show the switch: 0, 1 where it cannot be set, 2 configuration or usage."""
    if options.off and options.seconds is not None:
        complain("bypass", "--for and --off are opposites; give one of them.")
        return 2
    settings = read_settings(options.config, check_only=False)
    if isinstance(settings, int):
        return settings
    doors = [Door(options.door.upper())] if options.door else list(Door)
    try:
        until = {} if options.off and not options.door else _still_open(settings.spool.dir)
        if options.off or options.seconds is not None:
            for door in doors:
                until.pop(door, None)
                if options.seconds is not None:
                    until[door] = time.time() + options.seconds
            set_bypass(settings.spool.dir, until)
    except BypassError as error:
        complain("bypass", str(error))
        return 1
    for door in Door:
        sys.stdout.write(f"{door}: {_words(until.get(door))}\n")
    return 0


def _still_open(directory: Path) -> dict[Door, float]:
    now = time.time()
    return {door: end for door, end in read_bypass(directory).items() if end > now}


def _words(until: float | None) -> str:
    if until is None:
        return "judges"
    return f"passes everything UNJUDGED until {local_time(until)}"
