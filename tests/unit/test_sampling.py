"""Each case of a table is in one of the two runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sampling import spread

TABLE = """
import pytest

@pytest.mark.sample(2)
@pytest.mark.parametrize("number", range(5))
def test_number(number):
    pass

def test_other():
    pass
"""
CONFTEST = """
import pytest
from tests.support.sampling import mark_rest_as_long

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    mark_rest_as_long(items)
"""


@pytest.mark.parametrize(
    ("count", "total", "picked"),
    [(1, 3, {0}), (2, 5, {0, 2}), (3, 3, {0, 1, 2}), (4, 32, {0, 8, 16, 24}), (5, 2, {0, 1})],
)
def test_the_picked_are_spread(count: int, total: int, picked: set[int]) -> None:
    assert spread(count, total) == picked


def collected(folder: Path, marks: str) -> set[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_table.py").write_text(TABLE)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    done = subprocess.run(
        [*command, "-m", marks, "--rootdir", str(folder), str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    return {line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line}


def test_what_one_run_leaves_out_the_other_has(tmp_path: Path) -> None:
    quick, long = collected(tmp_path, "not long"), collected(tmp_path, "long")
    assert quick == {"test_number[0]", "test_number[2]", "test_other"}
    assert long == {"test_number[1]", "test_number[3]", "test_number[4]"}
