"""The command `icapd`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from bridge.core import Core, Door, Settings, read_settings, run_daemon, start_log
from icapd import descriptors
from icapd.pages import Pages
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
    settings = read_settings(
        options.config,
        check_only=options.check_config,
        try_out=lambda settings: Pages(settings.icap.pages),
    )
    if isinstance(settings, int):
        return settings
    return run_daemon("icapd", lambda stop: _serve(settings, stop))


def _places(server: IcapServer) -> str:
    kinds = {"on": server.addresses, "with TLS on": server.tls_addresses}
    return ", ".join(
        f"{words} {', '.join(map(str, addresses))}"
        for words, addresses in kinds.items()
        if addresses
    )


async def _serve(settings: Settings, stop: asyncio.Event) -> None:
    log = start_log(settings, VERDICT_LOG)
    descriptors.allow(settings)
    async with Core(settings, Door.ICAP) as core:
        server = IcapServer(core, log)
        stop_metrics = core.serve_metrics(settings.status.icapd)
        await server.start()
        greeting = asyncio.create_task(core.greet())
        places = _places(server)
        services = ", ".join(settings.icap.services)
        _log.warning("icapd listens %s; services: %s", places, services)
        await stop.wait()
        _log.warning("icapd stops")
        greeting.cancel()
        await server.stop()
        stop_metrics()
    _log.warning("icapd has stopped")
    log.close()


if __name__ == "__main__":
    sys.exit(main())
