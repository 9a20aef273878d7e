"""Who is told of records: whether SIEM and webhook can be reached. Blocks: network."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from bridge.commands.checking.line import Line, failed, ok
from bridge.commands.checking.running import TooSlowError, within
from bridge.core import Settings, parse_syslog_url, parse_webhook_url

_SECONDS = 10.0
_WAITS = "see whether it runs and a firewall lets this machine through; {} wait on disk meanwhile"


def look_at_receivers(settings: Settings) -> Iterator[Line]:
    """By a TCP connection, in which nothing is said. Neither line names a token or a password."""
    if settings.logs.syslog is not None:
        target = parse_syslog_url(settings.logs.syslog.url)
        advice = _WAITS.format("its lines")
        yield _reach("syslog", str(target), target.host, target.port, advice, target.scheme)
    if settings.notify is not None:
        hook = parse_webhook_url(settings.notify.url)
        yield _reach("webhook", str(hook), hook.host, hook.port, _WAITS.format("its records"))


def _reach(  # noqa: PLR0913, PLR0917 - where it is, and what is said of it
    area: str, name: str, host: str, port: int, advice: str, scheme: str = "tcp"
) -> Line:
    try:
        if scheme == "udp":
            within(_SECONDS, socket.getaddrinfo, host, port, 0, socket.SOCK_DGRAM)
            return ok(area, f"{name} has an address; by UDP nobody knows whether lines arrive")
        within(_SECONDS, _connect, host, port)
    except TooSlowError:
        return failed(area, f"{name} did not answer within {_SECONDS:.0f} s", advice)
    except OSError as error:
        return failed(area, f"{name} cannot be reached: {error.strerror or error}", advice)
    return ok(area, f"{name} takes connections")


def _connect(host: str, port: int) -> None:
    socket.create_connection((host, port), _SECONDS - 1).close()
