"""`kata-bridge watch`: the folder door."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bridge.commands.kds_options import (
    add_kds_config,
    add_log,
    add_places,
    add_trust,
    named_pin,
    read_installation,
    refuse_without_kds_config,
    service_log,
)
from bridge.commands.terminal import complain
from bridge.core import (
    ConfigError,
    StartError,
    configuration_of,
    keep_hangups,
    printable,
    read_settings,
    run_daemon,
)
from bridge.folder.kds import check_folders, serve_kds
from bridge.folder.service import Reloads, serve
from bridge.folder.usable import try_out

if TYPE_CHECKING:
    from bridge.commands import Commands

_NAME = "kata-bridge watch"


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser("watch", help="watch the configured folders")
    add_kds_config(parser)
    parser.add_argument(
        "--check-config", action="store_true", help="check the configuration, and end"
    )
    parser.add_argument(
        "--once", action="store_true", help="deal with what is there now, and end (for cron)"
    )
    add_trust(parser)
    add_places(parser)
    add_log(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Watch until a signal; exit code 1 where it cannot start, or (`--once`) where files stay that
    were to go, 2 for the configuration."""
    keep_hangups()
    try:
        refuse_without_kds_config(options)
    except ConfigError as error:
        complain("watch", str(error))
        return 2
    if options.kds_config is not None:
        return _run_kds(options)
    source = configuration_of(options.config)
    settings = read_settings(options.config, check_only=options.check_config, try_out=try_out)
    if isinstance(settings, int):
        return settings
    return run_daemon(
        _NAME,
        lambda stop, hangup: serve(settings, stop, Reloads(hangup, source), once=options.once),
    )


def _run_kds(options: argparse.Namespace) -> int:
    try:
        installation = read_installation(options)
        installation.settings()
        if options.check_config:
            check_folders(installation)
        pin = named_pin(options, installation)
    except (ConfigError, StartError) as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"{printable(line)}\n")
        return 2
    if options.check_config:
        sys.stdout.write(f"{printable(str(options.kds_config))}: the configuration is good\n")
        return 0
    return run_daemon(
        _NAME,
        lambda stop, hangup: serve_kds(
            installation,
            stop,
            hangup,
            read=lambda: read_installation(options),
            log=service_log(options),
            pin=pin,
            once=options.once,
        ),
    )
