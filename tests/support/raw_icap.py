"""ICAP by hand over a socket: messages a library would not send, answers read without our code."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One answer: status, fields by lower name, the HTTP heads as one, the body (None: none)."""

    status: int
    fields: dict[str, str]
    heads: bytes
    body: bytes | None

    @property
    def http_status(self) -> int:
        """The status of the HTTP response inside, 0 where there is none."""
        words = self.heads.split(b" ", 2)
        return int(words[1]) if words[0].startswith(b"HTTP/") else 0


def message(
    method: str, parts: Sequence[tuple[str, bytes]], body: str, fields: Sequence[str] = ()
) -> bytes:
    """A request's head with its HTTP heads: `parts` by their names, `body` as in Encapsulated."""
    places, inside = [], b""
    for name, head in parts:
        places.append(f"{name}={len(inside)}")
        inside += head
    places.append(f"{body}={len(inside)}")
    start = f"{method} icap://h/av/{method.lower()} ICAP/1.0"
    lines = [start, "Host: h", *fields, f"Encapsulated: {', '.join(places)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + inside


def chunk(data: bytes) -> bytes:
    """One chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class RawIcap:
    """A connection to an ICAP server; a wait of 20 s is TimeoutError, an end EOFError."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _SECONDS)
        self._data = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        """Send these bytes."""
        self.socket.sendall(b"".join(pieces))

    def answer(self) -> RawAnswer:
        """The next answer, 100 among them, read by the offsets that it gives itself."""
        start, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        fields = {name.lower(): value for name, value in pairs}
        status = int(start.split()[1])
        places = [part.split("=") for part in fields.get("encapsulated", "null-body=0").split(", ")]
        heads = self._take(int(places[-1][1]))
        has_body = places[-1][0] != "null-body"
        return RawAnswer(status, fields, heads, self._chunks() if has_body else None)

    def rest(self) -> bytes:
        """Everything until the server closes."""
        while self._receive():
            pass
        data, self._data = self._data, b""
        return data

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._take(size)
            assert self._until(b"\r\n") == b""
        assert self._until(b"\r\n") == b""
        return body

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._data:
            self._need()
        found, _, self._data = self._data.partition(mark)
        return found

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._need()
        found, self._data = self._data[:size], self._data[size:]
        return found

    def _need(self) -> None:
        if not self._receive():
            raise EOFError(f"the server closed after {self._data[:200]!r}")

    def _receive(self) -> bool:
        piece = self.socket.recv(1 << 20)
        self._data += piece
        return bool(piece)
