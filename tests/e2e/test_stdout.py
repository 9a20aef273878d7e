"""What commands do where their output goes nowhere: a full disk, or a reader who is gone."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.history import line, write
from tests.support.katabridge import Site
from tests.support.processes import module

FULL = "stdout takes no more: No space left on device.\n"
SHA256 = "a" * 64
CLOSED = "stdout takes no more: Bad file descriptor.\n"
# their exit code where all is well, and where stdout is full or closed
COMMANDS = {
    "help": (["bridge.cli", "--help"], 0, 1),
    "bypass": (["bridge.cli", "bypass"], 0, 1),
    "known allow": (["bridge.cli", "known", "allow", SHA256], 0, 2),
    "known show": (["bridge.cli", "known", "show", SHA256], 1, 1),
    "scan": (["bridge.cli", "scan", "clean.txt"], 0, 2),
    "scan --json": (["bridge.cli", "scan", "--json", "clean.txt"], 0, 2),
    "history": (["bridge.cli", "history"], 0, 2),
    "quarantine": (["bridge.cli", "quarantine", "list"], 0, 2),
    "collect": (["bridge.cli", "collect", "--output-dir", "."], 0, 1),
    "watch": (["bridge.cli", "watch", "--check-config"], 0, 1),
    "icapd": (["icapd.cli", "--check-config"], 0, 1),
}


@pytest.fixture
def used(site: Site) -> Site:
    """One that has something to tell."""
    (site.directory / "clean.txt").write_text("clean")
    write(site.directory / "log" / "log-history.log", [line()])
    (site.directory / "quarantine" / "stray").write_text("no note")
    return site


@contextmanager
def gone() -> Iterator[int]:
    """A pipe that nobody reads."""
    ours, theirs = os.pipe()
    os.close(ours)
    yield theirs
    os.close(theirs)


@contextmanager
def full() -> Iterator[int]:
    number = os.open("/dev/full", os.O_WRONLY)
    yield number
    os.close(number)


def ended(site: Site, words: list[str], out: int | None, *, unbuffered: bool) -> tuple[int, str]:
    """Exit code, and what stderr says of stdout (None: closed), or of a fault of ours."""
    closed = ["sh", "-c", 'exec "$@" 1>&-', "sh"] if out is None else []
    config = [] if words[-1] == "--help" else ["--config", str(site.config)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [*closed, *module(words[0]), *words[1:], *config],
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        cwd=site.directory,
        env=environment | ({"PYTHONUNBUFFERED": "1"} if unbuffered else {}),
        timeout=60,
        check=False,
    )
    said = done.stderr.splitlines(keepends=True)
    return done.returncode, "".join(each for each in said if "kata-bridge scan: files:" not in each)


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_stdout_is_a_sentence_and_no_success(used: Site, name: str) -> None:
    words, _, code = COMMANDS[name]
    program = "icapd" if words[0] == "icapd.cli" else "kata-bridge"
    with full() as out:
        assert ended(used, words, out, unbuffered=False) == (code, f"{program}: {FULL}")


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", COMMANDS)
def test_so_is_a_closed_stdout(used: Site, name: str) -> None:
    words, _, code = COMMANDS[name]
    program = "icapd" if words[0] == "icapd.cli" else "kata-bridge"
    assert ended(used, words, None, unbuffered=False) == (code, f"{program}: {CLOSED}")


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_who_is_gone_changes_nothing(used: Site, name: str) -> None:
    words, code, _ = COMMANDS[name]
    with gone() as out:
        assert ended(used, words, out, unbuffered=True) == (code, "")


@pytest.mark.long
def test_a_slow_reader_gets_all(used: Site) -> None:
    """Though the one who made the pipe said that nobody waits for it."""
    write(used.directory / "log" / "log-history.log", [line() for _ in range(500)])
    command = [*module("bridge.cli"), "history", "--limit", "0", "--config", str(used.config)]
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(theirs, False)
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE) as running:
        os.close(theirs)
        with os.fdopen(ours, "rb") as file:
            told = file.read()
        assert running.communicate(timeout=60)[1] == b""
    assert running.returncode == 0
    assert told == subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
    assert len(told.splitlines()) > 500


def test_a_full_stderr_makes_no_finding(used: Site) -> None:
    """The exit code 1 of `scan` would mean a detection."""
    command = [*module("bridge.cli"), "scan", "--config", str(used.config), "clean.txt"]
    with full() as err:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=err, cwd=used.directory, timeout=60, check=False
        )
    assert done.returncode == 0
    assert b"not_detected" in done.stdout
