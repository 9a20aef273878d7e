"""SIGHUP that comes while a door starts: it ends nothing, and counts once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge import cli
from bridge.core import keep_hangups, run_until_stopped, take_hangup
from icapd import cli as icapd_cli
from icapd.workers.forking import Signals


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """None is remembered for the next test; the handlers are restored after each one anyway."""
    yield
    take_hangup()


def hang_up() -> None:
    os.kill(os.getpid(), signal.SIGHUP)


def test_one_that_comes_before_the_door_serves_is_there_when_it_does() -> None:
    seen: list[bool] = []

    async def serve(stop: asyncio.Event, hangup: asyncio.Event) -> None:
        del stop
        seen.append(hangup.is_set())

    keep_hangups()
    run_until_stopped(serve)
    keep_hangups()
    hang_up()
    run_until_stopped(serve)
    keep_hangups()
    run_until_stopped(serve)  # it counts once
    assert seen == [False, True, False]


def test_one_that_comes_with_the_stop_or_after_it_does_not_count() -> None:
    seen: list[bool] = []

    async def serve(stop: asyncio.Event, hangup: asyncio.Event) -> None:
        hang_up()
        await asyncio.wait_for(hangup.wait(), 30)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 30)
        seen.append(hangup.is_set())
        later = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, later.set)
        hang_up()
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(later.wait(), 30)
        seen.append(hangup.is_set())

    keep_hangups()
    assert run_until_stopped(serve) == 0
    assert seen == [False, False]


def test_one_counts_also_for_who_was_started_to_ignore_it() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as by nohup
    hang_up()
    keep_hangups()
    assert not take_hangup()
    hang_up()
    assert take_hangup()


def test_none_is_lost_while_a_supervisor_gets_its_handlers() -> None:
    keep_hangups()
    hang_up()
    signals = Signals()
    try:
        assert take_hangup()
        hang_up()
        assert signals.read() == {signal.SIGHUP}
        assert not take_hangup()
    finally:
        signals.close()


@pytest.mark.parametrize(
    ("main", "words", "module"),
    [(icapd_cli.main, [], "icapd.program"), (cli.main, ["watch"], "bridge.commands.watch")],
    ids=["icapd", "watch"],
)
def test_it_ends_no_door_that_reads_its_configuration(
    main: Callable[[list[str]], int],
    words: list[str],
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def read(*_: object, **__: object) -> int:
        hang_up()
        return 17

    ended: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: ended.append(number))
    monkeypatch.setattr(f"{module}.read_settings", read)
    assert main([*words, "--config", str(tmp_path / "k.yaml")]) == 17
    assert not ended
    assert take_hangup()


# a hangup at the first module of ours that is loaded beside the entry itself
_LOADING = """
import os, signal, sys
class Hangup:
    def find_spec(self, name, *_):
        if name.startswith(("bridge.", "icapd.")) and not name.endswith(".cli"):
            os.kill(os.getpid(), signal.SIGHUP)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
sys.meta_path.insert(0, Hangup())
from {package}.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("package", "words", "code"),
    [
        ("icapd", [], 2),
        ("bridge", ["watch"], 2),
        ("bridge", ["scan", "file"], -signal.SIGHUP),
    ],
    ids=["icapd", "watch", "an ordinary command"],
)
def test_it_ends_no_door_that_is_being_loaded(
    package: str, words: list[str], code: int, tmp_path: Path
) -> None:
    program = [sys.executable, "-c", _LOADING.format(package=package)]
    done = subprocess.run(
        [*program, *words, "--config", tmp_path / "none.yaml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("none.yaml" in done.stderr) == (code == 2)
