"""What a worker tells its supervisor, over a socket whose end means that the other is gone.

One JSON object a line: `{"listens": true}`, `{"fails": sentence}`, and each second
`{"lives": true}` or `{"report": {"figures": [families], "facts": {…}}}`: who says neither hangs.
The supervisor says `{"reload": true}` when new settings are handed, and hears
`{"reloaded": {"number": of those settings, "why_not": ""}}`, or why not, however late.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self

from bridge.core import Core, Settings, StartError
from icapd.workers.handed import Given, Handed

_log = logging.getLogger(__name__)

_TELL_SECONDS = 1.0
_LAST_WORD_SECONDS = 1.0
_RECEIVE = 1 << 18

Message = dict[str, Any]

_LIVES: Message = {"lives": True}


class Link:
    """The worker's end: `async with Link(…) as link`. `stop` is set when it is alone."""

    def __init__(self, sock: socket.socket, stop: asyncio.Event, handed: Handed) -> None:
        self._sock = sock
        self._stop = stop
        self._handed = handed
        self._tasks: list[asyncio.Task[None]] = []
        self._reload_is_due = asyncio.Event()
        self._writer: asyncio.StreamWriter
        self._core: Core | None = None

    async def __aenter__(self) -> Self:
        reader, self._writer = await asyncio.open_connection(sock=self._sock)
        self._writer.transport.set_write_buffer_limits(high=0)  # `drain` waits for all of it
        self._tasks.append(asyncio.create_task(self._watch(reader), name="supervisor"))
        self._tasks.append(asyncio.create_task(self._tell(), name="figures"))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.close()

    async def _watch(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while await reader.readline():  # there is one thing only that it says
                self._reload_is_due.set()
        if not self._stop.is_set():
            _log.error("the supervising process is gone: this one stops")
            self._stop.set()

    def reload_by(self, apply: Callable[[Settings], Awaitable[object]]) -> None:
        """Bring settings of the whole service that are handed to `apply`, which may refuse them."""
        self._tasks.append(asyncio.create_task(self._reload_when_due(apply), name="reload"))

    async def _reload_when_due(self, apply: Callable[[Settings], Awaitable[object]]) -> None:
        while True:
            await self._reload_is_due.wait()
            self._reload_is_due.clear()
            given = self._handed.get()
            if given is None:  # the next ones are being written: it is said when they are
                continue
            why_not = await _why_not(apply, given)
            if self._stop.is_set():  # our end is the answer
                return
            await self._say({"reloaded": {"number": given.number, "why_not": why_not}})

    async def listens(self) -> None:
        """It serves."""
        await self._say({"listens": True})

    async def fails(self, sentence: str) -> None:
        """It cannot start, or go on."""
        await self._say({"fails": sentence})

    def tell_figures_of(self, core: Core) -> None:
        """Tell its figures every second from now on."""
        self._core = core

    async def _tell(self) -> None:
        while True:
            # a supervisor that does not read must stop nobody
            if not self._writer.transport.get_write_buffer_size():
                self._write(_LIVES if self._core is None else _figures(self._core))
            await asyncio.sleep(_TELL_SECONDS)

    async def last_figures(self, core: Core) -> None:
        """Tell them once more, at the end."""
        await self._say(_figures(core))

    async def _say(self, message: Message) -> None:
        self._write(message)
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.drain(), _LAST_WORD_SECONDS)

    def _write(self, message: Message) -> None:
        if not self._writer.transport.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")


async def _why_not(apply: Callable[[Settings], Awaitable[object]], given: Given) -> str:
    """Apply them; why that cannot be, empty where it is done."""
    try:
        await apply(given.settings())
    except StartError as error:
        return str(error)
    except Exception:
        _log.exception("a fault of katabridge itself")
        return "it failed at it"
    return ""


def _figures(core: Core) -> Message:
    return {"report": {"figures": core.reporter.figures(), "facts": core.reporter.facts()}}


class Listener:
    """The supervisor's end of a worker's link."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.ended = False
        self._data = bytearray()

    def tell_reload(self) -> bool:
        """Say that new settings are handed; False where it is not taken."""
        word = b'{"reload": true}\n'
        try:
            return self.socket.send(word) == len(word)
        except OSError:
            return False

    def messages(self) -> Iterator[Message]:
        """What has come by now. Never waits."""
        while self._receive():
            pass
        *lines, rest = self._data.split(b"\n")
        self._data = rest
        for line in lines:
            yield json.loads(line)

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(_RECEIVE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self._data += data
        self.ended = not data
        return bool(data)
