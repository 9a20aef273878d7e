"""Whether KATA can be asked, and since when: each change is said once, with its duration."""

from __future__ import annotations

import logging
import time
from enum import StrEnum

from bridge.core.kata.wire import Answer

_log = logging.getLogger("bridge.core.kata")


FAULTS_IN_A_ROW = 10  # a 5xx may speak of one file; so many speak of KATA


class KataState(StrEnum):
    """What stands between us and a verdict."""

    UNKNOWN = "unknown"
    OK = "ok"
    NOT_ACCEPTED = "not accepted"
    UNREACHABLE = "unreachable"


_BEST_FIRST = (
    KataState.OK,
    KataState.UNKNOWN,
    KataState.NOT_ACCEPTED,
    KataState.UNREACHABLE,
)


class KataHealth:
    """Keeps the state of every Central Node as the calls show it."""

    def __init__(self, sensor_id: str, central_nodes: list[str]) -> None:
        self._nodes = {node: _NodeHealth(node, sensor_id) for node in central_nodes}

    @property
    def state(self) -> KataState:
        """The best of all nodes: one that takes files is enough."""
        states = {node.state for node in self._nodes.values()}
        return next(state for state in _BEST_FIRST if state in states)

    def note(self, central_node: str, answer: Answer, detail: str) -> None:
        """Take an answer into account; 413 and 429 are answers of a KATA that works."""
        self._nodes[central_node].note(answer, detail)


class _NodeHealth:
    def __init__(self, node: str, sensor_id: str) -> None:
        self._node = node
        self._sensor_id = sensor_id
        self.state = KataState.UNKNOWN
        self._faults = 0
        self._since = time.monotonic()

    def note(self, answer: Answer, detail: str) -> None:
        self._faults = self._faults + 1 if answer is Answer.FAULT else 0
        if 0 < self._faults < FAULTS_IN_A_ROW:
            return
        if answer is Answer.NOT_ACCEPTED:
            self._change(KataState.NOT_ACCEPTED, detail)
        elif answer in (Answer.UNREACHABLE, Answer.FAULT):
            self._change(KataState.UNREACHABLE, detail)
        else:
            self._change(KataState.OK, detail)

    def _change(self, state: KataState, detail: str) -> None:
        if state is self.state:
            return
        before, self.state = self.state, state
        lasted = time.monotonic() - self._since
        self._since = time.monotonic()
        if state is KataState.OK:
            again = "" if before is KataState.UNKNOWN else f" again after {lasted:.0f} s"
            _log.warning("KATA takes files%s: %s", again, self._node)
        elif state is KataState.NOT_ACCEPTED:
            _log.error(
                "KATA has not accepted this system (or no longer does): waiting for the KATA "
                "administrator to accept sensorId %s at %s under External systems > Server list",
                self._sensor_id,
                self._node,
            )
        else:
            _log.error("KATA takes no files: %s: %s", self._node, detail)
