"""The ICAP door of one process from the first connection to the last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from bridge.core import Address, Core, LineLog
from icapd.server import IcapServer

_log = logging.getLogger(__name__)


def places(plain: Sequence[Address], tls: Sequence[Address]) -> str:
    """Where the door listens, for people."""
    kinds = {"on": plain, "with TLS on": tls}
    return ", ".join(
        f"{words} {', '.join(map(str, addresses))}"
        for words, addresses in kinds.items()
        if addresses
    )


async def serve_until(
    stop: asyncio.Event,
    core: Core,
    log: LineLog,
    listens: Callable[[IcapServer], Awaitable[None]],
    *,
    shares_ports: bool = False,
) -> None:
    """Serve proxies until the stop; StartError where an address cannot be had.

    `listens` is called when all addresses are. `shares_ports`: with other workers.
    """
    server = IcapServer(core, log)
    await server.start(shares_ports=shares_ports)
    await listens(server)
    greeting = asyncio.create_task(core.greet())
    await stop.wait()
    if not shares_ports:  # else the supervisor has said so
        _log.warning("icapd stops")
    greeting.cancel()
    await server.stop()
