"""`make run`, on other ports: four cases, then it stays up, and Ctrl-C ends everything."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from examples.demo.__main__ import end_by_signals, proxy_command
from examples.demo.site import Site
from tests.support.certificates import put_certificate
from tests.support.processes import Program, accepts, free_port, module, wait_until
from tests.support.workers import is_alive

ROOT = Path(__file__).parents[2]
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start(home: Path, kata_port: int, icap_port: int) -> Program:
    status_port = free_port()
    while (following := free_port()) != status_port + 1:  # two, one after the other
        status_port = following
    ports = ["--kata-port", kata_port, "--icap-port", icap_port, "--status-port", status_port]
    command = [*module("examples.demo"), "--home", home, *ports]
    return Program(command, home.with_suffix(".out"))


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def test_four_cases_then_it_stays_up_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    kata_port, icap_port = free_port(), free_port()
    demo = start(tmp_path / "demo", kata_port, icap_port)
    wait_until(lambda: "Ctrl-C ends everything." in demo.output(), "the demonstration is up", 60)
    rows = [line.split() for line in demo.output().splitlines() if line[:6] in ("ICAP  ", "FOLDER")]
    assert [row[:5] for row in rows] == [
        ["ICAP", "clean.txt", "not_detected", "kata", "pass"],
        ["ICAP", "eicar.com", "detect", "kata", "block"],
        ["FOLDER", "clean.txt", "not_detected", "known", "pass"],
        ["FOLDER", "eicar.com", "detect", "known", "block"],
    ]
    assert demo.output().count('"case":"') == 4
    assert (tmp_path / "demo" / "quarantine" / "eicar.com").exists()
    assert "delay=40" in (tmp_path / "demo" / "slow.bin").read_text()
    assert "8000/slow.bin" in demo.output()
    proxy = f"ICAP_PORT={icap_port} DEMO={tmp_path}/demo sh examples/squid/try.sh --stay\n"
    assert proxy in demo.output()
    programs = children(demo.process.pid)
    assert len(programs) == 3
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 0
    assert "Everything has ended." in demo.output()
    assert not [pid for pid in programs if os.path.exists(f"/proc/{pid}")]  # noqa: PTH110
    assert not accepts(kata_port)
    assert not accepts(icap_port)


@pytest.mark.parametrize(("number", "count"), [(signal.SIGHUP, 2), (signal.SIGKILL, 3)])
def test_it_takes_all_it_started_with_it_however_it_ends(
    tmp_path: Path, number: int, count: int
) -> None:
    demo = start(tmp_path / "demo", free_port(), free_port())
    wait_until(lambda: len(children(demo.process.pid)) == count, f"it has {count} programs", 60)
    programs = children(demo.process.pid)
    demo.process.send_signal(number)
    assert demo.process.wait(30) == (0 if number == signal.SIGHUP else -number)
    wait_until(lambda: not any(map(is_alive, programs)), "they have ended", 30)


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    said = {}
    before = {number: signal.getsignal(number) for number in ENDS}
    try:
        for hangup in (signal.SIG_IGN, signal.SIG_DFL):  # nohup's, and a terminal's
            signal.signal(signal.SIGHUP, hangup)
            end_by_signals()
            said[hangup] = signal.getsignal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    ended = signal.default_int_handler
    assert said == {signal.SIG_IGN: signal.SIG_IGN, signal.SIG_DFL: ended}


def test_the_usual_proxy_needs_no_variables() -> None:
    usual = Site(Path("var/demo"), 1, 1344, 2)
    assert proxy_command(usual) == "sh examples/squid/try.sh --stay"
    odd = Site(Path("/a b"), 1, 1344, 2)
    assert proxy_command(odd) == "DEMO='/a b' sh examples/squid/try.sh --stay"


def run_make(tmp_path: Path, *words: str, exists: bool) -> subprocess.CompletedProcess[str]:
    """`make run`, with an environment that has a Python that only prints its arguments, or none."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    if exists:
        (venv / "bin" / "python").write_text('#!/bin/sh\necho "$PPID $*"\n')
        (venv / "bin" / "python").chmod(0o755)
        (venv / ".run").touch()
    command = ["make", "--no-print-directory", "run", f"VENV={venv}", *words]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )


def test_it_ends_with_make(tmp_path: Path) -> None:
    parent, *words = run_make(tmp_path, exists=True).stdout.split()
    assert words == ["-m", "examples.demo.tied", parent, "examples.demo"]


def test_a_python_that_is_missing_is_not_called_old(tmp_path: Path) -> None:
    done = run_make(tmp_path, "PYTHON=python9", exists=False)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert said == ["make: there is no python9; name one: make PYTHON=python3.11 …"]


def test_what_holds_the_token_is_for_its_owner_alone(tmp_path: Path) -> None:
    site = Site(tmp_path / "demo", 1, 2, 3)
    site.home.mkdir()
    put_certificate(site.home / "client.pem", site.home / "client.key")
    site.config.write_text("of an earlier version, and open to all")
    site.prepare()
    token = site.token
    assert site.config.read_text().count(token) == 1
    for name in ("katabridge.yaml", "token"):
        assert oct((site.home / name).stat().st_mode & 0o777) == "0o600", name
    (site.home / "token").chmod(0o644)
    site.prepare()
    assert site.token == token
    assert (site.home / "token").stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_one_clear_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start(tmp_path / "demo", free_port(), port)
        assert demo.process.wait(30) == 1
    assert demo.output() == (
        f"make run: 127.0.0.1:{port}, where the ICAP door would listen, "
        "is taken by another program.\n"
    )


@pytest.mark.long
def test_a_program_that_ends_by_itself_ends_the_demonstration(tmp_path: Path) -> None:
    demo = start(tmp_path / "demo", free_port(), free_port())
    wait_until(lambda: "Ctrl-C ends everything." in demo.output(), "the demonstration is up", 60)
    os.kill(children(demo.process.pid)[1], signal.SIGKILL)
    assert demo.process.wait(30) == 1
    assert "one of the programs has ended" in demo.output()
