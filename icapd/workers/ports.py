"""Keeps the service's ports from other programs while its workers listen there."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator

from bridge.core import Address, IcapSettings, StartError, bind, cannot_listen


def reserve(settings: IcapSettings) -> list[socket.socket]:
    """A socket for each address, bound and not listening; StartError where one cannot be had.

    While it is open only our workers can listen there: SO_REUSEPORT alone would let another
    service of the same user take a part of the connections.
    """
    kept: list[socket.socket] = []
    try:
        for address, key in _addresses(settings):
            try:
                kept.append(_bind(address))
            except OSError as error:
                raise cannot_listen(address, key, error) from None
    except StartError:
        close_all(kept)
        raise
    return kept


def not_to_be_had(settings: IcapSettings) -> Iterator[tuple[OSError, StartError]]:
    """Each address where nobody could listen now, with the sentence; none is held."""
    for address, key in _addresses(settings):
        try:
            bind(address).close()
        except OSError as error:
            yield error, cannot_listen(address, key, error)


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close them."""
    for sock in sockets:
        sock.close()


def _addresses(settings: IcapSettings) -> Iterator[tuple[Address, str]]:
    yield from ((address, "icap.listen") for address in settings.listen)
    if settings.tls is not None:
        yield from ((address, "icap.tls.listen") for address in settings.tls.listen)


def _bind(address: Address) -> socket.socket:
    sock = bind(address)
    try:
        # Linux looks at both at each later bind: others are refused, our workers are not
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        sock.close()
        raise
    return sock
