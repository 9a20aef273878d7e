"""The parts of the test harness that need no program."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import pytest

from bridge import testing
from bridge.core import VERDICT_LOG, WATCH_LOG
from bridge.testing import (
    EICAR,
    Delivery,
    FolderBridge,
    HarnessError,
    IcapdServer,
    KataEmulator,
    Program,
    Site,
    accepts,
    free_port,
    plugin,
    wait_until,
)
from bridge.testing.certificates import put_certificate
from bridge.testing.changes import changed
from bridge.testing.doors import reload_answers
from bridge.testing.site import fits
from tests.support.workers import is_alive

ROOT = Path(__file__).parents[2]
GUARD = str(ROOT / "bridge" / "testing" / "guard.py")
DOCUMENTED = (ROOT / "docs" / "harness.md").read_text()
RECORD = {"decision": "block", "name": "a", "context": {"url": "http://a/", "user": None}}


class Colour(StrEnum):
    RED = "red"


class Word(str):
    __slots__ = ()


@pytest.fixture
def plain_site(tmp_path: Path) -> Site:
    """A site without a Central Node."""
    return Site(tmp_path / "site", "https://127.0.0.1:1", tmp_path / "server.pem")


@pytest.fixture
def kata(tmp_path: Path) -> Iterator[KataEmulator]:
    """An emulated KATA."""
    running = KataEmulator(tmp_path / "kata")
    yield running
    running.down()


def test_changes_are_merged_and_lists_replaced(plain_site: Site) -> None:
    plain_site.changes = {"icap": {"preview": 1, "allow_from": ["10.0.0.1"]}}
    got = changed(plain_site, {"icap": {"allow_from": ["::1"]}, "submit": {"types": ["image"]}})
    assert got == {
        "icap": {"preview": 1, "allow_from": ["::1"]},
        "submit": {"types": ["image"]},
    }
    assert plain_site.changes["icap"]["allow_from"] == ["10.0.0.1"]


def test_the_first_folder_need_not_say_where_it_is(plain_site: Site) -> None:
    second = {"name": "b", "input": "b", "output": "c", "quarantine": "d"}
    got = changed(plain_site, {"folders": [{"recursive": True, "settle": "1s"}, second]})
    first = {**plain_site.folder, "recursive": True, "settle": "1s"}
    assert got == {"folders": [first, second]}
    assert changed(plain_site, {"folders": 3}) == {"folders": 3}, "it is for katabridge to refuse"


@pytest.mark.parametrize(
    "changes",
    [
        {"icap": {"listen": ["0.0.0.0:1344"]}},
        {"logs": {"dir": "/tmp"}},
        {"logs": {"level": "error"}},
        {"spool": {"dir": "/tmp"}},
    ],
)
def test_what_the_harness_needs_itself_is_refused(
    plain_site: Site, changes: dict[str, dict[str, object]]
) -> None:
    ((section, keys),) = changes.items()
    sentence = rf"^{section}\.{next(iter(keys))} cannot be set"
    with pytest.raises(HarnessError, match=sentence):
        changed(plain_site, changes)
    with pytest.raises(HarnessError, match=rf"^{section} cannot be set as a whole"):
        changed(plain_site, {section: None})
    plain_site.changes = changes
    for door in (IcapdServer, FolderBridge):
        with pytest.raises(HarnessError, match=sentence):
            door(plain_site)


def test_a_value_that_a_file_cannot_hold_is_made_of_what_it_can_or_named(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", "https://127.0.0.1:1", _certificate(tmp_path))
    places = MappingProxyType({"input": Path("in2"), "ignore": ("*.a", "*.b")})
    site.changes = {"icap": {"pages": {"dir": tmp_path}}, "folders": [places]}
    got = changed(site, {"icap": {"mode": Colour.RED}})
    assert got["icap"] == {"pages": {"dir": str(tmp_path)}, "mode": "red"}
    assert got["folders"] == [{**site.folder, "input": "in2", "ignore": ["*.a", "*.b"]}]
    text = site.write().read_text()
    for odd in (timedelta(seconds=1), b"x", {"a"}, Word("x")):
        site.changes = {"folders": [{}, {"settle": odd}]}
        kind = type(odd).__name__
        sentence = rf"^folders\[1\]\.settle cannot be set to a {kind} in a test: "
        with pytest.raises(HarnessError, match=sentence):
            changed(site, {})
        with pytest.raises(HarnessError, match=sentence):
            site.settings()
    with pytest.raises(HarnessError, match=r"^icap\.1 is no name of a setting"):
        site.changes = {}
        changed(site, {"icap": {1: 2}})
    assert (site.directory / "katabridge.yaml").read_text() == text


def test_a_record_is_chosen_by_its_own_values_and_its_contexts() -> None:
    assert fits(RECORD, {"decision": "block", "url": "http://a/", "user": None})
    assert not fits(RECORD, {"decision": "pass", "url": "http://a/"})
    assert not fits(RECORD, {"url": "http://b/"})
    assert not fits(RECORD, {"unknown": "x"})


def test_what_came_of_a_reload_is_read_in_the_log() -> None:
    log = (
        "2026 warning the configuration /x/a b.yaml is reloaded; after a restart: icap.workers\n"
        "2026 info something else is reloaded\n"
        "2026 error the configuration /x.yaml is not reloaded: /x.yaml:3: no; the old one stays\n"
    )
    first, second = reload_answers(log)
    assert first.startswith("the configuration /x/a b.yaml is reloaded; after")
    assert second == "the configuration /x.yaml is not reloaded: /x.yaml:3: no; the old one stays"


def test_a_verdict_is_scripted_for_bytes_or_their_sha256(tmp_path: Path) -> None:
    with_hash = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    kata = KataEmulator(tmp_path)
    try:
        kata.judge(b"bad")
        kata.judge(with_hash.upper(), "error", delay=3)
        kata.judge(EICAR, "not detected")
        script = kata.memory.script
        assert script(_sha(b"bad"), b"bad").state == "detect"
        assert (script(with_hash, b"a").state, script(with_hash, b"a").delay) == ("error", 3)
        assert script(_sha(EICAR), EICAR).state == "not detected"
        assert script(_sha(b"x"), b"#kata state=timeout\n").state == "timeout"
        with pytest.raises(ValueError, match="'bad' is no sha256"):
            kata.judge("bad")
    finally:
        kata.down()


def test_a_verdict_may_be_spelled_as_kata_does_or_as_records_do(kata: KataEmulator) -> None:
    for state in ("not detected", "not_detected"):
        kata.judge(EICAR, "detect")
        kata.judge(EICAR, state)
        assert kata.memory.script(_sha(EICAR), EICAR).state == "not detected"
    with pytest.raises(ValueError, match=r"^'dtect' is no state of a scan; .*'not detected'"):
        kata.judge(EICAR, "dtect")  # type: ignore[arg-type]
    assert kata.memory.script(_sha(EICAR), EICAR).state == "not detected", "as it was"


def test_a_fault_is_one_that_the_emulator_has(kata: KataEmulator) -> None:
    kata.fail(429)
    assert kata.memory.script(_sha(b""), b"").fault == "429"
    for fault in ("503", 503, "dorp", None):
        with pytest.raises(
            ValueError, match=rf"^'{fault}' is no fault; these are: '429', .*'drop'"
        ):
            kata.fail(fault)  # type: ignore[arg-type]
    assert kata.memory.script(_sha(b""), b"").fault == "429", "as it was"


def test_kata_is_up_again_on_a_port_that_no_connection_gets(kata: KataEmulator) -> None:
    port = int(kata.url.rpartition(":")[2])
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not first <= port <= last
    kata.down()
    sentence = rf"^KATA cannot be up again on 127\.0\.0\.1:{port}: "
    with socket.create_server(("127.0.0.1", port)), pytest.raises(HarnessError, match=sentence):
        kata.up()
    kata.up()
    assert accepts(port)


def test_a_failing_kata_judges_as_before_once_it_recovers(tmp_path: Path) -> None:
    kata = KataEmulator(tmp_path)
    try:
        sha256, memory = _sha(EICAR), kata.memory
        kata.fail("413", times=1)
        failing = memory.script(sha256, EICAR)
        assert (failing.fault, failing.state) == ("413", "detect")
        assert memory.fault_due(sha256, failing)
        assert not memory.fault_due(sha256, failing), "once only"
        kata.fail("drop", times=1)
        assert memory.fault_due(sha256, memory.script(sha256, EICAR)), "counted anew"
        kata.recover()
        assert memory.script(sha256, EICAR).fault is None
    finally:
        kata.down()


STARTER = """
import os, signal, sys, threading, time
from pathlib import Path
from bridge.testing import Program

def start(name, script):
    log = Path(sys.argv[1], name)
    program = Program([sys.executable, "-ISc", script], log)
    program.wait_for(lambda: "ready" in program.said(), name)
    started.append(program.process)

READY = "import time; print('ready', flush=True); "
started = []
start("polite", READY + "time.sleep(100)")
thread = threading.Thread(target=start, args=("of-a-thread", READY + "time.sleep(100)"))
thread.start()
thread.join()
if os.geteuid() == 0:  # as Squid does, which forgets the kernel's ties
    start("of-another-user", "import os, time; os.setuid(65534); " + READY + "time.sleep(100)")
Program(["true"], Path(sys.argv[1], "gone")).process.wait()
print(*(each.pid for each in started), all(each.poll() is None for each in started), flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("end", ["killed", "of itself"])
def test_programs_end_with_who_started_them_however_that_ends(tmp_path: Path, end: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STARTER, tmp_path, end],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    assert done.stdout, done.stderr
    *pids, ran = done.stdout.split()
    assert ran == "True", "none ends with the thread that started it"
    assert len(pids) >= 2, done.stderr
    left = list(map(int, pids))
    wait_until(lambda: not any(map(is_alive, left)), "what it started has ended")


def test_a_guard_that_comes_late_ends_what_it_was_told_of() -> None:
    """On a busy machine a run may be killed before its guard has begun."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    with subprocess.Popen(["sleep", "100"], start_new_session=True) as left:
        guard = [sys.executable, "-I", "-S", GUARD, str(gone.pid)]
        subprocess.run(guard, input=b"%d\n" % left.pid, check=True, timeout=60)
        try:
            assert left.wait(10) == -signal.SIGTERM
        finally:
            left.kill()


def test_a_program_that_does_not_start_is_named_with_its_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("of an earlier start\n")
    program = Program([sys.executable, "-c", "print('port is odd'); raise SystemExit(3)"], log)
    with pytest.raises(HarnessError) as caught:
        program.wait_for(lambda: False, "it")
    assert str(caught.value) == "it did not start:\nport is odd\n"


PORTS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from bridge.testing import free_port
with ThreadPoolExecutor(8) as threads:
    print(*threads.map(lambda _: free_port(), range(int(sys.argv[1]))), flush=True)
sys.stdin.read()
"""


def test_no_two_processes_or_threads_get_the_same_port() -> None:
    many = 250
    command = [sys.executable, "-c", PORTS, str(many)]
    here = {free_port() for _ in range(many)}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTEST_XDIST_WORKER": "of-my-own"},
    ) as other:
        assert other.stdout is not None
        there = {int(word) for word in other.stdout.readline().split()}
        here |= {free_port() for _ in range(many)}
        other.communicate()
    assert (len(here), len(there)) == (2 * many, many)
    assert not here & there
    assert all(20000 <= port < 32000 for port in here | there), "connections are given others"


class _Crowded(Site):
    """A site whose first ports are taken by another program."""

    taken = 2

    def start_icapd(self) -> Program:
        if self.taken:
            self.taken -= 1
            raise HarnessError(
                "icapd did not start:\nicapd: cannot listen on …: it is taken by another program."
            )
        script = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done"
        program = Program(["sh", "-c", script], self.directory / "icapd.out")
        program.wait_for(lambda: "ready" in program.said(), "sh")
        return program


def test_a_door_takes_another_port_only_at_its_first_start(tmp_path: Path) -> None:
    site = _Crowded(tmp_path / "site", "https://127.0.0.1:1", tmp_path / "server.pem")
    asked = site.icap_port
    server = IcapdServer(site)
    assert server.port == site.icap_port != asked
    server.stop()
    site.taken, chosen = 1, server.port
    with pytest.raises(HarnessError, match="did not start"):
        server.start()
    assert server.port == chosen


RELOADING = """
trap 'exit 0' TERM
trap 'if grep -q nonsense katabridge.yaml
    then echo "error the configuration k.yaml is not reloaded: nonsense; the old one stays" >>{log}
    elif grep -q workers katabridge.yaml
    then echo "info the configuration k.yaml is reloaded; after a restart: icap.workers" >>{log}
    elif grep -q deadly katabridge.yaml
    then exit 3
    else echo "info the configuration k.yaml is reloaded" >>{log}
    fi' HUP
echo ready
while :; do sleep 0.02; done
"""


class _Reloading(Site):
    """A site whose door reads its file when it is told to, and refuses one word."""

    def start_icapd(self) -> Program:
        return self._start(VERDICT_LOG)

    def start_watch(self) -> Program:
        return self._start(WATCH_LOG)

    def _start(self, log_name: str) -> Program:
        log = self.directory / "log" / log_name
        log.parent.mkdir(exist_ok=True)
        log.touch()
        self.write()
        script = RELOADING.format(log=log)
        program = Program(["sh", "-c", script], self.directory / "icapd.out", self.directory)
        program.wait_for(lambda: "ready" in program.said(), "sh")
        return program


@pytest.fixture
def reloading(tmp_path: Path) -> _Reloading:
    """Such a site, without a Central Node."""
    return _Reloading(tmp_path / "site", "https://127.0.0.1:1", _certificate(tmp_path))


def test_a_reload_counts_or_all_is_as_before(reloading: _Reloading) -> None:
    site, server = reloading, IcapdServer(reloading)
    server.reload({"icap": {"preview": 77}})
    with pytest.raises(HarnessError, match=r"^the configuration k\.yaml is not reloaded: nonsense"):
        server.reload({"icap": {"nonsense": 1}})
    with pytest.raises(HarnessError, match=r"k\.yaml is reloaded; after a restart: icap.workers$"):
        server.reload({"icap": {"workers": 2}})
    assert site.changes == {"icap": {"preview": 77}}
    assert reload_answers(server.log())[-1].endswith("is reloaded"), "what counted is taken back"
    with pytest.raises(HarnessError, match=r"^icap\.preview cannot be set to a bytes"):
        server.reload({"icap": {"preview": b"1"}})
    assert site.changes == {"icap": {"preview": 77}}
    text = (site.directory / "katabridge.yaml").read_text()
    assert "nonsense" not in text
    assert "workers" not in text
    server.reload({"submit": {"types": ["image"]}})
    assert site.settings().icap.preview == 77
    server.stop()


def test_a_door_that_is_not_there_is_not_reloaded(reloading: _Reloading) -> None:
    server = IcapdServer(reloading)
    server.stop()
    with pytest.raises(HarnessError, match=r"^icapd is stopped; start it first\.$"):
        server.reload({"icap": {"preview": 77}})
    assert reloading.changes == {}


@pytest.mark.parametrize("kind", [IcapdServer, FolderBridge])
def test_a_door_that_ended_without_stop_is_an_error(
    reloading: _Reloading, kind: type[IcapdServer | FolderBridge]
) -> None:
    door = kind(reloading)
    os.kill(door.pid, signal.SIGTERM)
    wait_until(lambda: not is_alive(door.pid), "it has ended")
    sentence = rf"^{door.name} ended by itself, with exit code 0:\nready\n$"
    with pytest.raises(HarnessError, match=sentence):
        door.stop()
    door.stop()
    assert not door.log()
    door.log_file.unlink()
    assert not door.log()
    door.start()
    door.stop()


def test_several_threads_drop_at_a_time(reloading: _Reloading) -> None:
    door = FolderBridge(reloading)  # which leaves the files where they are
    files = {f"{number}.bin": bytes([number]) * 3_000_000 for number in range(8)}
    with ThreadPoolExecutor(len(files)) as threads:
        dropped = list(threads.map(door.drop, files, files.values()))
    assert [path.read_bytes() == files[path.name] for path in dropped] == [True] * len(files)
    assert {path.name for path in door.input.iterdir()} == files.keys()
    door.stop()


def test_a_reload_of_folders_is_followed(reloading: _Reloading) -> None:
    door = FolderBridge(reloading)
    old, output = door.drop("a", b"1"), door.output
    moved = {key: reloading.directory / f"new-{key}" for key in ("input", "output", "quarantine")}
    for path in moved.values():
        path.mkdir()
    door.reload({"folders": [moved]})
    assert [door.input, door.output, door.quarantine] == [*moved.values()]
    new = door.drop("b", b"2")
    assert new.parent == door.input != old.parent

    log = reloading.directory / "log" / "log-history.log"
    ends = [(old, output), (new, door.quarantine)]
    contexts = [{"path": str(path), "moved_to": str(to / path.name)} for path, to in ends]
    lines = [json.dumps({"door": "FOLDER", "context": context}) for context in contexts]
    log.write_text("".join(f"{line}\n" for line in lines))
    assert [door.wait_for_delivery(name, 0).place for name in "ab"] == ["output", "quarantine"]
    door.stop()
    reloading.changes = {}
    door.start()
    assert door.input == old.parent, "a start reads the file, too"
    door.stop()


def test_a_reload_that_ends_the_door_says_so(reloading: _Reloading) -> None:
    server = IcapdServer(reloading)
    with pytest.raises(HarnessError, match=r"^icapd ended by itself, with exit code 3:\nready\n$"):
        server.reload({"icap": {"deadly": 1}})
    assert reloading.changes == {}
    assert "deadly" not in (reloading.directory / "katabridge.yaml").read_text()


@pytest.mark.parametrize("kind", [KataEmulator, IcapdServer, FolderBridge, Delivery])
def test_everything_of_a_fixture_is_documented(kind: type) -> None:
    public = {name for name in dir(kind) if not name.startswith("_")}
    assert len(public) > 2
    assert {name for name in public if f"`{name}" not in DOCUMENTED} == set()


def test_every_fixture_and_name_is_documented() -> None:
    kind = type(plugin.icap_client)
    fixtures = {name for name, value in vars(plugin).items() if type(value) is kind}
    assert "folder_bridge" in fixtures
    assert {name for name in (*fixtures, *testing.__all__) if f"`{name}" not in DOCUMENTED} == set()


def test_a_package_that_is_missing_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert all(getattr(testing, name) is not None for name in testing.__all__)
    monkeypatch.setitem(sys.modules, "bridge.testing.kata", None)
    with pytest.raises(ImportError, match=r"; install katabridge\[harness\]\.$"):
        testing.KataEmulator  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'Kata'"):
        testing.Kata  # noqa: B018


def _certificate(folder: Path) -> Path:
    put_certificate(folder / "server.pem", folder / "server.key")
    return folder / "server.pem"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
