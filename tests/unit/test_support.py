"""What the tests stand on."""

from __future__ import annotations

from tests.support.processes import free_port


def test_ports_given_to_a_test_are_different_ones() -> None:
    ports = [free_port() for _ in range(1000)]
    assert len(set(ports)) == 1000
