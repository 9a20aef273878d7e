"""Valid conversations, as bytes: what broken ones are made from."""

from __future__ import annotations

from random import Random

GET = b"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


def respmod(body: bytes, *fields: bytes, preview: int | None = None) -> bytes:
    """A RESPMOD with `body` in chunks, as it goes over the wire."""
    lines = [b"RESPMOD icap://h:1344/av/respmod ICAP/1.0", b"Host: h", *fields]
    if preview is not None:
        lines.append(b"Preview: %d" % preview)
    offsets = (len(GET), len(GET) + len(OK))
    lines.append(b"Encapsulated: req-hdr=0, res-hdr=%d, res-body=%d" % offsets)
    return b"\r\n".join(lines) + b"\r\n\r\n" + GET + OK + body


# A preview, what follows its 100, and an OPTIONS behind it.
CONVERSATION = (
    respmod(b"3\r\nabc\r\n0\r\n\r\n", b"Allow: 204", preview=3),
    b"2\r\nde\r\n0\r\n\r\n",
    b"OPTIONS icap://h/av/respmod ICAP/1.0\r\nHost: h\r\n\r\n",
)

_REQMOD = (
    b"REQMOD icap://h/r ICAP/1.0\r\nAllow: 204\r\nEncapsulated: req-hdr=0, %b=%d\r\n\r\n" + GET
)

# Each leaves its connection in order for the next, but for the one that closes it.
REQUESTS = (
    b"".join(CONVERSATION[:2]),
    _REQMOD % (b"null-body", len(GET)),
    _REQMOD % (b"req-body", len(GET)) + b"5\r\nabcde\r\n0\r\n\r\n",
    respmod(b"2\r\nab\r\n0; ieof\r\n\r\n", b"Allow: 204, 206", preview=1024),
    respmod(b"2;a=b\r\nab\r\n0\r\nX: y\r\n\r\n", b"Allow: 204", b"Allow: trailers"),
    b"\r\nOPTIONS icap://h/ ICAP/1.0\r\nEncapsulated: opt-body=0\r\nPreview: 4\r\n\r\n0\r\n\r\n",
    respmod(b"\r\n2\r\nab\r\n0; ieof\r\n\r\n", b"Connection: close"),
)


def seeds() -> list[bytes]:
    """Each request alone, and each with the others behind it."""
    turns = range(len(REQUESTS))
    return [*REQUESTS, *(b"".join(REQUESTS[n:] + REQUESTS[:n]) for n in turns)]


def mutated(chance: Random, message: bytes) -> bytes:
    """One to three faults of the kinds that broken peers make."""
    data = bytearray(message)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(data))
        kind = chance.randrange(4)
        if kind == 0:
            data[place] = chance.randrange(256)
        elif kind == 1:
            del data[place : place + chance.randint(1, 20)]
        elif kind == 2:
            data[place:place] = chance.choice(
                [b"\r\n", b"0\r\n\r\n", b"ffff\r\n", b"; ieof", b"\0"]
            )
        else:
            data[place:place] = data[place : place + chance.randint(1, 50)]
        if not data:
            break
    return bytes(data)
