"""`kata-bridge enrol --kds-config`: fills what KDS's configuration lacks, and nothing else."""

from __future__ import annotations

import json
import re
import ssl
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.core import fingerprint
from bridge.emulator import Emulator, accept_sensor
from tests.support.commands import Done, call, patched
from tests.support.katabridge import Site
from tests.support.kds import KdsSite
from tests.support.processes import Program, module, wait_until
from tests.support.terminals import Terminal

SOON = "from bridge.commands import enrol_wait; enrol_wait.ASK_SECONDS = 0.2"


@pytest.fixture
def kds(site: Site) -> KdsSite:
    """The printed configuration: without an id, and without certificate and key."""
    new = KdsSite(site)
    new.system_id = ""
    new.write()
    new.certificate.unlink()
    new.key.unlink()
    return new


def arguments(kds: KdsSite, *more: object) -> tuple[object, ...]:
    return ("enrol", "--kds-config", kds.conf, "--state", kds.state, *more)


def command(kds: KdsSite, *more: object) -> list[str]:
    """The program, which asks again without waiting long."""
    return patched(SOON, *arguments(kds, *more))


def enrol(kds: KdsSite, *more: object) -> Done:
    """Call it with nobody at the keyboard."""
    return call(*arguments(kds, *more))


def contents(kds: KdsSite) -> dict[str, bytes]:
    files = [*kds.directory.iterdir(), *kds.state.glob("*")]
    return {path.name: path.read_bytes() for path in files if path.is_file()}


def system_id(kds: KdsSite) -> str:
    return str(json.loads(kds.conf.read_bytes().decode("utf-8-sig"))["system_id"])


def test_from_an_empty_id_to_a_daemon_that_judges(
    kata: Emulator, kds: KdsSite, started: Callable[[Program], Program]
) -> None:
    before = kds.conf.read_text()
    done = enrol(kds, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    new_id = system_id(kds)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", new_id)
    assert kds.conf.read_text() == before.replace('"system_id": ""', f'"system_id": "{new_id}"')
    assert kds.certificate.read_bytes().endswith(kds.key.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(kds.certificate, kds.key)
    pin = f"sha256:{fingerprint(kata.certificate)}"
    assert kds.pin_file.read_text() == f"{pin}\n"
    for path in (kds.certificate, kds.key, kds.pin_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"The certificate {pin} is trusted from now on" in done.stdout
    assert f"it is kept in {kds.pin_file}" in done.stdout
    assert f"Next: kata-bridge watch --kds-config {kds.conf} --state {kds.state}\n" in done.stdout
    sensors = json.loads((kata.memory.directory / "sensors.json").read_text())
    assert sensors.keys() == {new_id}
    (kds.directory / "in" / "a").write_bytes(b"a")
    program = started(kds.watch())
    wait_until(lambda: kds.lies("out") == ["a"], "it is judged")
    assert "FIRST USE" not in program.output()


@pytest.mark.long
def test_the_second_time_changes_nothing(kds: KdsSite) -> None:
    assert enrol(kds, "--yes").returncode == 0
    before = contents(kds)
    done = enrol(kds)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(kds) == before
    assert f"It is the certificate of {kds.pin_file}." in done.stdout
    assert "exist: they are used as they are" in done.stdout
    assert "is trusted from now on" not in done.stdout


def test_every_other_byte_its_mode_and_its_link_stay(kds: KdsSite) -> None:
    text = kds.conf.read_text().replace('"system_id": ""', '"system_id" :\t"" ')
    before = b"\xef\xbb\xbf" + text.replace(", ", " ,\r\n\r\n  ").encode() + b"\r\n \n"
    before = before.replace(b"system_id", b"system\\u005fid")  # the same key, for JSON
    kds.conf.write_bytes(before)
    kds.conf.chmod(0o604)
    link = kds.directory / "link.conf"
    link.symlink_to(kds.conf.name)
    file, kds.conf = kds.conf, link
    assert enrol(kds, "--yes").returncode == 0
    assert file.read_bytes() == before.replace(b'""', f'"{system_id(kds)}"'.encode())
    assert stat.S_IMODE(file.stat().st_mode) == 0o604
    assert link.is_symlink()


def test_an_id_and_a_pair_that_are_there_are_kept(kata: Emulator, site: Site) -> None:
    kds = KdsSite(site)
    before = contents(kds)
    assert enrol(kds, "--yes").returncode == 0
    after = contents(kds)
    assert after.pop(kds.pin_file.name)
    assert after == before
    sensors = json.loads((kata.memory.directory / "sensors.json").read_text())
    assert sensors.keys() == {site.sensor_id}


@pytest.mark.long
def test_it_waits_for_the_administrator(
    kata: Emulator, kds: KdsSite, started: Callable[[Program], Program]
) -> None:
    kata.memory.accept = "manual"
    program = started(Program(command(kds, "--yes"), kds.directory / "enrol.out"))
    wait_until(lambda: "Waiting for the KATA admin" in program.output(), "it waits", 20)
    says = f"External systems > Server list > Accept, for sensorId {system_id(kds)}\n"
    assert says in program.output()
    assert accept_sensor(kata.memory.directory, system_id(kds))
    assert program.process.wait(20) == 0


@pytest.mark.long
def test_time_is_up_and_the_next_call_goes_on(kata: Emulator, kds: KdsSite) -> None:
    kata.memory.accept = "manual"
    done = enrol(kds, "--yes", "--timeout", "300ms")
    assert done.returncode == 1
    assert "time is up. What was made is kept: call it again." in done.stderr
    before = contents(kds)
    accept_sensor(kata.memory.directory, system_id(kds))
    assert enrol(kds).returncode == 0
    assert contents(kds) == before


@pytest.mark.long
def test_a_person_is_asked(kata: Emulator, kds: KdsSite) -> None:
    before = contents(kds)
    with Terminal(command(kds)) as terminal:
        terminal.expect("Trust it? [y/N] ")
        assert f"sha256:{fingerprint(kata.certificate)}" in terminal.shown
        terminal.type("n")
        assert terminal.wait() == 1
    assert contents(kds) == before
    assert not kata.memory.calls


def test_without_a_person_it_says_what_to_do(kata: Emulator, kds: KdsSite) -> None:
    before = contents(kds)
    done = enrol(kds)
    assert done.returncode == 1
    assert "call this with --yes, or name its fingerprint with --fingerprint sha256:" in done.stderr
    assert contents(kds) == before
    named = f"sha256:{fingerprint(kata.certificate)}"
    done = enrol(kds, "--fingerprint", named)
    assert done.returncode == 0, done.stderr
    assert kds.pin_file.read_text() == f"{named}\n"


@pytest.mark.long
def test_another_certificate_than_the_pinned_one_is_refused(kata: Emulator, kds: KdsSite) -> None:
    assert enrol(kds, "--yes").returncode == 0
    shown = fingerprint(kata.certificate)
    kds.pin_file.write_text(f"sha256:{'ab' * 32}\n")
    before, asked = contents(kds), kata.memory.calls.total()
    done = enrol(kds, "--yes", "--renew")
    assert done.returncode == 1
    assert f"REFUSED: {kata.url} shows the certificate sha256:{shown}, but" in done.stderr
    assert f"is trusted ({kds.pin_file})" in done.stderr
    assert contents(kds) == before, "something was changed all the same"
    assert kata.memory.calls.total() == asked, "something was sent all the same"
    assert enrol(kds, "--yes", "--force").returncode == 0
    assert kds.pin_file.read_text() == f"sha256:{shown}\n"


@pytest.mark.long
def test_force_makes_everything_anew_and_keeps_the_old_pair(kds: KdsSite) -> None:
    assert enrol(kds, "--yes").returncode == 0
    before, old_id = contents(kds), system_id(kds)
    assert enrol(kds, "--force").returncode == 0
    after = contents(kds)
    assert system_id(kds) != old_id
    for name in ("cert.pem", "server.key"):
        assert after[f"{name}.old"] == before[name] != after[name]
        assert stat.S_IMODE((kds.directory / f"{name}.old").stat().st_mode) == 0o600


@pytest.mark.long
def test_renew_keeps_the_id_and_waits_to_be_accepted_anew(kata: Emulator, kds: KdsSite) -> None:
    assert enrol(kds, "--yes").returncode == 0
    before = contents(kds)
    done = enrol(kds, "--renew", "--timeout", "200ms")
    assert done.returncode == 1
    assert "KATA must accept this system anew" in done.stdout
    after = contents(kds)
    assert after[kds.conf.name] == before[kds.conf.name]
    assert after["cert.pem.old"] == before["cert.pem"] != after["cert.pem"]
    accept_sensor(kata.memory.directory, system_id(kds))
    assert enrol(kds).returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("gone", ["cert.pem", "server.key"])
def test_half_a_pair_is_refused(kata: Emulator, kds: KdsSite, gone: str) -> None:
    assert enrol(kds, "--yes").returncode == 0
    (kds.directory / gone).unlink()
    before, asked = contents(kds), kata.memory.calls.total()
    done = enrol(kds)
    assert done.returncode == 1
    assert f"but not {kds.directory / gone}, which belongs to it" in done.stderr
    assert contents(kds) == before
    assert kata.memory.calls.total() == asked


WRONG: dict[str, tuple[dict[str, str], list[str], str]] = {
    "a url": ({}, ["--url", "https://cn"], "--url does not go with --kds-config, whose kata_cn_ad"),
    "a folder": ({}, ["--dir", "x"], "--dir does not go with --kds-config, whose cert_pem says it"),
    "another fault": ({'"system_id"': '"system-id"'}, ["--yes"], ":1: …: unknown key; did you mea"),
    "equal folders": ({"/out/": "/in/"}, ["--yes"], ":1: out_dir: "),
    "no time": ({}, ["--timeout", "1"], "'1' is not a time with a unit"),
}


@pytest.mark.long
@pytest.mark.parametrize(("changes", "more", "says"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_changes_nothing(
    kata: Emulator, kds: KdsSite, changes: dict[str, str], more: list[str], says: str
) -> None:
    text = kds.conf.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    kds.conf.write_text(text)
    before = contents(kds)
    done = enrol(kds, *more)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(kds) == before
    assert not kata.memory.calls


@pytest.mark.long
def test_an_exclude_list_that_cannot_be_used_is_said_first(kata: Emulator, kds: KdsSite) -> None:
    (kds.directory / "exclude_list.txt").write_text("a*b\n")
    before = contents(kds)
    done = enrol(kds, "--yes")
    assert done.returncode == 2
    assert f"{kds.directory}/exclude_list.txt:1: 'a*b' has a wildcard" in done.stderr
    assert contents(kds) == before
    assert not kata.memory.calls


@pytest.mark.long
def test_options_of_kds_without_its_configuration(tmp_path: Path) -> None:
    done = subprocess.run(
        [*module("bridge.cli"), "enrol", "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--state goes with --kds-config only" in done.stderr


@pytest.mark.long
def test_a_state_that_cannot_be_written_is_one_sentence(kata: Emulator, kds: KdsSite) -> None:
    kds.state = Path("/proc/kds")
    done = enrol(kds, "--yes")
    assert done.returncode == 1
    assert done.stderr.endswith("cannot be written: No such file or directory; name another "
                                "folder with --state.\n")  # fmt: skip
    assert system_id(kds) == ""
    assert not kata.memory.calls
