"""Answers /metrics in the supervisor's own loop: a thread there would make forking unsafe."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import time
from collections.abc import Callable
from functools import partial

from bridge.core import Address, StartError

_MAX_HEAD = 16 << 10
_MAX_CONVERSATIONS = 50
_SECONDS = 10.0
_END = b"\r\n\r\n"
_ACCEPT = re.compile(rb"\r\naccept:[ \t]*([^\r]*)", re.IGNORECASE)

Render = Callable[[str], tuple[bytes, str]]


class _Conversation:
    """One request and its answer; then the connection ends."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.until = time.monotonic() + _SECONDS
        self.head = b""
        self.answer = memoryview(b"")


class StatusPort:
    """Listens at `address`; `render(accept)` gives the figures and their content type."""

    def __init__(self, address: Address, selector: selectors.BaseSelector, render: Render) -> None:
        """StartError where the address cannot be had. What it registers are calls for events."""
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        try:
            self._listener = socket.create_server(address, family=family)
        except OSError as error:
            reason = "is taken by another program" if error.errno == 98 else error.strerror
            raise StartError(f"cannot listen on {address} (status): it {reason}.") from None
        self._listener.setblocking(False)
        self._selector = selector
        self._render = render
        self._open: set[_Conversation] = set()
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        if len(self._open) >= _MAX_CONVERSATIONS:
            sock.close()
            return
        sock.setblocking(False)
        conversation = _Conversation(sock)
        self._open.add(conversation)
        call = partial(self._go_on, conversation, self._read)
        self._selector.register(sock, selectors.EVENT_READ, call)

    def _go_on(self, conversation: _Conversation, step: Callable[[_Conversation], None]) -> None:
        try:
            step(conversation)
        except BlockingIOError:
            return
        except OSError:
            self._end(conversation)

    def _read(self, conversation: _Conversation) -> None:
        data = conversation.socket.recv(_MAX_HEAD)
        conversation.head += data
        if not data or len(conversation.head) > _MAX_HEAD:
            self._end(conversation)
        elif _END in conversation.head:
            conversation.answer = memoryview(self._answer(conversation.head))
            call = partial(self._go_on, conversation, self._write)
            self._selector.modify(conversation.socket, selectors.EVENT_WRITE, call)

    def _answer(self, head: bytes) -> bytes:
        method, path, *_ = [*head.split(maxsplit=2), b"", b""]
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", b"", "text/plain")
        if path.partition(b"?")[0] not in (b"/", b"/metrics"):
            return _response("404 Not Found", b"only /metrics is here\n", "text/plain")
        accept = _ACCEPT.search(head)
        body, content_type = self._render(accept[1].decode("latin-1") if accept else "")
        answer = _response("200 OK", body, content_type)
        return answer if method == b"GET" else answer[: answer.index(_END) + len(_END)]

    def _write(self, conversation: _Conversation) -> None:
        sent = conversation.socket.send(conversation.answer)
        conversation.answer = conversation.answer[sent:]
        if not conversation.answer:
            with contextlib.suppress(OSError):
                conversation.socket.shutdown(socket.SHUT_WR)
            self._end(conversation)

    def _end(self, conversation: _Conversation) -> None:
        self._selector.unregister(conversation.socket)
        conversation.socket.close()
        self._open.discard(conversation)

    def look(self, now: float) -> None:
        """End conversations that take too long; `now`: of `time.monotonic`."""
        for conversation in [each for each in self._open if each.until < now]:
            self._end(conversation)

    def close(self) -> None:
        """Close everything."""
        self._listener.close()
        for conversation in self._open:
            conversation.socket.close()


def _response(status: str, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
