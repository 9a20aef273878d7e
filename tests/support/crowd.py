"""Thousands of slow clients at once: idle ones, ones that drip, ones that stop after a head."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from dataclasses import dataclass, field

_AT_ONCE = 100  # connections being opened
_GET = b"GET http://files.example/slow HTTP/1.1\r\nHost: files.example\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\n\r\n"
_HEAD = b"RESPMOD icap://h/av/respmod ICAP/1.0\r\nHost: h\r\n" + (
    b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d\r\n\r\n" % (len(_GET), len(_GET + _OK))
)
_REQUEST = _HEAD + _GET + _OK
_CHUNK = b"186a0\r\n"


def allow_descriptors() -> None:
    """Let this process, and those it starts, hold as many connections as the system allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(frozen=True, slots=True)
class Kind:
    """`count` clients that send `begin` at once, then `drip` (for ever its last byte), slowly."""

    name: str
    count: int
    begin: bytes = b""
    drip: bytes = b""


KINDS = (
    Kind("idle", 2000),
    Kind("drips in a head", 250, drip=_REQUEST),
    Kind("drips in a body", 250, _REQUEST + _CHUNK, b"x"),
    Kind("a head without its body", 200, _REQUEST),
)
SIZE = sum(kind.count for kind in KINDS)


@dataclass(slots=True)
class Crowd:
    """`open` all connections, then `behave` until the server has closed each.

    `said`: what was answered to the clients of each kind before their connection ended.
    """

    port: int
    pause: float = 1.0
    said: dict[str, list[bytes]] = field(default_factory=dict)
    _streams: list[tuple[Kind, asyncio.StreamReader, asyncio.StreamWriter]] = field(
        default_factory=list
    )

    async def open(self) -> None:
        """Connect everybody."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def connect(kind: Kind) -> None:
            async with places:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            self._streams.append((kind, reader, writer))

        await asyncio.gather(*(connect(kind) for kind in KINDS for _ in range(kind.count)))

    async def behave(self) -> None:
        """Everybody does what is in its kind."""
        await asyncio.gather(*(self._be(*stream) for stream in self._streams))

    async def _be(
        self, kind: Kind, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(kind.begin)
        dripping = asyncio.create_task(self._drip(kind.drip, writer))
        data = b""
        try:
            with contextlib.suppress(ConnectionError):
                while piece := await reader.read(65536):
                    data += piece
        finally:
            dripping.cancel()
            writer.close()
        self.said.setdefault(kind.name, []).append(data)

    async def _drip(self, drip: bytes, writer: asyncio.StreamWriter) -> None:
        at = 0
        while drip and not writer.is_closing():
            writer.write(drip[at : at + 1])
            at = min(at + 1, len(drip) - 1)
            await asyncio.sleep(self.pause)


async def stay(port: int) -> None:
    """A crowd that stays until this is cancelled."""
    crowd = Crowd(port)
    await crowd.open()
    await crowd.behave()
