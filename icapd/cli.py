"""The command `icapd`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from bridge.core import (
    EXIT_CONFIG,
    ConfigError,
    Core,
    Door,
    LineLog,
    Settings,
    StartError,
    find_config,
    load_config,
    run_daemon,
    set_up_logging,
)
from icapd.server import IcapServer
from icapd.service import VERDICT_LOG

_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the ICAP door; the exit code is 0, 1 (cannot start) or 2 (configuration)."""
    parser = argparse.ArgumentParser(
        prog="icapd", description="ICAP server that has bodies judged by Kaspersky KATA."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument(
        "--check-config", action="store_true", help="check the configuration, and end"
    )
    options = parser.parse_args(arguments)
    path = find_config(options.config)
    try:
        settings = load_config(path)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    if options.check_config:
        sys.stdout.write(f"{path}: the configuration is good\n")
        return 0
    return run_daemon("icapd", lambda stop: _serve(settings, stop))


async def _serve(settings: Settings, stop: asyncio.Event) -> None:
    path = settings.logs.dir / VERDICT_LOG
    try:
        log = LineLog(path)
    except OSError as error:
        raise StartError(f"{path}: {error.strerror} (logs.dir).") from None
    set_up_logging(settings.logs.level, log)
    async with Core(settings, Door.ICAP) as core:
        server = IcapServer(core, log)
        await server.start()
        greeting = asyncio.create_task(core.greet())
        places = ", ".join(str(address) for address in server.addresses)
        services = ", ".join(settings.icap.services)
        _log.warning("icapd listens on %s; services: %s", places, services)
        await stop.wait()
        _log.warning("icapd stops")
        greeting.cancel()
        await server.stop()
    _log.warning("icapd has stopped")
    log.close()


if __name__ == "__main__":
    sys.exit(main())
