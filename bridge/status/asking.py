"""Asks the status page of a running daemon."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.client import HTTPConnection, HTTPException

from bridge.core import Address

_MOST = 64 << 20


def ask(address: Address, path: str, *, timeout: float = 5.0) -> bytes:
    """What a daemon answers at `path`; OSError, with a sentence, where it does not. Blocks.

    `timeout`: seconds for all of it, since an answer may come byte by byte.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    where = str(Address(host, address.port))
    end = time.monotonic() + timeout
    connection = HTTPConnection(host, address.port, timeout=timeout)
    try:
        connection.connect()
    except OSError as error:
        raise OSError(f"nothing answers at {where}: {error.strerror or error}") from None
    late = threading.Event()
    watch = threading.Timer(end - time.monotonic(), _cut, (connection.sock, late))
    watch.daemon = True
    watch.start()
    try:
        data = _answer(connection, path, where)
    except _StatusError:
        raise
    except (OSError, HTTPException) as error:
        if not late.is_set():
            raise OSError(f"{where} does not answer as a status page does: {error}") from None
    else:
        if not late.is_set():  # one without a length ends where it was cut
            return data
    finally:
        watch.cancel()
        connection.close()
    raise OSError(f"{where} did not answer within {timeout:.0f} s")


class _StatusError(OSError):
    """It answers, but not with what was asked for."""


def _answer(connection: HTTPConnection, path: str, where: str) -> bytes:
    connection.request("GET", path, headers={"Connection": "close"})
    with connection.getresponse() as answer:
        if answer.status != 200:
            raise _StatusError(f"{where}{path} answers with HTTP status {answer.status}")
        data = answer.read(_MOST)
        if answer.length and len(data) < _MOST:  # the connection ended before
            raise HTTPException("it ends early")
        return data


def _cut(sock: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):  # of one that has just ended
        sock.shutdown(socket.SHUT_RDWR)
