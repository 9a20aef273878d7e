"""What is out at one folder: an input that cannot be used, a target that takes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.core import Decision, Events, OutageKind

_TARGETS = "/"  # begins the name of a trouble that a target has: its path


class FolderOutages:
    """Tells the core's events how a folder is."""

    def __init__(self, events: Events, folder: str) -> None:
        """`folder`: its name."""
        self._events = events
        self._folder = folder
        self._tried = False

    def input_is(self, trouble: str) -> None:
        """How the input is, with a sentence if it cannot be read."""
        self._set(OutageKind.SHARE_GONE, trouble, part="input")

    def ended(self, decision: Decision) -> None:
        """A file has its record; a target has taken it, if it was to."""
        self._tried |= decision in (Decision.PASS, Decision.BLOCK)

    def files_have(self, troubles: Mapping[str, str], *, idle: bool) -> None:
        """What files met, by path of a target, or by what of the input fails.

        `idle`: no file waits. What an earlier process left open is over then, or when a file has
        been delivered: until then nobody knows.
        """
        targets = [said for name, said in troubles.items() if name.startswith(_TARGETS)]
        others = [said for name, said in troubles.items() if not name.startswith(_TARGETS)]
        self._set(OutageKind.SHARE_GONE, "; ".join(others), part="files")
        self._tried |= idle or bool(targets)
        if self._tried:
            self._set(OutageKind.TARGET_FAILING, "; ".join(targets))

    def _set(self, kind: OutageKind, trouble: str, part: str = "") -> None:
        self._events.set(kind, self._folder, bool(trouble), trouble, part=part)
