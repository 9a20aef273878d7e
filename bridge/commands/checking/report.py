"""How findings are shown: lines as they come, in colours on a terminal, or one JSON object."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator

from bridge.commands.checking.line import Line, Status, result
from bridge.commands.terminal import show

_STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.FAILED: "bold red",
    Status.SKIPPED: "dim",
}
_INDENT = 8
_WORDS = {
    Status.OK: "Nothing is wrong.",
    Status.WARNING: "It works; see the warnings.",
    Status.FAILED: "The first line that failed names the fault.",
}


class Report:
    """What is said on stdout."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._lines: list[Line] = []
        self._on_terminal = not as_json and sys.stdout.isatty()

    @contextlib.contextmanager
    def showing(self, what: Callable[[], str]) -> Iterator[None]:
        """Show what is being looked at while the block waits."""
        if not self._on_terminal:
            yield
            return
        from rich.live import Live  # noqa: PLC0415 - only where it is shown
        from rich.spinner import Spinner  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        spinner = Spinner("line")

        def render() -> Spinner:
            spinner.update(text=Text(what()))
            return spinner

        with Live(get_renderable=render, refresh_per_second=8, transient=True) as live:
            self._console = live.console
            yield

    def add(self, line: Line) -> None:
        """Say it, or keep it for the object."""
        self._lines.append(line)
        if self._on_terminal:
            self._show(line)
        elif not self._as_json:
            show(as_text(line))

    def end(self) -> None:
        """What comes last."""
        worst = result(self._lines)
        if self._as_json:
            found = [line.as_json() for line in self._lines]
            show(json.dumps({"result": worst.value, "lines": found}) + "\n")
        else:
            show(f"{_WORDS[worst]}\n")

    def _show(self, line: Line) -> None:
        from rich.text import Text  # noqa: PLC0415 - only where it is shown

        status = (f"{line.status.value:{_INDENT}}", _STYLES[line.status])
        self._console.print(Text.assemble(status, (f"{line.area}: ", "bold"), line.sentence))
        if line.advice:
            self._console.print(Text(f"{'':{_INDENT}}→ {line.advice}", style="italic"))


def as_text(line: Line) -> str:
    """A finding for people, in one or two lines. Pure."""
    text = f"{line.status.value:{_INDENT}}{line.area}: {line.sentence}\n"
    return text + f"{'':{_INDENT}}-> {line.advice}\n" if line.advice else text
