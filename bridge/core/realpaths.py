"""Where a path really leads, links followed, also while a share does not answer.

A reload checks all folders, and one whose share hangs must not keep the rest from being reloaded.
"""

from __future__ import annotations

import os
from pathlib import Path

from bridge.core.answering import Question

PATIENCE_SECONDS = 1.0
_LITTLE_SECONDS = 0.1  # while another one is waited for: that is mostly the same share


class RealPaths:
    """Looks at links, and remembers where they led."""

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        """`patience`: seconds that an answer is waited for."""
        self._patience = patience
        self._known: dict[str, Path] = {}
        self._open: dict[str, Question[Path]] = {}

    def of(self, path: Path) -> Path:
        """Where it leads now; a loop of links stays as it is.

        Where there is no answer: where it led when last looked at, else the path itself. Blocks.
        """
        name = os.path.join(Path.cwd(), path)  # noqa: PTH118 - `..` behind a link is kept so
        try:
            self._known[name] = self._ask(name)
        except TimeoutError:
            return self._known.get(name, Path(os.path.normpath(name)))
        return self._known[name]

    def _ask(self, name: str) -> Path:
        self._open = {k: question for k, question in self._open.items() if question.is_open}
        patience = _LITTLE_SECONDS if self._open else self._patience
        question = self._open.get(name)
        if question is not None:  # it has been waited for before
            return question.answer(0)
        question = Question(lambda: Path(os.path.realpath(name)))
        try:
            return question.answer(patience)
        except TimeoutError:
            self._open[name] = question
            raise


real_path = RealPaths().of
