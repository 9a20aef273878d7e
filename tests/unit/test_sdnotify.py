"""What a service manager hears, at a socket in a folder and at an abstract one."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.core.sdnotify import ServiceManager
from tests.support.service_manager import FakeManager

Environ = dict[str, str]


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeManager]:
    abstract = request.param == "abstract"
    manager = FakeManager(f"@kb-{secrets.token_hex(8)}" if abstract else str(tmp_path / "notify"))
    yield manager
    manager.close()


def joined(environ: Environ) -> ServiceManager:
    service = ServiceManager()
    service.join(environ)
    return service


def test_each_state_is_a_message(manager: FakeManager) -> None:
    service = joined(manager.environ)
    service.ready("listens on 127.0.0.1:1344\nMAINPID=1")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    service.reloading()
    service.ready()
    service.stopping()
    ready, reloading, again, stopping = manager.hear()
    assert again == ready
    assert ready == ["READY=1", r"STATUS=listens on 127.0.0.1:1344\nMAINPID=1"]
    assert (reloading[0], stopping[0]) == ("RELOADING=1", "STOPPING=1")
    name, _, micro = reloading[1].partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(micro) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    service.leave()


def test_no_child_is_told_where_the_manager_is(manager: FakeManager) -> None:
    watchdog = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}
    environ = {"PATH": "/bin"} | manager.environ | watchdog
    service = joined(environ)
    assert environ == {"PATH": "/bin"}
    assert service.pause == pytest.approx(1 / 3)
    service.leave()
    service.beat()
    service.ready("says nothing any more")
    assert manager.hear() == []


@pytest.mark.parametrize("manager", ["path"], indirect=True)
def test_a_started_program_has_neither_name_nor_descriptor(manager: FakeManager) -> None:
    code = """
import os, subprocess, sys
from bridge.core.sdnotify import service_manager
service_manager.join()
service_manager.ready("serves")
look = "import os; print(sorted(os.environ), len(os.listdir('/proc/self/fd')))"
subprocess.run([sys.executable, "-c", look], close_fds=False)
"""
    environ = {"PATH": "/bin"} | manager.environ | {"WATCHDOG_USEC": "1000000"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    names, _, descriptors = done.stdout.rpartition(" ")
    assert "PATH" in names
    assert "NOTIFY" not in names
    assert "WATCHDOG" not in names
    assert int(descriptors) == 4  # three streams, and the listing itself
    assert manager.hear() == [["READY=1", "STATUS=serves"]]


@pytest.mark.parametrize("who", ["", str(os.getpid())], ids=["anybody", "us"])
def test_signs_of_life_come_while_the_loop_turns(manager: FakeManager, who: str) -> None:
    service = joined(manager.environ | {"WATCHDOG_USEC": "40000", "WATCHDOG_PID": who})

    async def live() -> None:
        alive = asyncio.create_task(service.keep_alive())
        while len(told) < 3:
            await asyncio.sleep(0.005)
            told.extend(manager.hear())
        time.sleep(0.2)  # noqa: ASYNC251 - a loop that does not turn
        assert manager.hear() == []
        alive.cancel()

    told: list[list[str]] = []
    asyncio.run(live())
    assert told == [["WATCHDOG=1"]] * len(told)
    service.leave()


def test_a_beat_is_given_when_it_is_due(manager: FakeManager) -> None:
    service = joined(manager.environ | {"WATCHDOG_USEC": "3600000000"})
    for _ in range(3):
        service.beat()
    assert manager.hear() == [["WATCHDOG=1"]]
    service.leave()


@pytest.mark.parametrize(
    "more",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"},
     {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}],
)  # fmt: skip
def test_without_a_watchdog_of_ours_there_are_no_signs(manager: FakeManager, more: Environ) -> None:
    service = joined(manager.environ | more)
    asyncio.run(service.keep_alive())
    service.beat()
    assert manager.hear() == []
    assert service.pause is None
    service.leave()


@pytest.mark.parametrize("name", ["", "relative", "/nowhere/notify", "vsock:2:1234"])
def test_nobody_who_listens_is_no_fault(name: str) -> None:
    service = joined({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"})
    service.ready("serves")
    asyncio.run(service.keep_alive())
    service.stopping()


def test_a_manager_that_reads_nothing_stops_nobody(manager: FakeManager) -> None:
    service = joined(manager.environ)
    for _ in range(2000):
        service.ready("serves")
    manager.close()
    service.ready("serves")
    service.leave()


def test_a_reload_before_it_serves_or_once_it_stops_is_not_told(manager: FakeManager) -> None:
    service = joined(manager.environ)
    service.reloading()
    service.ready()
    assert manager.hear() == [], "it does not listen yet"
    service.ready("serves")
    service.stopping()
    service.ready()
    service.reloading()
    service.ready("serves")
    assert [lines[0] for lines in manager.hear()] == ["READY=1", "STOPPING=1"]
    service.leave()


def test_what_a_busy_manager_does_not_take_is_said_again(manager: FakeManager) -> None:
    service = joined(manager.environ | {"WATCHDOG_USEC": "60000000"})
    while service._say("X=1"):  # until its queue is full
        pass
    service.ready("serves")
    service.beat()
    assert {line for lines in manager.hear() for line in lines} == {"X=1"}
    service.beat()
    assert manager.hear() == [["READY=1", "STATUS=serves"], ["WATCHDOG=1"]]
    service.beat()
    assert manager.hear() == []
    service.leave()
