"""What the tests stand on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests import conftest
from tests.support.processes import free_port

ROOT = Path(__file__).parents[2]


def test_ports_given_to_a_test_are_different_ones() -> None:
    ports = [free_port() for _ in range(1000)]
    assert len(set(ports)) == 1000


def test_the_longest_files_begin_first_and_the_others_stay_in_order() -> None:
    names = ["tests/a.py", *conftest.FIRST, "tests/b.py"]
    items: list[Any] = [SimpleNamespace(path=ROOT / name, n=n) for name in names for n in range(2)]
    conftest.pytest_collection_modifyitems(items)
    ordered = [*conftest.FIRST, "tests/a.py", "tests/b.py"]
    assert [(each.path, each.n) for each in items] == [
        (ROOT / name, n) for name in ordered for n in range(2)
    ]
    assert all((ROOT / name).is_file() for name in conftest.FIRST)


def test_make_test_does_not_put_files_of_few_tests_last() -> None:
    (command,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "-n 4" in line]
    assert "--no-loadscope-reorder" in command.split()
