"""What is asked of the servers: RESPMODs as Squid writes them, no two of them alike."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass

CONTENTS = 16  # different bodies of each work
_CHUNK = 16 << 10  # bytes of a chunk, about what Squid reads from an origin at once
_SEED = 7

# Numbers have a fixed width: all requests of a work have one length and one set of offsets.
_GET = (
    b"GET http://files.example/download/%010d/archive.bin?from=portal HTTP/1.1\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
    b"Accept-Language: en-US,en;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\n"
    b"Host: files.example\r\n\r\n"
)
_OK = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: nginx\r\n"
    b"Date: Mon, 05 Jan 2026 10:00:00 GMT\r\n"
    b"Content-Type: application/octet-stream\r\n"
    b"Content-Length: %d\r\n"
    b"Last-Modified: Sun, 04 Jan 2026 10:00:00 GMT\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request, as the load sends it.

    `size`: bytes of the body. `preview`: of its preview, None for no preview. `allow_204`: whether
    204 may be answered to the whole body. `statuses`: those that are legal for the last answer.
    `service`: the path that is asked. `fresh`: a new connection for each request. `tls`: over TLS.
    """

    name: str
    size: int
    preview: int | None
    allow_204: bool = True
    service: str = "bench"
    fresh: bool = False
    tls: bool = False

    @property
    def statuses(self) -> frozenset[int]:
        """Of the answer that ends it."""
        return frozenset((200, 204)) if self.allow_204 else frozenset((200,))

    @property
    def first_statuses(self) -> frozenset[int]:
        """Of the answer to what is sent first: 204 to a preview is always legal (RFC 3507 4.5)."""
        if self.preview is None:
            return self.statuses
        return frozenset((100, 200, 204) if self.continues else (200, 204))

    @property
    def continues(self) -> bool:
        """Whether the body is longer than its preview."""
        return self.preview is not None and self.size > self.preview


class Requests:
    """The bytes of a work's requests.

    `head(number)`, which ends with the heads of the message, then `first[number % n]` of n bodies,
    and, once the server has answered 100, `rest[number % n]`.
    """

    def __init__(self, work: Work, contents: Sequence[bytes] = ()) -> None:
        """`contents`: other bodies than the usual ones, `work.size` bytes each."""
        self.bodies = contents or bodies(work.size)
        # the client's address and the URL's number are filled in for each request
        self._template = _icap_head(work) + _GET + _OK % work.size
        cut = work.size if work.preview is None else min(work.preview, work.size)
        end = b"0; ieof\r\n\r\n" if work.preview is not None and not work.continues else _LAST
        self.first = [chunked(body[:cut]) + end for body in self.bodies]
        self.rest = [chunked(body[cut:]) + _LAST if work.continues else b"" for body in self.bodies]

    def head(self, number: int) -> bytes:
        """The heads of a request: client and URL change with `number`."""
        return self._template % (100 + number // 10 % 25, 100 + number % 10, number)


_LAST = b"0\r\n\r\n"


def _icap_head(work: Work) -> bytes:
    get = len(_GET % 0)
    body_at = get + len(_OK % work.size)
    lines = [
        b"RESPMOD icap://127.0.0.1:1344/%b ICAP/1.0" % work.service.encode(),
        b"Host: 127.0.0.1:1344",
        b"Date: Mon, 05 Jan 2026 10:00:00 GMT",
        b"X-Client-IP: 10.20.%d.%d",
        b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d" % (get, body_at),
    ]
    if work.preview is not None:
        lines.append(b"Preview: %d" % work.preview)
    if work.allow_204:
        lines.append(b"Allow: 204")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunked(data: bytes) -> bytes:
    """The chunks of a body, without the last one; nothing for no bytes."""
    pieces = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


@functools.cache
def bodies(size: int) -> list[bytes]:
    """The contents of this size: noise, as compressed files are, the same in every run."""
    noise = random.Random(_SEED)  # its bytes are no secret
    return [noise.randbytes(size) for _ in range(CONTENTS)]


WORKS = (
    Work("500 B, ieof", 500, 4096),
    Work("10 kB, preview 1024, 100", 10_000, 1024),
    Work("10 kB, preview 0, 100", 10_000, 0),
    Work("10 kB, no preview", 10_000, None),
    Work("1 MB, no preview", 1_000_000, None),
    Work("1 MB, whole message back", 1_000_000, None, allow_204=False),
    Work("1 MB, preview 4096, whole back", 1_000_000, 4096, allow_204=False),
    Work("500 B, new connection", 500, 4096, fresh=True),
    Work("500 B, TLS", 500, 4096, tls=True),
)
QUICK = (WORKS[0], WORKS[1], WORKS[3], WORKS[4], WORKS[5])  # those of the goals
