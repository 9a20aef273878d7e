"""Free ports of 127.0.0.1 for programs of a test, without a clash between test runs."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator

_PORTS = range(20000, 32000)  # outside the range that connections get theirs from
_BLOCK = 100

_lock = threading.Lock()


def _is_claimed(name: str) -> bool:
    """Claim a name among the processes of this network namespace, until this process ends."""
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(f"\0{name}")  # leaves no file behind
    except OSError:
        sock.close()
        return False
    sock.detach()
    return True


def _blocks() -> Iterator[range]:
    """Blocks of ports that no other process takes from, new ones first, then the same again."""
    starts = list(_PORTS[::_BLOCK])
    random.shuffle(starts)
    blocks = [range(start, start + _BLOCK) for start in starts]
    own = []
    for block in blocks:
        if _is_claimed(f"katabridge-ports-{block.start}"):
            own.append(block)
            yield block
    while True:
        yield from own or blocks  # so many processes: ports are shared, and mostly free


def _candidates() -> Iterator[int]:
    for block in _blocks():
        yield from block


_ports = _candidates()


def free_port() -> int:
    """A port that nobody listens on now, and that no other process is given by this function.

    The same one comes again only after 99 others, and after thousands where few tests run at a
    time.
    """
    with _lock:
        for port in _ports:
            with socket.socket() as sock, contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                return port
    raise AssertionError("unreachable")
