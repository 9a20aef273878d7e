"""The page for who moves from KDS says what can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.core import DEFAULT_PATH

EXAMPLE = Path(__file__).parents[2] / "examples" / "kds"
UNIT = EXAMPLE / "kata-dir-scanner.service"
CONF = "/opt/kata-dir-scanner/kata_dir_scanner.conf"


def commands() -> list[str]:
    page = (EXAMPLE / "README.md").read_text()
    return [*re.findall(r"^ {4,}kata-bridge (.+)$", page, re.MULTILINE), started_by_the_unit()]


def started_by_the_unit() -> str:
    (command,) = re.findall(r"^ExecStart=\S+/kata-bridge (.+)$", UNIT.read_text(), re.MULTILINE)
    return str(command)


@pytest.mark.parametrize("command", commands())
def test_each_command_is_taken(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert not Path(CONF).exists()
    assert not DEFAULT_PATH.exists()
    assert main(shlex.split(command)) == 2
    said = "".join(capsys.readouterr())  # the doctor tells it as a finding
    assert "cannot be read: No such file or directory" in said  # all that was wrong with it


def test_there_are_commands_of_every_kind() -> None:
    assert {command.split()[0] for command in commands()} == {
        *("watch", "enrol", "migrate", "check", "history", "detects", "collect"),
    }
    assert started_by_the_unit() == f"watch --kds-config {CONF}"
