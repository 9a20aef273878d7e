"""Which Central Nodes can be asked, and since when: each change is said once, with its duration."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import StrEnum

from bridge.core.breaker import Breaker
from bridge.core.kata.wire import Answer, CallResult

_log = logging.getLogger("bridge.core.kata")


DOWN_SECONDS = 3.0
IDLE_SECONDS = 60.0  # KATA's own advice for the state call
AGAIN_SECONDS = 2.0  # after one call that failed: it may have been a passing fault


class KataState(StrEnum):
    """What stands between us and a verdict."""

    UNKNOWN = "unknown"
    OK = "ok"
    NOT_ACCEPTED = "not accepted"
    UNREACHABLE = "unreachable"


_FAILURES = (Answer.NOT_ACCEPTED, Answer.UNREACHABLE, Answer.FAULT)
_BEST_FIRST = (
    KataState.OK,
    KataState.UNKNOWN,
    KataState.NOT_ACCEPTED,
    KataState.UNREACHABLE,
)


class KataHealth:
    """Keeps the state of every Central Node as the calls show it."""

    def __init__(
        self,
        sensor_id: str,
        central_nodes: list[str],
        clock: Callable[[], float] = time.monotonic,
        *,
        tries_files: bool = True,
    ) -> None:
        """`clock`: seconds that do not jump. `tries_files`: whether a node where files failed is
        given one of ours, or its answer to a state call is enough."""
        self._clock = clock
        self._tries_files = tries_files
        now = clock()
        self._nodes = {node: _NodeHealth(node, sensor_id, now) for node in central_nodes}

    @property
    def state(self) -> KataState:
        """The best of all nodes: one that takes files is enough."""
        states = {node.state for node in self._nodes.values()}
        return next(state for state in _BEST_FIRST if state in states)

    @property
    def reason(self) -> str:
        """Why no node takes files, in a few words."""
        return "; ".join(f"{name}: {node.reason}" for name, node in self._nodes.items())

    def nodes(self) -> dict[str, tuple[KataState, str]]:
        """The state of every node, and the reason of its last change. From any thread."""
        return {name: (node.state, node.reason) for name, node in self._nodes.items()}

    def report(self) -> list[dict[str, object]]:
        """Each node's `url`, `state`, `reason`, and since when it is so (epoch; None: never)."""
        return [
            {"url": name, "state": node.state.value, "reason": node.reason, "since": node.since}
            for name, node in self._nodes.items()
        ]

    def knows(self, central_node: str) -> bool:
        """Whether it is one of ours."""
        return central_node in self._nodes

    def usable(self) -> list[str]:
        """The nodes that files go to, in their order: the first is used again once it works."""
        return [name for name, node in self._nodes.items() if not node.breaker.is_open]

    @property
    def is_down(self) -> bool:
        """Whether no node has been usable for longer than a passing fault lasts."""
        since = [node.breaker.opened_at for node in self._nodes.values()]
        opened = [at for at in since if at is not None]
        return len(opened) == len(since) and self._clock() - max(opened) > DOWN_SECONDS

    def to_knock(self) -> list[str]:
        """The nodes that are to be asked whether they work: those that failed, whether they do
        again, and those that nobody has asked for long, so that no user is the first to find out.
        """
        now = self._clock()
        return [name for name, node in self._nodes.items() if node.knock_due(now)]

    def hurry(self) -> None:
        """Have every node asked now: a new certificate may change its answer."""
        for node in self._nodes.values():
            node.hurry()

    def busy_for(self, central_node: str) -> float:
        """Seconds for which a node asked to be left in peace."""
        return self._nodes[central_node].breaker.busy_for(self._clock())

    def note(self, central_node: str, result: CallResult) -> bool:
        """Take the answer to a state call into account: whether it shows enough.

        False: the node answers, and is to show by a file of ours that it takes any.
        """
        node, now = self._nodes[central_node], self._clock()
        node.note(result, now)
        if result.answer not in (*_FAILURES, Answer.OK) and node.breaker.is_open:
            node.breaker.open(now)  # it answers, and is to get nothing just now
        return not (node.breaker.wants_file and result.answer is Answer.OK)

    def note_file(
        self, central_node: str, result: CallResult, content: str, *, ours: bool = False
    ) -> None:
        """The same of a file; 413 and 429 are answers of a KATA that works.

        `content`: what tells its bytes from others. `ours`: nobody waits for it.
        """
        node, now = self._nodes[central_node], self._clock()
        node.note(result, now, content if self._tries_files else None, ours=ours)
        if result.answer is Answer.BUSY and result.retry_after:
            node.breaker.busy(now, result.retry_after)


class _NodeHealth:
    def __init__(self, node: str, sensor_id: str, now: float) -> None:
        self._node = node
        self._asked_at = now
        self._answers = True  # when it was last asked
        self._sensor_id = sensor_id
        self.state = KataState.UNKNOWN
        self.reason = "not asked yet"
        self.breaker = Breaker()
        self._since: float | None = None
        self.since: float | None = None  # the same as epoch seconds

    def knock_due(self, now: float) -> bool:
        if self.breaker.is_open:
            return self.breaker.knock_due(now)
        return now - self._asked_at >= (IDLE_SECONDS if self._answers else AGAIN_SECONDS)

    def hurry(self) -> None:
        self._asked_at = float("-inf")
        self.breaker.hurry()

    def note(
        self, result: CallResult, now: float, content: str | None = None, *, ours: bool = False
    ) -> None:
        answer, detail = result.answer, result.detail
        unreachable = answer is Answer.UNREACHABLE
        self._asked_at, self._answers = now, not unreachable
        if answer is Answer.NOT_ACCEPTED:
            self.breaker.refused(now, of_file=content is not None)
            self._change(KataState.NOT_ACCEPTED, detail, now)
        elif answer in _FAILURES:
            self.breaker.failed(now, unreachable=unreachable, content=content, ours=ours)
            if self.breaker.is_open or self.state is KataState.UNKNOWN:
                self._change(KataState.UNREACHABLE, detail, now)
        else:
            if content is None:
                self.breaker.answered()
            else:
                self.breaker.took_file(ours=ours)
            if not self.breaker.is_open:
                self._change(KataState.OK, detail, now)

    def _change(self, state: KataState, detail: str, now: float) -> None:
        self.reason = detail
        if state is self.state:
            return
        before, self.state = self.state, state
        lasted = now - (self._since if self._since is not None else now)
        self._since = now
        self.since = time.time()
        if state is KataState.OK:
            again = "" if before is KataState.UNKNOWN else f" again after {lasted:.0f} s"
            _log.warning("KATA takes files%s: %s", again, self._node)
        elif state is KataState.NOT_ACCEPTED:
            self._say_not_accepted(before)
        else:
            _log.error("KATA takes no files: %s: %s", self._node, detail)

    def _say_not_accepted(self, before: KataState) -> None:
        what = "KATA has not accepted this system (or no longer does)"
        if before is KataState.OK:
            what = "KATA access is lost: this system was rejected, or its certificate changed"
        _log.error(
            "%s: waiting for the KATA administrator to accept sensorId %s at %s under External "
            "systems > Server list",
            what,
            self._sensor_id,
            self._node,
        )
