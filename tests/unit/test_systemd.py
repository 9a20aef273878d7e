"""The units and what goes with them, as systemd's own tools see them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import need

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
KDS = ROOT / "examples" / "kds" / "kata-dir-scanner.service"
UNITS = [*sorted((CONF / "systemd").glob("*.service")), KDS]
EXPOSED = 20  # tenths: systemd-analyze security calls 2.0 "OK"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    words = [str(part) for part in command]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_understood_and_gives_few_rights(unit: Path, tmp_path: Path) -> None:
    analyze = need("systemd-analyze")
    threshold = f"--threshold={EXPOSED}" if unit != KDS else "--threshold=35"
    done = run(analyze, "security", "--offline=true", "--no-pager", threshold, unit)
    assert done.returncode == 0, done.stdout[-200:]
    # what it starts is not installed here
    there = tmp_path / unit.name
    there.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M))
    done = run(analyze, "verify", there)
    assert (done.returncode, done.stderr) == (0, "")


def test_units_that_are_too_open_are_found(tmp_path: Path) -> None:
    analyze = need("systemd-analyze")
    open_one = tmp_path / "open.service"
    text = UNITS[0].read_text()
    open_one.write_text(text.replace("SystemCallFilter=", "#").replace("User=", "#User="))
    done = run(
        analyze, "security", "--offline=true", "--no-pager", f"--threshold={EXPOSED}", open_one
    )
    assert done.returncode != 0


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_what_the_daemons_count_on(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    for line in (
        "Type=notify",
        "NotifyAccess=main",
        "KillMode=mixed",
        "Restart=on-failure",
        "RestartPreventExitStatus=2",
        "LimitCORE=0",
        "StateDirectoryMode=0700",
        "LogsDirectoryMode=0700",
        "ExecReload=/bin/kill -HUP $MAINPID",
    ):
        assert line in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)
    assert unit == KDS or "User=katabridge" in lines
    assert not any(line.startswith("RuntimeDirectory=") for line in lines)  # shared, and removed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_account_and_folders_are_made(tmp_path: Path) -> None:
    config = tmp_path / "etc" / "katabridge"
    config.mkdir(parents=True)
    (config / "client.key").touch(0o600)
    (config / "katabridge.yaml").touch(0o644)
    for tool, more in (("sysusers", []), ("tmpfiles", ["--create"])):
        program = need(f"systemd-{tool}")
        done = run(program, *more, f"--root={tmp_path}", CONF / f"{tool}.d" / "katabridge.conf")
        assert done.returncode == 0, done.stderr
    passwd = (tmp_path / "etc" / "passwd").read_text()
    _, _, uid, gid, _, home, shell = passwd.strip().split(":")
    assert (home, shell) == ("/var/lib/katabridge", "/usr/sbin/nologin")

    def rights(path: str) -> tuple[int, str, str]:
        state = (tmp_path / path).stat()
        return state.st_mode & 0o777, str(state.st_uid), str(state.st_gid)

    assert rights("etc/katabridge") == (0o750, "0", gid)
    assert rights("etc/katabridge/client.key") == (0o640, "0", gid)
    assert rights("etc/katabridge/katabridge.yaml") == (0o640, "0", gid)
    assert rights("var/lib/katabridge") == (0o700, uid, gid)
    assert rights("var/log/katabridge") == (0o700, uid, gid)
