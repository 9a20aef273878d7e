"""The door asks for as many descriptors as its connections need, and says when none is left."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import shlex
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.katabridge import Site
from tests.support.processes import Program, free_port, module, wait_until
from tests.support.workers import figures

Keep = Callable[[Program], Program]
METRICS = ("outage", "outages_total")


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


def started_with(site: Site, most: int) -> Program:
    """icapd, which may have so many descriptors."""
    command = shlex.join([*module("icapd.cli"), "--config", str(site.config)])
    shell = ["sh", "-c", f"ulimit -n {most}; exec {command}"]  # nobody can raise it again
    icapd = Program(shell, site.directory / "icapd.out")
    icapd.wait_for(lambda: "icapd listens" in icapd.output(), "icapd")
    return icapd


def test_a_hard_limit_that_is_too_low_is_said(site: Site, started: Keep) -> None:
    icapd = started(started_with(site, 1024))
    assert limits_of(icapd) == (1024, 1024)
    assert "icap.max_connections is 2000, for which up to" in icapd.output()
    assert "this process may have 1024" in icapd.output()


@pytest.mark.sample(1)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_process_without_descriptors_is_seen_where_people_look(
    site: Site, started: Keep, limit: Callable[[int, int], None], workers: int
) -> None:
    limit(4096, 1 << 30)
    port = free_port()
    site.changes = {"icap": {"workers": workers}, "status": {"icapd": f"127.0.0.1:{port}"}}
    icapd = started(started_with(site, 300))
    name = "katabridge_descriptors_used_ratio"
    with contextlib.ExitStack() as opened:

        def figure(key: str) -> float:
            for _ in range(5):  # what the process itself gives back is taken
                opened.enter_context(socket.create_connection(("127.0.0.1", site.icap_port), 10))
            return figures(port)[key]

        for _ in range(300 * workers):
            opened.enter_context(socket.create_connection(("127.0.0.1", site.icap_port), 10))
        wait_until(lambda: figure("process_open_fds") >= 300 * workers, "none is left")
        assert figure("process_max_fds") == 300 * (workers + (workers > 1))
        assert figure("process_resident_memory_bytes") > 0
        assert figure(name) == 1
        keys = [f'katabridge_{each}{{kind="out_of_descriptors"}}' for each in METRICS]
        wait_until(lambda: [figure(key) for key in keys] == [workers] * 2, "metrics tell of it")
        assert states(site) == ["begins"] * workers
        wait_until(lambda: figure(name) == 1 and denied(port) == ["descriptors"], "it is not ready")
    wait_until(lambda: denied(port) == [], "it is ready again", 30)
    wait_until(lambda: states(site).count("ends") == workers, "it is over")
    assert figures(port)[name] < 1
    said = icapd.output()
    assert said.count("outage: out_of_descriptors of test.icap.0 begins: all 300 that it may") == 1
    assert said.count("outage: out_of_descriptors of test.icap.0 is over after") == 1


def denied(port: int) -> list[str]:
    """Which parts /ready denies."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        parts: dict[str, bool] = json.loads(answer.read())
    assert answer.status == (200 if parts.pop("ready") else 503)
    return [name for name, is_so in parts.items() if not is_so]


def states(site: Site) -> list[str]:
    told = site.records("log-events.log")
    return [line["state"] for line in told if line["event"] == "out_of_descriptors"]
