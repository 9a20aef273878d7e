"""Who may bring a content to KATA next: a bounded queue, waiters first, fair between clients."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque


class QueueFullError(Exception):
    """As many contents wait as are allowed."""


class Place:
    """A place at KATA, or the wait for one. `leave` gives it back, and may be called again."""

    def __init__(self, gate: Gate, client: str, *, waited_for: bool) -> None:
        self.client = client
        self.waited_for = waited_for
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.let_in = False
        self._gate = gate
        self._left = False

    def wanted(self, *, waited_for: bool) -> None:
        """Somebody waits for it now, or nobody does any longer."""
        self._gate.move(self, waited_for=waited_for)

    def leave(self) -> None:
        """Let the next one in."""
        if not self._left:
            self._left = True
            self._gate.left(self)


class _Line:
    """Waiting places, each client in its turn."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, deque[Place]] = OrderedDict()
        self.length = 0

    def add(self, place: Place) -> None:
        self._clients.setdefault(place.client, deque()).append(place)
        self.length += 1

    def remove(self, place: Place) -> bool:
        places = self._clients.get(place.client)
        if places is None or place not in places:
            return False
        places.remove(place)
        self.length -= 1
        if not places:
            del self._clients[place.client]
        return True

    def last(self) -> Place | None:
        if not self._clients:
            return None
        return next(reversed(self._clients.values()))[-1]

    def next(self) -> Place | None:
        if not self._clients:
            return None
        client, places = self._clients.popitem(last=False)
        place = places.popleft()
        self.length -= 1
        if places:
            self._clients[client] = places  # behind all other clients
        return place


class Gate:
    """Lets `slots` contents be at KATA at a time, and `queue` more wait."""

    def __init__(self, slots: int, queue: int) -> None:
        self._slots = slots
        self._queue = queue
        self._inside = 0
        self._waited_for = _Line()
        self._background = _Line()

    def use(self, slots: int, queue: int) -> None:
        """Other numbers from now on: who is inside stays, who waits is not sent away."""
        self._slots, self._queue = slots, queue
        self._let_in_next()

    @property
    def inside(self) -> int:
        """Contents at KATA."""
        return self._inside

    @property
    def waiting(self) -> int:
        """Contents in the queue."""
        return self._waited_for.length + self._background.length

    async def enter(self, client: str, *, waited_for: bool) -> Place:
        """A place, when it is this content's turn; QueueFullError where too many wait.

        Who is waited for takes the place of one in the background, who gets the error.
        """
        place = self.ask(client, waited_for=waited_for)
        try:
            await place.ready
        except asyncio.CancelledError:
            place.leave()
            raise
        return place

    def force(self, client: str) -> Place:
        """A place for a content that is at KATA already, even where there is none."""
        place = Place(self, client, waited_for=True)
        self._let_in(place)
        return place

    def ask(self, client: str, *, waited_for: bool) -> Place:
        """A place whose `ready` is set when its turn has come; QueueFullError as in `enter`."""
        place = Place(self, client, waited_for=waited_for)
        if self._inside < self._slots:
            self._let_in(place)
        else:
            if self.waiting >= self._queue:
                self._make_room(place)
            self._line(place).add(place)
        return place

    def _make_room(self, place: Place) -> None:
        last = self._background.last() if place.waited_for else None
        if last is None:
            raise QueueFullError
        self._background.remove(last)
        if not last.ready.done():  # else its task is being cancelled
            last.ready.set_exception(QueueFullError())

    def move(self, place: Place, *, waited_for: bool) -> None:
        """Queue a place among those who are waited for, or in the background."""
        if place.waited_for is not waited_for:
            queued = self._line(place).remove(place)
            place.waited_for = waited_for
            if queued:
                self._line(place).add(place)

    def left(self, place: Place) -> None:
        """A place is given back, or is no longer wanted."""
        if self._line(place).remove(place):
            place.ready.cancel()
            return
        if not place.let_in:
            return
        self._inside -= 1
        self._let_in_next()

    def _let_in_next(self) -> None:
        while self._inside < self._slots:
            following = self._waited_for.next() or self._background.next()
            if following is None:
                return
            if not following.ready.done():  # else its task is being cancelled
                self._let_in(following)

    def _line(self, place: Place) -> _Line:
        return self._waited_for if place.waited_for else self._background

    def _let_in(self, place: Place) -> None:
        self._inside += 1
        place.let_in = True
        place.ready.set_result(None)
