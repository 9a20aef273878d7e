"""The processes of a supervisor: started, heard, told to stop, killed."""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from icapd.workers.forking import Signals, fork
from icapd.workers.hearing import Hearing
from icapd.workers.link import Listener
from icapd.workers.supervision import End, Member

Run = Callable[[Member, socket.socket], int]
Tell = Callable[["Child", str, Any], None]


@dataclass(slots=True, eq=False)
class Child:
    """A process of a member, with what it said of its failure."""

    member: Member
    pid: int
    link: Listener
    sentence: str | None = None


class Children:
    """All processes. What a child says is told as (child, kind, what); see `link`."""

    def __init__(  # noqa: PLR0913 - what the parent has to do with them
        self,
        signals: Signals,
        selector: selectors.BaseSelector,
        *,
        run: Run,
        forget: Callable[[], None],
        tell: Tell,
        patience: float,
    ) -> None:
        """`run` is what a child does, after `forget` has closed what is the parent's; `patience`:
        seconds in which it has to say something."""
        self._signals = signals
        self._selector = selector
        self._run = run
        self._forget = forget
        self._tell = tell
        self._children: dict[int, Child] = {}
        self._hearing = Hearing(patience)

    def __len__(self) -> int:
        return len(self._children)

    def all(self) -> list[Child]:
        """Those that run."""
        return list(self._children.values())

    def start(self, member: Member) -> None:
        """Start a process for it; OSError where that cannot be."""
        ours, theirs = socket.socketpair()
        try:
            pid = self.fork(lambda: self._run(member, theirs), ours.close)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        child = Child(member, pid, Listener(ours))
        self._children[pid] = child
        self._hearing.heard(pid)
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._listen(child))

    def fork(self, run: Callable[[], int], close: Callable[[], None]) -> int:
        """The process id of one that does `run`, and is none of these; `close`: what is not its."""

        def forget() -> None:
            close()
            for child in self._children.values():
                child.link.socket.close()
            self._forget()

        return fork(self._signals, forget, run)

    def _listen(self, child: Child) -> None:
        for message in child.link.messages():
            self._hearing.heard(child.pid)
            for kind, what in message.items():
                self._tell(child, kind, what)
        if child.link.ended:
            self._selector.unregister(child.link.socket)

    def reap(self) -> Iterator[tuple[Child, End]]:
        """Those that have ended; what they said last has been told."""
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            child = self._children.pop(pid)
            if not child.link.ended:
                self._listen(child)
            if not child.link.ended:  # a child of its own has the other end
                self._selector.unregister(child.link.socket)
            child.link.socket.close()
            self._hearing.forget(pid)
            yield child, End(os.waitstatus_to_exitcode(status), child.sentence)

    def signal(self, number: signal.Signals) -> list[Member]:
        """Send all of them a signal; to whom."""
        for pid in self._children:
            os.kill(pid, number)
        return [child.member for child in self._children.values()]

    def kill_the_silent(self, now: float) -> list[Member]:
        """Kill those that hang; whose they are. `now`: of the monotonic clock."""
        silent = [self._children[pid] for pid in self._hearing.look(now)]
        for child in silent:
            os.kill(child.pid, signal.SIGKILL)
        return [child.member for child in silent]
