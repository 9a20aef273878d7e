"""What a service manager hears of the daemons, and that it hears it from them alone."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.emulator import Emulator
from tests.support.katabridge import Site
from tests.support.processes import Program, accepts, free_port, module, wait_until
from tests.support.service_manager import FakeManager
from tests.support.workers import Workers, children, figures

Keep = Callable[[Program], Program]
ALIVE = ["WATCHDOG=1"]
WATCHDOG = 2.0
PATIENCE = 8.0  # of a watchdog where workers hang: one that is only slow must not be killed
STATES = ("READY=1", "RELOADING=1")


def started_by(
    manager: FakeManager, monkeypatch: pytest.MonkeyPatch, site: Site, *command: str
) -> Program:
    for name, value in manager.environ.items():
        monkeypatch.setenv(name, value)
    words = [*module(command[0]), *command[1:], "--config", site.config]
    return Program(words, site.directory / f"{command[0]}.out")


def assert_silent_while_frozen(manager: FakeManager, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: state(pid).split()[0] == "T", "it stands still")
        manager.hear()
        time.sleep(WATCHDOG)  # it has to be waited for that nothing comes
        assert manager.hear() == []
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: ALIVE in manager.hear(), "it lives again")


def is_ready_again(manager: FakeManager) -> bool:
    return states(manager) == ["READY=1", "RELOADING=1", "READY=1"]


def states(manager: FakeManager) -> list[str]:
    """All that it said of itself by now, but for signs of life."""
    manager.hear()
    return [told.lines[0] for told in manager.told if told.lines != ALIVE]


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]


def test_the_doors_tell_when_they_serve_live_and_stop(
    site: Site, started: Keep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site.changes = {"status": {"watch": f"127.0.0.1:{free_port()}"}}
    name = f"@katabridge-{secrets.token_hex(8)}"
    with FakeManager(name, WATCHDOG) as one, FakeManager(str(tmp_path / "n"), WATCHDOG) as other:
        icapd = started(started_by(one, monkeypatch, site, "icapd.cli"))
        watch = started(started_by(other, monkeypatch, site, "bridge.cli", "watch"))
        icapd.wait_for(lambda: one.has_heard("READY=1"), "icapd")
        assert accepts(site.icap_port)
        listens = f"STATUS=listens on 127.0.0.1:{site.icap_port}"
        assert ["READY=1", listens] in [told.lines for told in one.told]
        watch.wait_for(lambda: other.has_heard("READY=1"), "watch")
        assert "watches" in watch.output()
        assert other.has_heard("STATUS=watches share")
        icapd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: is_ready_again(one), "it says that it reloads, and has")
        assert_silent_while_frozen(one, icapd.process.pid)
        wait_until(lambda: ALIVE in other.hear(), "it lives")
        page = status_page(watch)
        assert b"SOCKET=" not in Path(f"/proc/{page}/environ").read_bytes()
        for program, manager in ((icapd, one), (watch, other)):
            assert not manager.has_heard("STOPPING=1")
            program.stop()
            assert manager.has_heard("STOPPING=1")
            assert {told.pid for told in manager.told} == {program.process.pid}


def status_page(program: Program) -> str:
    pid = program.process.pid
    (page,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return page


def test_the_supervisor_speaks_for_its_workers_and_hides_none_that_hangs(
    kata: Emulator, site: Site, started: Keep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = free_port()
    site.changes = {"icap": {"workers": 2}, "status": {"icapd": f"127.0.0.1:{port}"}}
    with FakeManager(str(tmp_path / "notify"), PATIENCE) as manager:
        icapd = started(started_by(manager, monkeypatch, site, "icapd.cli"))
        icapd.wait_for(lambda: manager.has_heard("READY=1"), "icapd")
        assert accepts(site.icap_port)
        assert "icapd listens" in icapd.output()
        icapd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: is_ready_again(manager), "it says that it reloads, and has")
        workers = Workers(site, kata, icapd)
        stuck = workers.pid_of("test.icap.1")
        os.kill(stuck, signal.SIGSTOP)
        words = "worker 1 hangs: it has said nothing for long, and is killed"
        wait_until(lambda: words in icapd.output(), "that it hangs is seen", 30)
        wait_until(lambda: "worker 1 works again" in icapd.output(), "it is replaced")
        assert "worker 1 was ended by SIGKILL. It is replaced now" in icapd.output()
        assert len(children(icapd)) == 2
        assert figures(port)["katabridge_worker_hangs_total"] == 1
        assert_reloads_nothing_while_it_stops(icapd, manager)
        assert manager.has_heard(*ALIVE)
        assert {told.pid for told in manager.told} == {icapd.process.pid}


def assert_reloads_nothing_while_it_stops(icapd: Program, manager: FakeManager) -> None:
    stuck = children(icapd)[0]
    os.kill(stuck, signal.SIGSTOP)
    icapd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: states(manager)[-1] == "RELOADING=1", "the second reload begins")
    icapd.process.terminate()
    wait_until(lambda: states(manager)[-1] == "STOPPING=1", "it stops")
    icapd.process.send_signal(signal.SIGHUP)
    os.kill(stuck, signal.SIGCONT)
    assert icapd.stop() == 0
    assert states(manager) == [*STATES, "READY=1", "RELOADING=1", "STOPPING=1"]
    assert icapd.output().count("is reloaded") == 1, "the first"
    assert "the program stops" in icapd.output()
