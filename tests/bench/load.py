"""The load: a closed loop of requests on a few connections, every answer checked.

Written for speed, by one thread on epoll: it must not be what limits a server.
"""

from __future__ import annotations

import functools
import gc
import itertools
import select
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.bench.answers import CONTINUE, AnswerReader, WrongAnswerError
from tests.bench.work import Requests, Work

CONNECTIONS = 8
_AT_ONCE = 64 << 10  # bytes of a read
_COMPARED = 31  # of so many answers one has its body compared
_PATIENCE = 20.0  # seconds for an answer
_numbers = itertools.count()  # of all requests of this process: no URL is asked for twice


@dataclass(slots=True)
class Round:
    """What one round gave.

    `latencies` in seconds, one for each answer, as they came; `cpu`: seconds of processor time of
    the load itself; `statuses` of the last answers; `continued`: how many were asked for the rest;
    `served`: answers in all, those that came too late for `latencies` among them.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    continued: int = 0
    served: int = 0

    @property
    def answers(self) -> int:
        """How many came."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def run(
    port: int,
    work: Work,
    seconds: float,
    *,
    connections: int = CONNECTIONS,
    requests: Requests | None = None,
    limit: int | None = None,
) -> Round:
    """Load a server for so long; what was under way then is awaited, and not counted.

    `limit`: requests at most; with it all that were sent are awaited, and counted.
    WrongAnswerError for an answer that is not what the work allows, TimeoutError for none.
    """
    with select.epoll() as poll, _no_collection():
        load = _Load(port, work, requests or Requests(work), poll, limit)
        try:
            for _ in range(connections):
                load.open()
            return load.run(seconds)
        finally:
            load.close()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's collector out of the latencies; nothing here makes cycles."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Load:
    def __init__(
        self, port: int, work: Work, requests: Requests, poll: select.epoll, limit: int | None
    ) -> None:
        self._port = port
        self._work = work
        self._requests = requests
        self._poll = poll
        self._limited = limit is not None
        self._numbers = itertools.islice(_numbers, limit)
        self._exhausted = False
        self._by_descriptor: dict[int, _Connection] = {}
        self._round = Round()
        self._kind = _TlsConnection if work.tls else _Connection

    def open(self) -> _Connection:
        """One more connection."""
        connection = self._kind(self._port, self._work, self._requests, self._poll)
        self._by_descriptor[connection.descriptor] = connection
        return connection

    def close(self) -> None:
        """End all connections."""
        for connection in self._by_descriptor.values():
            connection.close()
        self._by_descriptor.clear()

    def run(self, seconds: float) -> Round:
        """Ask on all connections until the time is over, and take what is still due."""
        found = self._round
        begin, cpu = time.perf_counter(), time.process_time()
        for connection in self._by_descriptor.values():
            self._ask(connection)
        self._ask_until(begin + seconds)
        if self._limited:
            self._take_what_is_due()
        found.seconds, found.cpu = time.perf_counter() - begin, time.process_time() - cpu
        counted, statuses = found.answers, found.statuses.copy()
        self._take_what_is_due()
        found.served, found.statuses = found.answers, statuses
        del found.latencies[counted:]
        return found

    def _ask(self, connection: _Connection) -> None:
        begun = time.perf_counter()
        number = next(self._numbers, None)
        if number is None:
            self._exhausted = True
            return
        if connection.closed:  # connecting is part of its time
            connection = self.open()
        connection.begin(number, begun)

    def _ask_until(self, end: float) -> None:
        poll, clock, serve = self._poll.poll, time.perf_counter, self._serve
        while clock() < end and not self._exhausted:
            events = poll(_PATIENCE)
            if not events:
                raise TimeoutError(f"no answer within {_PATIENCE:.0f} s")
            for descriptor, event in events:
                serve(descriptor, event, True)

    def _take_what_is_due(self) -> None:
        while any(connection.waits for connection in self._by_descriptor.values()):
            events = self._poll.poll(_PATIENCE)
            if not events:
                raise TimeoutError(f"no last answer within {_PATIENCE:.0f} s")
            for descriptor, event in events:
                self._serve(descriptor, event, False)

    def _serve(self, descriptor: int, event: int, again: bool) -> None:
        connection = self._by_descriptor[descriptor]
        if event & select.EPOLLOUT:
            connection.send_more()
        if not event & ~select.EPOLLOUT:
            return
        status = connection.receive()
        if not status:
            return
        if status == CONTINUE:
            self._round.continued += 1
            return
        self._round.statuses[status] += 1
        self._round.latencies.append(time.perf_counter() - connection.begun)
        if self._work.fresh:
            del self._by_descriptor[descriptor]
            connection.close()
        if again:
            self._ask(connection)


class _Connection:
    """One connection, with at most one request under way."""

    def __init__(self, port: int, work: Work, requests: Requests, poll: select.epoll) -> None:
        self._work = work
        self._requests = requests
        self._poll = poll
        self._reader = AnswerReader()
        self._unsent: list[memoryview] = []
        self._content = 0
        self._first_statuses, self._statuses = work.first_statuses, work.statuses
        self.begun = 0.0
        self.waits = self.closed = False
        self._sock = self._connect(port)
        self._sock.setblocking(False)
        self.descriptor = self._sock.fileno()
        poll.register(self.descriptor, select.EPOLLIN)

    def _connect(self, port: int) -> socket.socket:
        sock = socket.socket()
        sock.settimeout(_PATIENCE)
        sock.connect(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def close(self) -> None:
        """End it."""
        self.closed = True
        self._sock.close()

    def begin(self, number: int, begun: float) -> None:
        """Send a request, whose time counts from `begun`."""
        content = self._content = number % len(self._requests.bodies)
        compared = None if number % _COMPARED else self._requests.bodies[content]
        self._reader.expect(self._first_statuses, self._work.size, compared)
        self.waits = True
        head, body = self._requests.head(number), self._requests.first[content]
        self.begun = begun
        if len(body) < _AT_ONCE:
            self._send(head + body)
        else:
            self._send(head)
            self._send(body)

    def receive(self) -> int:
        """The status of an answer that is whole now, else 0; what it asks for is sent."""
        data = self._sock.recv(_AT_ONCE)
        if not data:
            raise WrongAnswerError("the server closed the connection before its answer was whole")
        status = self._reader.feed(data)
        if status == CONTINUE:
            self._reader.expect(self._statuses, self._work.size, self._reader.body)
            self._send(self._requests.rest[self._content])
        elif status:
            self.waits = False
            if self._unsent:
                raise WrongAnswerError("it came before the request was whole")
        return status

    def _send(self, data: bytes) -> None:
        if self._unsent:
            self._unsent.append(memoryview(data))
            return
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._unsent.append(memoryview(data)[sent:])
            self._poll.modify(self.descriptor, select.EPOLLIN | select.EPOLLOUT)

    def send_more(self) -> None:
        """Send what the kernel did not take before."""
        with suppress(BlockingIOError):
            while self._unsent:
                piece = self._unsent[0]
                sent = self._sock.send(piece)
                if sent < len(piece):
                    self._unsent[0] = piece[sent:]
                else:
                    del self._unsent[0]
        if not self._unsent:
            self._poll.modify(self.descriptor, select.EPOLLIN)


class _TlsConnection(_Connection):
    """The same over TLS; the handshake is done when it is there."""

    _sock: ssl.SSLSocket

    def _connect(self, port: int) -> socket.socket:
        return _tls_context().wrap_socket(super()._connect(port))

    def receive(self) -> int:
        """See above. What is left of a record would not wake epoll."""
        try:
            while not (status := super().receive()) and self._sock.pending():
                pass
        except ssl.SSLWantReadError:  # no data: a session's ticket
            return 0
        return status


@functools.cache
def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whoever answers is measured
    return context
