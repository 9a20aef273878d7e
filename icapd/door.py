"""The ICAP door of one process from the first connection to the last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from bridge.core import Address, Adopt, Core, LineLog, Reloader, Settings
from icapd import descriptors
from icapd.pages import Pages
from icapd.secure import make_context
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


def try_out(settings: Settings) -> Adopt:
    """Refuse, by a StartError, settings that the door could not begin with; nothing to adopt."""
    Pages(settings.icap.pages)
    if settings.icap.tls is not None:
        make_context(settings.icap.tls)
    return lambda: None


async def serve_until(  # noqa: PLR0913 - one door, and all that goes with it
    stop: asyncio.Event,
    core: Core,
    log: LineLog,
    listens: Callable[[IcapServer], Awaitable[None]],
    reloader: Reloader,
    *,
    shares_ports: bool = False,
) -> None:
    """Serve proxies until the stop; StartError where an address cannot be had.

    `listens` is called when all addresses are. `reloader` brings new settings to the door, too.
    `shares_ports`: with other workers.
    """
    server = IcapServer(core, log)
    reloader.join(descriptors.prepare)
    reloader.join(server.prepare)
    await server.start(shares_ports=shares_ports)
    await listens(server)
    greeting = asyncio.create_task(core.greet())
    await stop.wait()
    if not shares_ports:  # else the supervisor has said so
        _log.warning("icapd stops")
    greeting.cancel()
    await server.stop()
