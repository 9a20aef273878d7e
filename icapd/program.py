"""What the command `icapd` does: one process that serves, or one that supervises several."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
from pathlib import Path

from bridge.core import (
    VERDICT_LOG,
    Configuration,
    Core,
    Door,
    Settings,
    configuration_of,
    follow,
    keep_hangups,
    open_streams,
    orphans,
    read_settings,
    run_daemon,
    run_program,
    say_start_errors,
    service_manager,
    start_log,
    status_of,
)
from icapd import descriptors
from icapd.door import places, serve_until, try_out
from icapd.server import IcapServer
from icapd.workers.supervisor import supervise

_log = logging.getLogger(__name__)


def run(arguments: list[str] | None) -> int:
    """Run the ICAP door; the exit code is 0, 1 (cannot start) or 2 (configuration)."""
    keep_hangups()
    open_streams("icapd")
    return run_program(lambda: _run(arguments))


def _run(arguments: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="icapd", description="ICAP server that has bodies judged by Kaspersky KATA."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    parser.add_argument(
        "--check-config", action="store_true", help="check the configuration, and end"
    )
    options = parser.parse_args(arguments)
    configuration = configuration_of(options.config)
    settings = read_settings(
        options.config,
        check_only=options.check_config,
        try_out=try_out,
    )
    if isinstance(settings, int):
        return settings
    left = orphans(settings, Door.ICAP, settings.icap.workers)
    if settings.icap.workers > 1 or left:
        return say_start_errors("icapd", lambda: supervise(settings, configuration, left))
    return run_daemon("icapd", lambda *told: _serve(configuration, settings, *told))


async def _serve(
    configuration: Configuration, settings: Settings, stop: asyncio.Event, hangup: asyncio.Event
) -> None:
    log = start_log(settings, VERDICT_LOG)
    descriptors.allow(settings)

    async def listens(server: IcapServer) -> None:
        where = places(server.addresses, server.tls_addresses)
        _log.warning("icapd listens %s; services: %s", where, ", ".join(settings.icap.services))
        service_manager.ready(f"listens {where}")
        await serving.enter_async_context(reloader.at_each(hangup, configuration))

    async with (
        Core(settings, Door.ICAP) as core,
        status_of(core, "icapd", settings.status.icapd, VERDICT_LOG) as status,
        contextlib.AsyncExitStack() as serving,
    ):
        reloader = core.reloader(follow(log), status)
        reloader.end_at(stop)
        await serve_until(stop, core, log, listens, reloader)
    _log.warning("icapd has stopped")
    log.close()
