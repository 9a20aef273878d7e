"""A daemon's side of its page's process: asked, answered in pieces, replaced when it dies."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core import Address, Settings, StartError, StatusProcess
from tests.support.katabridge import Site
from tests.support.processes import free_port

REPORT = {"figures": ["x" * 5_000_000], "facts": []}  # more than a socket takes at once


class Child:
    """What is started instead of a process: it holds the other end."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.command = command
        self.given = options["pass_fds"]
        self.socket = socket.socket(fileno=os.dup(self.given[1]))
        self.plan = os.dup(self.given[2])
        self.socket.setblocking(False)
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code

    def wait(self, seconds: float | None = None) -> int:
        del seconds
        return 0

    def die(self, code: int) -> None:
        self.code = code
        self.socket.close()


class Loop:
    """A process under test, and the loop that watches its socket."""

    def __init__(self, settings: Settings) -> None:
        self.reports = 0
        self.settings = settings
        self.watched: dict[socket.socket, Callable[[], None]] = {}
        self.children: list[Child] = []
        self.process = StatusProcess(
            settings,
            "icapd",
            Address("127.0.0.1", free_port()),
            "preprocessor_icap.log",
            report=self._report,
            watch=self.watched.__setitem__,
            unwatch=self.watched.pop,
        )

    def _report(self) -> dict[str, Any]:
        self.reports += 1
        return REPORT

    def turn(self) -> None:
        for call in list(self.watched.values()):
            call()


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    site = Site(tmp_path, "https://127.0.0.1:1", tmp_path / "client.pem")
    loop = Loop(site.settings())

    def start(command: list[str], **options: Any) -> Child:
        loop.children.append(Child(command, **options))
        return loop.children[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    yield loop
    loop.process.let_go()
    loop.process.wait()
    for child in loop.children:
        child.socket.close()


def received(child: Child) -> bytes:
    data = b""
    try:
        while piece := child.socket.recv(1 << 20):
            data += piece
    except BlockingIOError:
        pass
    return data


def test_a_large_answer_goes_in_pieces_and_nobody_waits(loop: Loop) -> None:
    loop.process.start()
    (child,) = loop.children
    child.socket.send(b"?")
    loop.turn()
    data = b""
    for _ in range(200):
        data += received(child)
        loop.process.tick()
    assert json.loads(data) == REPORT | {"answers": 1}
    assert data.endswith(b"\n")
    assert loop.reports == 1


def test_what_is_asked_meanwhile_gets_one_answer_when_the_first_is_read(loop: Loop) -> None:
    loop.process.start()
    (child,) = loop.children
    for _ in range(3):
        child.socket.send(b"?")
        loop.turn()
    assert loop.reports == 1
    data = b""
    for _ in range(400):
        data += received(child)
        loop.process.tick()
    assert [json.loads(line)["answers"] for line in data.splitlines()] == [1, 3]
    loop.turn()  # nothing was asked
    assert loop.reports == 2


def test_the_settings_are_handed_over_each_time(loop: Loop) -> None:
    for _ in range(2):
        loop.process.start()
        with os.fdopen(loop.children[-1].plan, "rb") as plan:
            settings, program, log = pickle.load(plan)
        assert settings.kata.node == "test"
        assert (program, log) == ("icapd", "preprocessor_icap.log")
        loop.children[-1].die(0)
        loop.turn()


def test_other_settings_need_another_process_only_where_the_page_shows_them(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    loop.process.start()
    settings = loop.settings
    loop.process.use(settings.model_copy(update={"policy": {}}))
    assert loop.watched
    status = settings.status.model_copy(update={"hosts": ["status.example"]})
    loop.process.use(settings.model_copy(update={"status": status}))
    assert not loop.watched  # the old one is told to end
    loop.process.tick()
    assert len(loop.children) == 1  # and is waited for: two would share what they keep
    loop.children[0].die(0)
    loop.process.tick()
    with os.fdopen(loop.children[1].plan, "rb") as plan:
        assert pickle.load(plan)[0].status.hosts == ["status.example"]
    assert not caplog.records


@pytest.mark.parametrize("call", ["socket.socketpair", "os.memfd_create"])
def test_a_lack_of_descriptors_passes(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    def none_left(*_: object) -> None:
        raise OSError(24, "Too many open files")

    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a number is all that is wanted
    with monkeypatch.context() as lack:
        lack.setattr(call, none_left)
        loop.process.start()
    assert "cannot be started: Too many open files" in caplog.text
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    monkeypatch.setattr(time, "monotonic", lambda: 1e9)
    loop.process.tick()
    assert len(loop.children) == 1


def test_a_child_that_dies_is_replaced_later_and_later(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    loop.process.start()
    for pause in (1, 2, 4):
        count = len(loop.children)
        loop.children[-1].die(-9)
        loop.turn()
        assert not loop.watched
        loop.process.tick()  # it is reaped
        now += pause - 0.1
        loop.process.tick()
        assert len(loop.children) == count
        now += 0.2
        loop.process.tick()
        assert len(loop.children) == count + 1
    now += 100.0  # who lived long is replaced at once
    loop.children[-1].die(1)
    loop.turn()
    loop.process.tick()
    loop.process.tick()
    assert len(loop.children) == 5


def test_no_process_can_be_started(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", fails)
    loop.process.start()
    loop.process.tick()
    assert "cannot be started: Resource temporarily unavailable" in caplog.text
    assert not loop.watched


def test_an_address_that_is_taken_is_one_sentence(loop: Loop, tmp_path: Path) -> None:
    site = Site(tmp_path / "other", "https://127.0.0.1:1", tmp_path / "client.pem")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address(*taken.getsockname())
        with pytest.raises(StartError, match=r"Name another with status\.icapd, or null"):
            StatusProcess(
                site.settings(), "icapd", address, "x", report=dict, watch=print, unwatch=print
            )
    del loop
