"""What a new user may type or point to by mistake: one sentence each, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core import Address, StartError, cannot_listen
from tests.support.commands import call
from tests.support.katabridge import Site

HUGE = "9" * 5000
NUMBER = f"'{'9' * 40}…' is no number, or too large a one"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quarantine", "list", "--limit", "9" * 24], "is no number, or too large a one"),
        (["quarantine", "list", "--limit", HUGE], NUMBER),
        (["history", "--limit", HUGE], f"kata-bridge history: --limit {NUMBER}; 0 shows all."),
        (["emulate", "--state", "kata", "--max-in-flight", HUGE], NUMBER),
        (["emulate", "--state", "kata", "--delay", "x"], "x is no number of seconds between 0"),
    ],
)
def test_a_number_that_is_none_is_said(words: list[str], said: str) -> None:
    done = call(*words)
    assert done.returncode == 2
    assert done.stderr.rstrip().splitlines()[-1].endswith(said) or said in done.stderr


def test_an_enrolment_says_what_is_wrong_with_the_bytes(tmp_path: Path) -> None:
    config = tmp_path / "katabridge.yaml"
    config.write_bytes(b"kata: \xff\n")
    done = call("enrol", "--config", config)
    assert done.returncode == 2
    assert f"{config}: the configuration cannot be read: it is not UTF-8." in done.stderr


@pytest.mark.parametrize("command", ["history", "detects"])
def test_a_folder_in_the_place_of_a_log_is_no_empty_log(site: Site, command: str) -> None:
    for name in ("log-history.log", "log-detects.log"):
        (site.directory / "log" / name).mkdir(parents=True)
    done = call(command, "--config", site.config)
    assert done.returncode == 1
    assert "cannot be read: it is no regular file" in done.stderr


@pytest.mark.parametrize("key", ["spool", "logs"])
def test_a_file_in_the_place_of_a_folder_is_said_to_be_none(site: Site, key: str) -> None:
    file = site.directory / "file"
    file.write_text("")
    site.changes = {key: {"dir": str(file)}}
    done = call("watch", "--once", "--config", site.config)
    assert done.returncode == 1
    assert done.stderr == (
        f"kata-bridge watch: {file} is a file where a folder belongs: move it away ({key}.dir).\n"
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (98, "it is taken by another program"),
        (99, "it is no address of this machine"),
        (13, "this user may not; below 1024 that takes the capability CAP_NET_BIND_SERVICE"),
        (105, "No buffer space available"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_sentence(number: int, words: str) -> None:
    """asyncio has words of its own, with the address once more."""
    error = OSError(number, f"error while attempting to bind on address ('192.0.2.1', 1): {number}")
    said = cannot_listen(Address("192.0.2.1", 1), "icap.listen", error)
    assert isinstance(said, StartError)
    assert str(said) == f"cannot listen on 192.0.2.1:1 (icap.listen): {words}."
