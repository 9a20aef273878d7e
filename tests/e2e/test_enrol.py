"""`kata-bridge enrol` as a program: from nothing to a system that KATA accepts."""

from __future__ import annotations

import json
import re
import signal
import ssl
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.core import Address, fingerprint
from bridge.emulator import EICAR, Emulator, Memory, accept_sensor
from tests.support.certificates import put_certificate
from tests.support.commands import Done, call, patched
from tests.support.processes import Program, free_port, module, wait_until
from tests.support.terminals import Terminal

ROOT = Path(__file__).parents[2]


SOON = """
from bridge.commands import enrol_trust, enrol_wait
enrol_trust.ASK_SECONDS = enrol_wait.ASK_SECONDS = 0.2
"""


def command(home: Path, *more: object) -> list[str]:
    """The program, which asks again without waiting long."""
    return patched(SOON, "enrol", "--dir", home, *more)


def enrol(home: Path, *more: object) -> Done:
    """Call it with nobody at the keyboard."""
    return call("enrol", "--dir", home, *more)


def scan(home: Path, *paths: Path) -> int:
    config = ["--config", str(home / "katabridge.yaml")]
    done = subprocess.run(
        [*module("bridge.cli"), "scan", *config, *map(str, paths)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode


def contents(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}


def config(home: Path) -> dict[str, Any]:
    loaded = yaml.safe_load((home / "katabridge.yaml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def change(home: Path, old: str, new: str) -> None:
    path = home / "katabridge.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def another_kata(directory: Path, port: int = 0, name: str = "another") -> Emulator:
    put_certificate(directory / "server.pem", directory / "server.key", name)
    return Emulator(Memory(directory), Address("127.0.0.1", port))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where enrolment puts everything; not there yet."""
    return tmp_path / "home"


@pytest.fixture
def enrolled(kata: Emulator, home: Path) -> Path:
    """The same, enrolled."""
    done = enrol(home, "--url", kata.url, "--yes")
    assert done.returncode == 0, done.stderr
    return home


def test_from_nothing_to_accepted_and_then_scan_works(
    kata: Emulator, home: Path, tmp_path: Path
) -> None:
    line = [*module("bridge.cli"), "enrol", "--dir", str(home), "--url", kata.url, "--yes"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(contents(home)) == ["client.key", "client.pem", "katabridge.yaml"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert modes == {"client.key": 0o600, "client.pem": 0o644, "katabridge.yaml": 0o640}
    written = config(home)["kata"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", written["sensor_id"])
    assert config(home)["verdicts"] == {"store": f"sqlite://{home}/verdicts.db"}
    assert (config(home)["spool"], config(home)["logs"]) == ({"dir": "spool"}, {"dir": "log"})
    pin = f"sha256:{fingerprint(kata.certificate)}"
    assert written["server_fingerprint"] == pin
    assert f"\n  {pin}\n  subject CN=kata\n  valid from 20" in done.stdout
    sensors = json.loads((kata.memory.directory / "sensors.json").read_text())
    assert sensors.keys() == {written["sensor_id"]}
    clean, bad = tmp_path / "clean", tmp_path / "eicar"
    clean.write_bytes(b"clean")
    bad.write_bytes(EICAR)
    assert scan(home, clean) == 0
    assert scan(home, clean, bad) == 1


def test_the_second_time_changes_nothing(enrolled: Path) -> None:
    before = contents(enrolled)
    done = enrol(enrolled)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(enrolled) == before
    assert "It is the certificate of kata.server_fingerprint." in done.stdout
    assert "exist: they are used as they are" in done.stdout


def test_it_waits_for_the_administrator(
    kata: Emulator, home: Path, started: Callable[[Program], Program]
) -> None:
    kata.memory.accept = "manual"
    program = started(Program(command(home, "--url", kata.url, "--yes"), home.with_suffix(".out")))
    wait_until(lambda: "Waiting for the KATA admin" in program.output(), "it waits", 20)
    sensor = config(home)["kata"]["sensor_id"]
    assert f"External systems > Server list > Accept, for sensorId {sensor}\n" in program.output()
    assert f"(its certificate: sha256:{fingerprint(home / 'client.pem')})" in program.output()
    assert program.process.poll() is None
    assert accept_sensor(kata.memory.directory, sensor)
    assert program.process.wait(20) == 0
    assert f"{kata.url} accepts this system.\n" in program.output()


def test_the_clock_runs_on_a_terminal(kata: Emulator, home: Path) -> None:
    kata.memory.accept = "manual"
    with Terminal(command(home, "--url", kata.url, "--yes", "--timeout", "90m")) as terminal:
        terminal.expect("Waiting for the KATA administrator: 0:00:02 of 1:30:00")
        accept_sensor(kata.memory.directory, config(home)["kata"]["sensor_id"])
        assert terminal.wait() == 0
        assert "KATA accepts this system." in terminal.shown
        assert terminal.shown.count("has not accepted this system yet") == 1


def test_time_is_up_and_the_next_call_goes_on(kata: Emulator, home: Path) -> None:
    kata.memory.accept = "manual"
    done = enrol(home, "--url", kata.url, "--yes", "--timeout", "300ms")
    assert done.returncode == 1
    assert "time is up. What was made is kept: call it again." in done.stderr
    before = contents(home)
    accept_sensor(kata.memory.directory, config(home)["kata"]["sensor_id"])
    assert enrol(home).returncode == 0
    assert contents(home) == before


def test_ctrl_c_keeps_what_was_made(kata: Emulator, home: Path) -> None:
    kata.memory.accept = "manual"
    program = Program(command(home, "--url", kata.url, "--yes"), home.with_suffix(".out"))
    wait_until(lambda: "Waiting for the KATA admin" in program.output(), "it waits", 20)
    program.process.send_signal(signal.SIGINT)
    assert program.process.wait(20) == 1
    assert "stopped. What was made is kept: call it again.\n" in program.output()
    assert "Traceback" not in program.output()
    accept_sensor(kata.memory.directory, config(home)["kata"]["sensor_id"])
    assert enrol(home).returncode == 0


@pytest.mark.sample(2)
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES", 0), ("n", 1), ("", 1)])
def test_a_person_is_asked(kata: Emulator, home: Path, answer: str, code: int) -> None:
    with Terminal(command(home, "--url", kata.url)) as terminal:
        terminal.expect("Trust it? [y/N] ")
        assert f"sha256:{fingerprint(kata.certificate)}" in terminal.shown
        assert not kata.memory.calls, "a request was sent before it was confirmed"
        assert not home.exists()
        terminal.type(answer)
        assert terminal.wait() == code
        if code:
            assert "the certificate is not trusted. Nothing was sent." in terminal.shown
    assert home.exists() is not bool(code)
    assert bool(kata.memory.calls) is not bool(code)


def test_ctrl_c_at_the_question_ends_it(kata: Emulator, home: Path) -> None:
    with Terminal(command(home, "--url", kata.url)) as terminal:
        terminal.expect("Trust it? [y/N] ")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait() == 1
        assert "stopped." in terminal.shown
        assert "Traceback" not in terminal.shown


def test_without_a_person_it_says_what_to_do(kata: Emulator, home: Path) -> None:
    done = enrol(home, "--url", kata.url)
    assert done.returncode == 1
    assert "call this with --yes, or write its fingerprint as kata.server_fing" in done.stderr
    assert not home.exists()
    assert not kata.memory.calls


def test_force_makes_everything_anew_and_keeps_the_old_pair(kata: Emulator, enrolled: Path) -> None:
    before, old_id = contents(enrolled), config(enrolled)["kata"]["sensor_id"]
    assert enrol(enrolled, "--force").returncode == 0
    after = contents(enrolled)
    assert after["client.pem.old"] == before["client.pem"]
    assert after["client.key.old"] == before["client.key"]
    assert after["client.pem"] != before["client.pem"]
    new_id = config(enrolled)["kata"]["sensor_id"]
    changed = before["katabridge.yaml"].replace(old_id.encode(), new_id.encode())
    assert after["katabridge.yaml"] == changed != before["katabridge.yaml"]
    sensors = json.loads((kata.memory.directory / "sensors.json").read_text())
    assert sensors.keys() == {old_id, new_id}


def test_renew_keeps_the_id_and_waits_to_be_accepted_anew(
    kata: Emulator, enrolled: Path, started: Callable[[Program], Program]
) -> None:
    before = contents(enrolled)
    program = started(Program(command(enrolled, "--renew"), enrolled.with_suffix(".out")))
    wait_until(lambda: "Waiting for the KATA admin" in program.output(), "it waits", 20)
    assert "KATA must accept this system anew: until then it takes no files" in program.output()
    after = contents(enrolled)
    assert after["katabridge.yaml"] == before["katabridge.yaml"]
    assert after["client.pem.old"] == before["client.pem"]
    assert after["client.pem"] != before["client.pem"]
    assert stat.S_IMODE((enrolled / "client.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((enrolled / "client.key.old").stat().st_mode) == 0o600
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(enrolled / "client.pem", enrolled / "client.key")
    accept_sensor(kata.memory.directory, config(enrolled)["kata"]["sensor_id"])
    assert program.process.wait(20) == 0


def test_a_renewal_that_nobody_accepted_is_not_made_twice(kata: Emulator, enrolled: Path) -> None:
    done = enrol(enrolled, "--renew", "--timeout", "200ms")
    assert done.returncode == 1
    assert "call it again without --renew and --force." in done.stderr
    before = contents(enrolled)
    accept_sensor(kata.memory.directory, config(enrolled)["kata"]["sensor_id"])
    assert enrol(enrolled).returncode == 0
    assert contents(enrolled) == before


@pytest.mark.parametrize("gone", ["client.pem", "client.key"])
def test_half_a_pair_is_refused(kata: Emulator, enrolled: Path, gone: str) -> None:
    (enrolled / gone).unlink()
    before, asked = contents(enrolled), kata.memory.calls.total()
    done = enrol(enrolled, "--yes")
    assert done.returncode == 1
    assert f"but not {enrolled / gone}, which belongs to it" in done.stderr
    assert contents(enrolled) == before
    assert kata.memory.calls.total() == asked
    assert enrol(enrolled, "--yes", "--force").returncode == 0


def test_another_certificate_than_the_pinned_one_is_refused(kata: Emulator, enrolled: Path) -> None:
    pin = fingerprint(kata.certificate)
    change(enrolled, pin, "ab" * 32)
    before, asked = contents(enrolled), kata.memory.calls.total()
    done = enrol(enrolled, "--yes", "--renew")
    assert done.returncode == 1
    assert f"REFUSED: {kata.url} shows the certificate sha256:{pin}" in done.stderr
    assert contents(enrolled) == before, "something was changed all the same"
    assert kata.memory.calls.total() == asked, "something was sent all the same"
    done = enrol(enrolled, "--force")  # nobody to ask
    assert done.returncode == 1
    assert contents(enrolled) == before
    assert enrol(enrolled, "--yes", "--force").returncode == 0
    assert config(enrolled)["kata"]["server_fingerprint"] == f"sha256:{pin}"


def test_a_ca_decides_alone_and_is_never_overruled(kata: Emulator, enrolled: Path) -> None:
    ca = enrolled / "ca.pem"
    change(enrolled, f"server_fingerprint: sha256:{fingerprint(kata.certificate)}",
           "server_ca: ca.pem")  # fmt: skip
    ca.write_bytes(kata.certificate.read_bytes())
    before = contents(enrolled)
    done = enrol(enrolled)
    assert (done.returncode, done.stderr) == (0, "")
    assert "kata.server_ca vouches for it." in done.stdout
    assert contents(enrolled) == before
    put_certificate(ca, enrolled / "other.key", "other")
    before, asked = contents(enrolled), kata.memory.calls.total()
    done = enrol(enrolled, "--yes", "--force")
    assert done.returncode == 1
    assert f"REFUSED: {kata.url} shows a certificate that kata.server_ca ({ca})" in done.stderr
    assert contents(enrolled) == before
    assert kata.memory.calls.total() == asked
    ca.write_text("nothing")
    done = enrol(enrolled)
    assert done.returncode == 2
    assert f"kata.server_ca: {ca} holds no certificate in PEM." in done.stderr


def test_a_central_node_that_is_away_is_asked_again(
    home: Path, tmp_path: Path, started: Callable[[Program], Program]
) -> None:
    port = free_port()
    url = f"https://127.0.0.1:{port}"
    done = enrol(home, "--url", url, "--yes", "--timeout", "200ms")
    assert done.returncode == 1
    assert f"{url} cannot be reached: Connection refused. It is asked again." in done.stdout
    assert "time is up: no Central Node can be reached." in done.stderr
    program = started(Program(command(home, "--url", url, "--yes"), home.with_suffix(".out")))
    wait_until(lambda: "Waiting for a Central Node" in program.output(), "it waits", 20)
    with another_kata(tmp_path / "late", port):
        assert program.process.wait(20) == 0


def test_central_nodes_with_certificates_of_their_own_need_a_ca(
    kata: Emulator, home: Path, tmp_path: Path
) -> None:
    with another_kata(tmp_path / "second") as second:
        done = enrol(home, "--url", kata.url, second.url, "--yes")
        assert done.returncode == 1
        assert "show different certificates" in done.stderr
        assert f"name it as kata.server_ca in {home / 'katabridge.yaml'}" in done.stderr
        assert not home.exists()
        home.mkdir()
        both = kata.certificate.read_text() + second.certificate.read_text()
        (home / "ca.pem").write_text(both)
        urls = f"[{kata.url}, {second.url}]"
        text = f"kata:\n  urls: {urls}\n  server_ca: ca.pem  # both\n"
        (home / "katabridge.yaml").write_text(text)
        done = enrol(home)
        assert (done.returncode, done.stderr) == (0, "")
        for each in (kata, second):
            assert f"{each.url} accepts this system." in done.stdout
        assert (home / "katabridge.yaml").read_text().startswith(text)
        assert config(home)["kata"].keys() == {
            "urls", "server_ca", "sensor_id", "client_cert", "client_key",
        }  # fmt: skip


def test_a_central_node_that_comes_late_is_held_to_what_was_confirmed(
    kata: Emulator, home: Path, tmp_path: Path
) -> None:
    port = free_port()
    urls = [kata.url, f"https://127.0.0.1:{port}"]
    program = Program(command(home, "--yes", "--url", *urls), home.with_suffix(".out"))
    wait_until(lambda: "Waiting for the KATA admin" in program.output(), "it waits", 20)
    assert f"{kata.url} accepts this system." in program.output()
    with another_kata(tmp_path / "late", port) as late:
        assert program.process.wait(20) == 1
        assert f"REFUSED: {late.url} shows the certificate" in program.output()
        assert not late.memory.calls


def test_the_file_to_start_from_is_filled_in(kata: Emulator, home: Path) -> None:
    home.mkdir()
    path = home / "katabridge.yaml"
    shipped = (ROOT / "conf" / "katabridge.yaml").read_bytes()
    shipped = shipped.replace(b"https://cn.example", kata.url.encode()).replace(b"\n", b"\r\n")
    path.write_bytes(shipped)
    path.chmod(0o604)
    done = enrol(home, "--yes")
    assert done.returncode == 0, done.stderr
    kata_section = config(home)["kata"]
    pin = f"sha256:{fingerprint(kata.certificate)}"
    expected = shipped.replace(b"sha256:" + b"0" * 64, pin.encode())
    zeros = b"00000000-0000-0000-0000-000000000000"
    expected = expected.replace(zeros, kata_section["sensor_id"].encode())
    assert path.read_bytes() == expected
    assert zeros not in expected
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


WRONG = {
    "not there": (None, [], "does not exist: name the Central Nodes with --url."),
    "no address": (None, ["--url", "http://cn"], "'http://cn' is not an https address"),
    "no time": ("", ["--timeout", "1"], "'1' is not a time with a unit"),
    "in braces": ("kata: {urls: [URL]}\n", ["--yes"],
                  "katabridge.yaml:1: this is not written as one key a line; write `sensor_id: "),
    "without urls": ("kata:\n", [], "kata.urls: write the Central Nodes there first."),
    "other urls": ("kata:\n  urls: [URL]\n", ["--url", "https://cn"], "kata.urls names https:"),
    "no YAML": ("kata: [\n", [], "katabridge.yaml:2: not YAML."),
    "a sign beyond all numbers": ('x: "\\UFFFFFFFF"\n', [], "katabridge.yaml: not YAML."),
    "no id": ("kata:\n  urls: [URL]\n  sensor_id: x\n", [], "kata.sensor_id: badly formed"),
    "a fault elsewhere": ("kata:\n  urls: [URL]\nicap:\n  workers: x\n", ["--yes"],
                          "katabridge.yaml:8: icap.workers: "),
}  # fmt: skip


@pytest.mark.parametrize(("text", "more", "says"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_one_sentence(
    kata: Emulator, home: Path, text: str | None, more: list[str], says: str
) -> None:
    if text is not None:
        home.mkdir()
        (home / "katabridge.yaml").write_text(text.replace("URL", kata.url))
    done = enrol(home, *more)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not kata.memory.calls


def test_a_folder_that_cannot_be_written_is_one_sentence(kata: Emulator) -> None:
    done = enrol(Path("/proc/katabridge"), "--url", kata.url, "--yes")
    assert done.returncode == 2
    assert done.stderr.startswith("kata-bridge enrol: /proc/katabridge/katabridge.yaml: cannot be")
    assert not kata.memory.calls
