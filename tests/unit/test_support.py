"""What the tests stand on."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import free_port

ROOT = Path(__file__).parents[2]


def test_ports_given_to_a_test_are_different_ones() -> None:
    ports = [free_port() for _ in range(1000)]
    assert len(set(ports)) == 1000


def test_make_test_does_not_put_files_of_few_tests_last() -> None:
    (command,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if "-n 4" in line]
    assert "--no-loadscope-reorder" in command.split()
