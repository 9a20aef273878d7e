"""What one capture wants of the connections of a process, and what it has of them. No I/O."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from ipaddress import ip_address

from bridge.core import CaptureRequest, parse_client
from icapd.context import client_ip
from icapd.names import as_text
from icapd.peer import address_of
from icapd.protocol import HttpHead, Request

_CLIENT_IP = re.compile(rb"^x-client-ip:[ \t]*([0-9a-f.:]{2,45})[ \t]*\r?$", re.I | re.M)
_MOST_PENDING = 16 << 20
_MOST_HELD = 32 << 20


class Watch:
    """One capture. `ended`: why it is over, one sentence; empty: it is not."""

    def __init__(
        self,
        request: CaptureRequest,
        *,
        keep_query: bool,
        is_over: Callable[[], None] = lambda: None,
    ) -> None:
        """`is_over` is called once, from whatever thread ends it."""
        self.request = request
        self.keep_query = keep_query
        self._is_over = is_over
        self.ended = ""
        self.is_fault = self.is_gone = False  # see CaptureState
        self.conversations = 0
        self.room = request.max_bytes  # bytes that may still be written, by what is known
        self._network = parse_client(request.client)
        self._url = request.url.lower()
        self._blocks: list[bytes] = []
        self._pending = 0
        self._held = 0
        self._last = 0

    def wants(self, request: Request, peer: str) -> bool:
        """Whether a conversation that begins so is to be captured."""
        client = client_ip(request.fields) or peer
        return self._fits(client, as_text(HttpHead(request.request_head).url) if self._url else "")

    def wants_broken(self, data: bytes, peer: str) -> bool:
        """The same for what is no request."""
        named = _CLIENT_IP.search(data)
        client = named[1].decode("ascii") if named else peer
        return self._fits(client, data.decode("utf-8", "replace") if self._url else "")

    def _fits(self, client: str, url: str) -> bool:
        if self._url not in url.lower():
            return False
        if self._network is None:
            return True
        try:
            return ip_address(address_of((client,))) in self._network
        except ValueError:
            return False

    def now(self) -> int:
        """Microseconds since the epoch; never less than before, even where a clock is set back."""
        self._last = max(self._last, time.time_ns() // 1000)
        return self._last

    def emit(self, blocks: Iterable[bytes]) -> None:
        """Keep packets until they are taken; the first one without room ends the capture."""
        for block in blocks:
            if self.ended:
                return
            self._pending += len(block)
            if self._pending > self.room:
                self.end("the size that was asked for is reached (--max-size)")
            elif self._pending > _MOST_PENDING:
                self.end("the disk of the spool is too slow for it", is_fault=True)
            else:
                self._blocks.append(block)

    def hold(self, more: int) -> None:
        """So many more bytes, or fewer, are kept by all taps until more of them come."""
        self._held += more
        if self._held > _MOST_HELD:
            self.end("more heads came in part at once than memory is given for", is_fault=True)

    def take(self) -> bytes:
        """What is to be written now."""
        blocks, self._blocks = self._blocks, []
        self.room -= self._pending
        self._pending = 0
        return b"".join(blocks)

    def end(self, sentence: str, *, is_fault: bool = False, is_gone: bool = False) -> None:
        """Nothing more is captured; the first reason counts."""
        if not self.ended:
            self.ended, self.is_fault, self.is_gone = sentence, is_fault, is_gone
            self._is_over()
