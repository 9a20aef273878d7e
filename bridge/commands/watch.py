"""`kata-bridge watch`: the folder door."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.core import read_settings, run_daemon
from bridge.folder.service import serve

if TYPE_CHECKING:
    from bridge.commands import Commands


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser("watch", help="watch the configured folders")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument(
        "--check-config", action="store_true", help="check the configuration, and end"
    )
    parser.add_argument(
        "--once", action="store_true", help="deal with what is there now, and end (for cron)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Watch until a signal; exit code 1 where it cannot start, or (`--once`) where files stay that
    were to go, 2 for the configuration."""
    settings = read_settings(options.config, check_only=options.check_config)
    if isinstance(settings, int):
        return settings
    return run_daemon("kata-bridge watch", lambda stop: serve(settings, stop, once=options.once))
