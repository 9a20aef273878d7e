"""One minute of `make soak`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import need

RATE = 6  # requests a second: others run beside


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_minute_of_soak_fails_in_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    need("squid")
    told = tmp_path / "soak.json"
    # each reload starts the status pages anew, a second of processor time
    options = ["--minutes", "1", "--rate", str(RATE), "--no-status", "--json", told]
    command = [sys.executable, "-m", "tests.soak", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(told.read_text())
    assert found["faults"] == []
    assert found["findings"]["failed"] == found["findings"]["wrong verdict"] == 0
    assert found["records"]["records"] >= found["answered"] > 0
    assert found["steps"].keys() == {"reloads", "restarts", "outages"}
    assert "Nothing failed, and nothing grew." in done.stdout
