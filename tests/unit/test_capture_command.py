"""`kata-bridge capture` without an icapd: what it refuses, and what it says meanwhile."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.core import CapturePart, CaptureState, begin_capture, read_capture
from bridge.core.capture.pcapng import packet
from bridge.core.capture.request import CaptureRequest
from tests.support.katabridge import Site
from tests.support.processes import wait_until

Run = Callable[..., int]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    for name, seconds in (
        ("_PAUSE", 0.01),
        ("PICK_UP_SECONDS", 0.3),
        ("_END_SECONDS", 0.3),
        ("_SUCCESSOR_SECONDS", 0.2),
    ):
        monkeypatch.setattr(f"bridge.commands.capture_wait.{name}", seconds)
    monkeypatch.setattr("bridge.commands.capture.signal.signal", lambda *_: None)  # they are ours
    made = Site(tmp_path / "site", "https://127.0.0.1:1", tmp_path / "site" / "client.pem")
    (made.directory / "spool").mkdir()
    return made


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "a.pcapng"


def run(site: Site, output: Path, *words: str) -> int:
    return main(["capture", "--config", str(site.config), "--output", str(output), *words])


def left(site: Site, output: Path) -> list[str]:
    """What there is of captures in the spool, and in the folder of the output."""
    places = (site.directory / "spool", output.parent)
    return sorted(path.name for place in places for path in place.glob("*capture*"))


WRONG = {
    "no size": (["--max-size", "10"], "not a size with a unit"),
    "a size too small": (["--max-size", "1KiB"], "not within 4KiB and 1GiB"),
    "a size too large": (["--max-size", "2GiB"], "not within 4KiB and 1GiB"),
    "no time": (["--for", "0s"], "no time at all"),
    "a time too long": (["--for", "25h"], "a day at most"),
    "no bodies": (["--bodies", "some"], "none, full, or a size"),
    "no network": (["--client", "ivanov"], "is no address or network"),
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said(
    site: Site,
    output: Path,
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end:
        run(site, output, *words)
    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


def test_without_an_icapd_it_says_so(
    site: Site, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(site, output) == 1
    said = capsys.readouterr().err
    assert "no icapd has begun within" in said
    assert f"spool.dir than {site.directory / 'spool'}" in said
    assert left(site, output) == []
    assert not output.exists()


def test_what_is_there_is_overwritten_only_if_that_is_asked_for(
    site: Site, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output.write_text("mine")
    assert run(site, output) == 1
    assert f"{output} exists already; --force overwrites it." in capsys.readouterr().err
    assert run(site, output, "--force") == 1  # nothing was captured
    assert output.read_text() == "mine"
    assert run(site, output.parent) == 1
    assert "is a folder" in capsys.readouterr().err
    assert run(site, output.parent / "none" / "x") == 1
    assert "cannot be written: No such file" in capsys.readouterr().err
    assert left(site, output) == []


def test_what_a_killed_command_left_is_removed_by_the_next(site: Site, output: Path) -> None:
    folder = output.parent
    others = [folder / name for name in (".kata-bridge-capture-d.new", ".kata-bridge-capture-e")]
    with (folder / ".kata-bridge-capture-a.new").open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        (folder / ".kata-bridge-capture-b.new").touch()
        (folder / ".kata-bridge-capture-c.new").symlink_to(output)
        others[0].mkdir()
        others[1].touch()
        assert run(site, output) == 1
        names = [f".kata-bridge-capture-{name}" for name in ("a.new", "c.new", "d.new", "e")]
        assert left(site, output) == names


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_is_not_ours_is_not_removed(site: Site, output: Path) -> None:
    strange = output.parent / ".kata-bridge-capture-b.new"
    strange.touch()
    os.chown(strange, 1234, 1234)
    assert run(site, output) == 1
    assert strange.exists()


def test_a_draft_that_was_taken_for_left_is_made_anew(
    site: Site, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = tempfile.mkstemp
    removed: list[str] = []

    def meddle(*words: object) -> tuple[int, str]:
        descriptor, name = usual(*words)  # type: ignore[call-overload]
        if not removed:
            removed.append(name)
            Path(name).unlink()  # by another command, before it is locked
        return descriptor, name

    monkeypatch.setattr("bridge.commands.capture_draft.tempfile.mkstemp", meddle)
    assert capture(site, output, "--for", "50ms", states=(CaptureState(),))[0] == 0
    assert output.exists()
    assert removed


def test_a_spool_that_is_not_there_and_a_capture_that_is(
    site: Site, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    switch = begin_capture(site.directory / "spool", CaptureRequest(time.time() + 60, 1 << 20))
    assert run(site, output) == 1
    assert "another capture is under way" in capsys.readouterr().err
    switch.close()
    (site.directory / "spool").rmdir()
    assert run(site, output) == 1
    assert "does not exist: no icapd has run" in capsys.readouterr().err


def test_stopped_before_it_began(
    site: Site,
    output: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bridge.commands.capture_wait.time.sleep", stop)
    assert run(site, output) == 1
    assert "stopped; no file was written" in capsys.readouterr().err
    assert left(site, output) == []


def test_a_spool_that_is_not_for_this_user(
    site: Site,
    output: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = os.open

    def refuse(path: Path, *rest: int) -> int:
        if Path(path).parent == site.directory / "spool":
            raise PermissionError(13, "Permission denied")
        return usual(path, *rest)

    monkeypatch.setattr("bridge.core.capture.request.os.open", refuse)
    assert run(site, output) == 1
    said = capsys.readouterr().err
    assert "cannot be written: Permission denied; run this as the user that icapd runs as" in said
    assert left(site, output) == []


def test_a_full_disk_below_the_output(
    site: Site,
    output: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bridge.commands.capture.merge_captured", full)
    assert capture(site, output, "--for", "50ms", states=(CaptureState(),))[0] == 1
    assert f"{output} cannot be written: No space left" in capsys.readouterr().err
    assert left(site, output) == []
    assert not output.exists()


class Pretender(threading.Thread):
    """Does what processes of an icapd do: each says these states in turn, until it is told to end.

    `seen`: the request.
    """

    def __init__(
        self, site: Site, *states: CaptureState, processes: int = 1, dies: bool = False
    ) -> None:
        super().__init__()
        self._dies = dies
        self._spool = site.directory / "spool"
        self._states = states
        self._processes = processes
        self.seen: CaptureRequest

    def run(self) -> None:
        wait_until(lambda: read_capture(self._spool), "a request")
        request = read_capture(self._spool)
        assert request is not None
        self.seen = request
        parts = [
            CapturePart(self._spool, request.id, f"{self.name}.{n}") for n in range(self._processes)
        ]
        for part in parts:
            part.tell(CaptureState())
        for number, part in enumerate(parts):
            part.write(packet(5 - number, b"x" * 60, 60))
            for state in self._states:
                part.tell(state)
                time.sleep(0.05)
            if self._dies:
                part.close()
                return
        while (now := read_capture(self._spool)) is not None and now.until:
            time.sleep(0.01)
        for part in parts:
            last = self._states[-1]
            part.tell(last if last.ended else CaptureState(last.conversations, "told to end"))
            part.close()


def capture(
    site: Site, output: Path, *words: str, states: tuple[CaptureState, ...], processes: int = 1
) -> tuple[int, CaptureRequest]:
    """The exit code, and what was asked for."""
    pretender = Pretender(site, *states, processes=processes)
    pretender.start()
    code = run(site, output, *words)
    pretender.join()
    return code, pretender.seen


def test_what_is_asked_for_is_what_the_options_say(
    site: Site, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--client", "10.1.2.3/8", "--url", "\x1b[31mx", "--max-size", "1MiB", "--for", "400ms")
    states = (CaptureState(1), CaptureState(3))
    code, asked = capture(site, output, *words, states=states, processes=2)
    assert code == 0
    assert (asked.client, asked.url, asked.bodies) == ("10.0.0.0/8", "\x1b[31mx", 0)
    assert asked.max_bytes == 1 << 20
    said = capsys.readouterr().out
    assert f"{output}: 6 conversations in 2 processes, " in said
    assert said.rstrip().endswith("its time is over.")
    file = output.read_bytes()
    assert b"bodies: none; client: 10.0.0.0/8; URL with: \\x1b[31mx" in file
    assert file.count(b"x" * 60) == 2
    assert output.stat().st_mode & 0o777 == 0o600
    assert left(site, output) == []


BODIES = {"none": 0, "0B": 0, "2KiB": 2048, "full": None}


@pytest.mark.parametrize("word", BODIES)
def test_a_size_or_none_or_all_of_each_body(site: Site, output: Path, word: str) -> None:
    _, asked = capture(site, output, "--bodies", word, "--for", "50ms", states=(CaptureState(),))
    assert asked.bodies == BODIES[word]


@pytest.mark.parametrize("is_fault", [False, True])
def test_an_icapd_ends_it_with_its_own_words(
    site: Site, output: Path, capsys: pytest.CaptureFixture[str], is_fault: bool
) -> None:
    output.write_text("old")
    ended = CaptureState(1, "the disk is full\x1b[2J", is_fault)
    assert capture(site, output, "--force", states=(ended,))[0] == int(is_fault)
    said = capsys.readouterr().out
    assert "1 conversation, " in said
    assert "the disk is full\\x1b[2J." in said
    assert b"old" not in output.read_bytes()


def test_who_is_not_on_a_terminal_gets_a_line_now_and_then(
    site: Site,
    output: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.commands.capture_wait._EVERY", 0.1)
    capture(site, output, "--for", "350ms", states=(CaptureState(4),))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Captures for 0:00:00")
    assert lines[1] == "0:00:00 of 0:00:00: 4 conversations, 92 B"


def test_what_is_no_regular_file_is_never_replaced(
    site: Site, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(output)
    assert run(site, output, "--force") == 1
    assert f"{output} is no regular file" in capsys.readouterr().err
    assert output.is_fifo()


def test_the_end_of_a_worker_is_not_that_of_all(
    site: Site,
    output: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.commands.capture_wait._SUCCESSOR_SECONDS", 60.0)
    gone = CaptureState(2, "icapd was stopped", is_gone=True)
    pretenders = [Pretender(site, CaptureState(1), gone), Pretender(site, CaptureState(3))]
    for number, each in enumerate(pretenders):
        each.name = f"w{number}"
        each.start()
    assert run(site, output, "--for", "700ms") == 0
    for each in pretenders:
        each.join()
    said = capsys.readouterr().out
    assert f"{output}: 5 conversations in 2 processes, " in said
    assert said.rstrip().endswith("its time is over.")


# and where its time is over before one that replaces them is missed
@pytest.mark.parametrize("times", [("60s", 0.2), ("700ms", 60.0)])
def test_the_end_of_all_is_a_sentence_and_a_whole_file(
    site: Site,
    output: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    times: tuple[str, float],
) -> None:
    seconds, patience = times
    monkeypatch.setattr("bridge.commands.capture_wait._SUCCESSOR_SECONDS", patience)
    gone = CaptureState(2, "icapd was stopped", is_gone=True)
    assert capture(site, output, "--for", seconds, states=(gone,), processes=2)[0] == 1
    assert capsys.readouterr().out.rstrip().endswith("icapd was stopped.")
    assert output.read_bytes().count(b"x" * 60) == 2


def test_one_that_was_killed_is_told_by_its_lock(
    site: Site, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = Pretender(site, CaptureState(2), dies=True)
    dead.start()
    assert run(site, output) == 1
    dead.join()
    assert capsys.readouterr().out.rstrip().endswith("icapd was killed.")
    assert output.read_bytes().count(b"x" * 60) == 1


def test_one_that_hangs_is_not_waited_for(
    site: Site, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CapturePart, "tell", lambda *_: None)
    pretended = '{"conversations": 2}'

    def made(self: CapturePart, *_: object) -> None:
        self._paths[0].write_text(pretended)

    monkeypatch.setattr(CapturePart, "tell", made)
    assert capture(site, output, "--for", "50ms", states=(CaptureState(2),))[0] == 0
    assert output.exists()
