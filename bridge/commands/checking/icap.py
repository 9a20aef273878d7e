"""The ICAP door, asked as a proxy asks it: by `icapd.selftest`, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import bridge.core
from bridge.commands.checking.line import Line, Status, failed
from bridge.core import printable

SECONDS = 30.0
_ASKS = 18.0  # for its questions; the rest is Python's, which is slow to begin on a busy machine
_AREA = "icap"
_MOST = 2000
_MODULE = "icapd.selftest"


def look_at_icap(config: Path, *, without_bodies: str | None, runs: bool = False) -> Iterator[Line]:
    """The lines of the self-test. `without_bodies`: why nothing is to be judged. `runs`: icapd is
    known to run here. Blocks."""
    command = [sys.executable, "-P", "-m", _MODULE, "--json", "--config", str(config)]
    command += ["--seconds", str(_ASKS)]
    if without_bodies is not None:
        command += ["--without-bodies", without_bodies]
    command += ["--runs"] if runs else []
    try:
        with _started(command) as process:
            yield from _lines(process)
    except OSError as error:
        sentence = f"the self-test of icapd cannot be started: {error.strerror or error}"
        yield failed(_AREA, sentence, f"see whether this user may start {sys.executable}")


def _lines(process: subprocess.Popen[str]) -> Iterator[Line]:
    found: set[Status] = set()
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    for text in process.stdout:
        line = read_line(text)
        if line is not None:
            found.add(line.status)
            yield line
    code = process.wait()
    if not found or code not in (0, 1) or (code == 1 and Status.FAILED not in found):
        sentence = f"the self-test of icapd ended with {code} before it was done"
        yield failed(_AREA, sentence, f"call `{sys.executable} -m {_MODULE}` and see what it says")


def read_line(text: str) -> Line | None:
    """One line of the self-test; None where it is none. Pure."""
    try:
        data = json.loads(text)
        words = (str(data[key] or "") for key in ("area", "sentence", "advice"))
        area, sentence, advice = (printable(word)[:_MOST] for word in words)
        return Line(area, Status(data["status"]), sentence, advice)
    except (ValueError, TypeError, LookupError, RecursionError):
        return None


@contextlib.contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The process, which is ended after its time whatever it does."""
    # -P: no module comes from the folder that somebody happens to be in
    here = str(Path(bridge.core.__file__).parents[2])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        timer = threading.Timer(SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()
