"""`kata-bridge migrate`: the katabridge.yaml that does what KDS's configuration did."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from bridge.core import Settings, fingerprint, load_config
from bridge.emulator import Emulator
from bridge.folder.kds import Installation, read_conf, write_pin
from tests.support.commands import Done, call
from tests.support.judging import end_scans
from tests.support.katabridge import Site
from tests.support.kds import KdsSite
from tests.support.processes import Program, free_port, module, wait_until


@pytest.fixture
def kds(site: Site) -> KdsSite:
    """The printed configuration, with an id filled in."""
    return KdsSite(site)


@pytest.fixture
def pinned(kds: KdsSite, kata: Emulator) -> KdsSite:
    """The same, its server pinned."""
    pin = installation(kds).pin_file
    write_pin(pin, fingerprint(kata.certificate))
    return kds


def installation(kds: KdsSite, excluded: str = "skip") -> Installation:
    return Installation(read_conf(kds.conf), kds.state, kds.directory / "log", excluded)


def migrate(kds: KdsSite, *more: object) -> Done:
    before = os.umask(0o077)
    try:
        return call("migrate", *kds.places, *more)
    finally:
        os.umask(before)


def target(kds: KdsSite) -> Path:
    """A place away from KDS's configuration, so that no path is right by chance."""
    folder = kds.directory / "etc"
    folder.mkdir(exist_ok=True)
    return folder / "katabridge.yaml"


def equal(settings: Settings, other: Settings) -> bool:
    return settings.model_dump() == other.model_dump()


@pytest.mark.parametrize("excluded", ["skip", "pass", "block"])
@pytest.mark.parametrize("listed", [False, True], ids=["no list", "a list"])
def test_the_written_file_means_the_same(
    kata: Emulator, pinned: KdsSite, excluded: str, listed: bool
) -> None:
    if listed:
        (pinned.directory / "exclude_list.txt").write_text("*.doc\n")
    done = migrate(pinned, "--output", target(pinned), "--excluded", excluded)
    assert (done.returncode, done.stderr) == (0, "")
    runs = installation(pinned, excluded).settings(fingerprint(kata.certificate))
    assert bool(runs.exclude_lists) is listed
    assert equal(load_config(target(pinned)), runs)
    assert stat.S_IMODE(target(pinned).stat().st_mode) == 0o640
    assert f"certificate, from {pinned.pin_file}." in target(pinned).read_text()
    assert not kata.memory.calls


@pytest.mark.long
def test_odd_paths_are_written_so_that_they_are_read_again(tmp_path: Path, kata: Emulator) -> None:
    kds = KdsSite(Site(tmp_path / "a, [b]: {c} #d", kata.url, kata.certificate))
    (kds.directory / "exclude_list.txt").write_text("*.doc\n")
    odd = "/in # \\\"x\\\": {y}\\t- \\u00e9\\u200b 'z'/"
    kds.conf.write_text(kds.conf.read_text().replace("/in/", odd).replace("/out/", "/@home: yes/"))
    named = f"sha256:{'ab' * 32}"
    done = migrate(kds, "--output", target(kds), "--fingerprint", named)
    assert done.returncode == 0, done.stderr
    runs = installation(kds).settings("ab" * 32)
    assert runs.folders[0].input.name == "in # \"x\": {y}\t- \u00e9\u200b 'z'"
    assert equal(load_config(target(kds)), runs)


@pytest.mark.long
def test_without_output_it_goes_to_stdout(kata: Emulator, pinned: KdsSite) -> None:
    done = migrate(pinned)
    assert (done.returncode, done.stderr) == (0, "")
    target(pinned).write_text(done.stdout)
    runs = installation(pinned).settings(fingerprint(kata.certificate))
    assert equal(load_config(target(pinned)), runs)
    assert sum(line.lstrip().startswith("#") for line in done.stdout.splitlines()) >= 8


@pytest.mark.long
def test_nothing_is_overwritten(pinned: KdsSite) -> None:
    target(pinned).write_text("mine\n")
    done = migrate(pinned, "--output", target(pinned))
    assert done.returncode == 1
    says = f"{target(pinned)} exists and is not overwritten; name another with --output."
    assert done.stderr == f"kata-bridge migrate: {says}\n"
    assert target(pinned).read_text() == "mine\n"


@pytest.mark.long
def test_an_output_that_cannot_be_written_is_one_sentence(pinned: KdsSite) -> None:
    done = migrate(pinned, "--output", pinned.directory / "gone" / "k.yaml")
    assert done.returncode == 1
    assert done.stderr.endswith("/gone/k.yaml: cannot be written: No such file or directory.\n")


@pytest.mark.long
def test_a_server_that_is_not_pinned_is_asked_and_that_is_said(
    kata: Emulator, kds: KdsSite
) -> None:
    done = migrate(kds)
    assert done.returncode == 0
    digits = fingerprint(kata.certificate)
    assert yaml.safe_load(done.stdout)["kata"]["server_fingerprint"] == f"sha256:{digits}"
    (line,) = done.stderr.splitlines()
    assert f"FIRST USE: {kata.url} shows the certificate sha256:{digits}" in line
    assert "whoever stands in between now would be trusted" in line
    assert not kds.state.exists()


@pytest.mark.long
def test_a_server_that_cannot_be_asked_can_be_named(kds: KdsSite) -> None:
    kds.address = f"127.0.0.1:{free_port()}"
    kds.write()
    done = migrate(kds, "--output", target(kds))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("cannot be asked for it: Connection refused. Name it with --fingerprint "
                         "sha256:…")  # fmt: skip
    assert os.listdir(target(kds).parent) == []  # noqa: PTH208 - names, not paths
    named = f"sha256:{'ab' * 32}"
    done = migrate(kds, "--fingerprint", named, "--output", target(kds))
    assert (done.returncode, done.stderr) == (0, "")
    assert load_config(target(kds)).kata.server_fingerprint == "ab" * 32


@pytest.mark.long
def test_an_empty_id_is_refused_with_the_command_that_fills_it(pinned: KdsSite) -> None:
    pinned.system_id = ""
    pinned.write()
    done = migrate(pinned, "--output", target(pinned))
    assert done.returncode == 2
    assert f"`kata-bridge enrol --kds-config {pinned.conf} --state" in done.stderr
    assert not target(pinned).exists()


@pytest.mark.long
def test_a_damaged_pin_is_refused(pinned: KdsSite) -> None:
    pinned.pin_file.write_text("?")
    done = migrate(pinned)
    assert done.returncode == 2
    assert f"{pinned.pin_file}: the pin file holds no fingerprint" in done.stderr


def test_verdicts_spool_and_scans_are_taken_on(
    kata: Emulator, kds: KdsSite, started: Callable[[Program], Program]
) -> None:
    (kds.directory / "in" / "known").write_bytes(b"known")
    first = started(kds.watch())
    wait_until(lambda: kds.lies("out") == ["known"], "it is judged")
    (kds.directory / "in" / "slow").write_bytes(b"#kata delay=1000\n")
    wait_until(lambda: kata.memory.calls["submit"] == 2, "it is at KATA")
    first.stop()
    assert migrate(kds, "--output", target(kds)).returncode == 0
    (kds.directory / "in" / "again").write_bytes(b"known")
    command = [*module("bridge.cli"), "watch", "--config", target(kds)]
    started(Program(command, kds.directory / "migrated.out"))
    wait_until(lambda: "again" in kds.lies("out"), "the verdicts are known")
    end_scans(kata)
    wait_until(lambda: kds.lies("out") == ["again", "known", "slow"], "all are judged", 20)
    assert kata.memory.calls["submit"] == 2, "something was judged anew"
    sources = {record["name"]: record["source"] for record in kds.site.wait_records(3)}
    assert sources == {"known": "kata", "again": "known", "slow": "kata"}
