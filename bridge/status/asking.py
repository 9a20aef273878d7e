"""Asks the status page of a running daemon."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException

from bridge.core import Address

_MOST = 64 << 20


def ask(address: Address, path: str, *, timeout: float = 5.0) -> bytes:
    """What a daemon answers at `path`; OSError, with a sentence, where it does not. Blocks."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    where = str(Address(host, address.port))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{where}{path}", timeout=timeout) as answer:
            data: bytes = answer.read(_MOST)
            return data
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"{where}{path} answers with HTTP status {error.code}") from None
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise OSError(f"nothing answers at {where}: {reason}") from None
    except (OSError, HTTPException) as error:
        raise OSError(f"{where} does not answer as a status page does: {error}") from None
