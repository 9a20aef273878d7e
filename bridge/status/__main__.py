"""`python -m bridge.status LISTENER LINK PLAN`: started by a daemon, with three descriptors."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import socket
import sys

from bridge.core import StartError, open_streams, start_log
from bridge.status.server import serve


def main() -> int:
    """Answer until the daemon is gone; exit code 0."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the daemon is told, and we go with it
    open_streams("status page")
    listener, link, plan = map(int, sys.argv[1:])
    with os.fdopen(plan, "rb") as file:
        settings, program, service_log = pickle.load(file)  # noqa: S301 - our parent wrote it
    try:
        log = start_log(settings, service_log, "status page")
    except StartError as error:
        sys.stderr.write(f"status page: {error}\n")
        return 1
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)  # what clients break is their affair
    sockets = socket.socket(fileno=listener), socket.socket(fileno=link)
    asyncio.run(serve(settings, program, service_log, *sockets))
    log.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
