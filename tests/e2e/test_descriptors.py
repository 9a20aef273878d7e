"""The door asks for as many descriptors as its connections need."""

from __future__ import annotations

import re
import resource
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.katabridge import Site
from tests.support.processes import Program, accepts, module

Keep = Callable[[Program], Program]


@pytest.fixture
def limit() -> Iterator[Callable[[int, int], None]]:
    """Sets this process's soft limit, which what it starts inherits."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft, hard: resource.setrlimit(
        resource.RLIMIT_NOFILE, (soft, min(hard, before[1]))
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], before[1]))


def limits_of(program: Program) -> tuple[int, int]:
    """Soft and hard limit of descriptors."""
    text = Path(f"/proc/{program.process.pid}/limits").read_text()
    found = re.search(r"Max open files +(\d+) +(\d+)", text)
    assert found is not None
    return int(found[1]), int(found[2])


def test_the_soft_limit_is_raised(
    site: Site, started: Keep, limit: Callable[[int, int], None]
) -> None:
    limit(512, 1 << 30)
    icapd = started(site.start_icapd())
    soft, hard = limits_of(icapd)
    assert soft == hard > 512
    assert "descriptors" not in icapd.output()


def test_a_hard_limit_that_is_too_low_is_said(site: Site, started: Keep) -> None:
    command = shlex.join([*module("icapd.cli"), "--config", str(site.config)])
    shell = ["sh", "-c", f"ulimit -n 1024; exec {command}"]  # nobody can raise it again
    icapd = started(Program(shell, site.directory / "icapd.out"))
    icapd.wait_for(lambda: accepts(site.icap_port), "icapd")
    assert limits_of(icapd) == (1024, 1024)
    assert "icap.max_connections is 2000, for which up to" in icapd.output()
    assert "this process may have 1024" in icapd.output()
