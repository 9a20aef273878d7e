"""A server that only answers: `python -m tests.bench.stub CERT KEY PORT…`, a port for each work.

It counts bytes and parses nothing, so what it reaches is what the load can do at most.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import cast

import uvloop

from tests.bench.work import CONTENTS, WORKS, Requests, Work, chunked

_BUFFER = 256 << 10
_NUMBER = 1_234_567_890
_DIGITS = 10
_CONTINUE = b"ICAP/1.0 100 Continue\r\n\r\n"
_EMPTY = b'ICAP/1.0 204 No Content\r\nISTag: "stub"\r\nEncapsulated: null-body=0\r\n\r\n'
_HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
_WHOLE = b'ICAP/1.0 200 OK\r\nISTag: "stub"\r\nEncapsulated: res-hdr=0, res-body=%d\r\n\r\n'


class Script:
    """What is answered to a work: after how many bytes, with what."""

    def __init__(self, work: Work) -> None:
        requests = Requests(work)
        self.first = len(requests.head(0)) + len(requests.first[0])
        self.rest = len(requests.rest[0])
        self.number_at = requests.head(_NUMBER).index(b"%d" % _NUMBER)
        http = _HTTP % work.size
        self.answers = [_EMPTY] * CONTENTS
        if not work.allow_204:
            self.answers = [
                _WHOLE % len(http) + http + chunked(body) + b"0\r\n\r\n" for body in requests.bodies
            ]


class Answering(asyncio.BufferedProtocol):
    """One connection."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._buffer = bytearray(_BUFFER)
        self._wanted = script.first
        self._begins = True
        self._content = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        """See asyncio.BufferedProtocol."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        script = self._script
        if self._begins:
            at = script.number_at
            self._content = int(self._buffer[at : at + _DIGITS]) % CONTENTS
            self._begins = False
        self._wanted -= nbytes
        if self._wanted > 0:
            return
        if self._in_first and script.rest:
            self._in_first, self._wanted = False, script.rest
            self.transport.write(_CONTINUE)
            return
        self._in_first = self._begins = True
        self._wanted = script.first
        self.transport.write(script.answers[self._content])

    _in_first = True


async def serve(certificate: str, key: str, ports: list[int]) -> None:
    """Listen on a port for each of WORKS until this is cancelled."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    for work, port in zip(WORKS, ports, strict=True):
        script = Script(work)
        secure = context if work.tls else None
        await loop.create_server(
            lambda script=script: Answering(script), "127.0.0.1", port, ssl=secure
        )
    await asyncio.Event().wait()


def main() -> None:
    """Serve until a signal."""
    certificate, key, *ports = sys.argv[1:]
    uvloop.run(serve(certificate, key, [int(port) for port in ports]))


if __name__ == "__main__":
    main()
