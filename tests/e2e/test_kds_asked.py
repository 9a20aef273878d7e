"""`check`, `history`, `detects` and `collect` for an installation of KDS."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from bridge.core import fingerprint
from bridge.emulator import EICAR, Emulator
from bridge.folder.kds import shown_conf
from tests.support.commands import Done, call
from tests.support.katabridge import Site
from tests.support.kds import KdsSite


@pytest.fixture
def kds(site: Site, kata: Emulator) -> KdsSite:
    """One that has judged a file, and knows its server."""
    kds = KdsSite(site)
    (kds.directory / "in" / "eicar.com").write_bytes(EICAR)
    trust = ["--fingerprint", f"sha256:{fingerprint(kata.certificate)}"]
    log = ["--log", kds.log]
    done = call("watch", "--once", *kds.places, *log, *trust)
    assert done.returncode == 0, done.stderr
    kds.log.write_text("what the service said\n")
    return kds


def asked(kds: KdsSite, command: str, *words: object) -> Done:
    return call(command, *kds.places, *words)


@pytest.mark.parametrize("command", ["history", "detects"])
def test_what_was_recorded_is_found(kds: KdsSite, command: str) -> None:
    places = ["--kds-config", kds.conf, "--records", kds.directory / "log"]
    done = call(command, *places, "--name", "eicar")
    assert (done.returncode, done.stderr) == (0, "")
    assert "EICAR-Test-File" in done.stdout
    done = call(command, *places[:3], kds.directory / "nowhere")
    assert done.returncode == 1
    assert "--records says where it is" in done.stderr


def test_the_doctor_looks_at_it_and_not_at_icapd(kds: KdsSite, kata: Emulator) -> None:
    done = asked(kds, "check", "--log", kds.log)
    assert done.returncode == 2
    assert "certificate is not pinned yet" in done.stdout
    trust = ["--fingerprint", f"sha256:{fingerprint(kata.certificate)}"]
    done = asked(kds, "check", "--log", kds.log, *trust)
    assert done.returncode == 0, done.stdout
    assert f"accepts this system (sensorId {kds.system_id})" in done.stdout
    assert "folder kds: quarantine" in done.stdout
    assert "ICAP" not in done.stdout
    assert not [each for each in done.stdout.splitlines() if each.split()[1] == "icap:"]


def test_a_log_that_keeps_the_service_from_starting_has_failed(
    kds: KdsSite, kata: Emulator
) -> None:
    trust = ["--fingerprint", f"sha256:{fingerprint(kata.certificate)}"]
    kds.log.unlink()
    kds.log.mkdir()
    gone = kds.directory / "gone" / "service.log"
    for log, words in ((kds.log, "is no file"), (gone, f"{gone.parent} does not exist")):
        started = call("watch", "--once", *kds.places, "--log", log, *trust)
        assert started.returncode == 1
        assert "name another log with --log" in started.stderr
        done = asked(kds, "check", "--log", log, *trust)
        assert done.returncode == 1
        (line,) = [each for each in done.stdout.splitlines() if each.startswith("failed")]
        assert f"logs: the service's log ({log}) " in line
        assert line.endswith(words)
        assert "or name another log with --log" in done.stdout
    target = kds.directory / "support"
    target.mkdir()
    asked(kds, "collect", "--log", kds.log, "--output-dir", target, *trust)
    assert "the service's log" in collected(target)["check.txt"]


def collected(folder: Path) -> dict[str, str]:
    (path,) = folder.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = {each.name.partition("/")[2]: archive.extractfile(each) for each in archive}
        return {name: file.read().decode() for name, file in files.items() if file}


def test_support_gets_its_logs_and_both_forms_of_its_configuration(kds: KdsSite) -> None:
    target = kds.directory / "support"
    target.mkdir()
    done = asked(kds, "collect", "--log", kds.log, "--output-dir", target)
    assert done.returncode == 0, done.stderr
    files = collected(target)
    assert f'system_id: "{kds.system_id}"' in files["kata_dir_scanner.conf"]
    assert 'name: "kds"' in files["katabridge.yaml"]
    assert "eicar.com" in files["logs/log-history.log"]
    assert files[f"logs/{kds.log.name}"] == "what the service said\n"
    assert "certificate is not pinned yet" in files["check.txt"]
    assert "Left out:\nicapd" in files["MANIFEST.txt"]


def test_a_configuration_that_is_refused_is_no_hindrance(kds: KdsSite) -> None:
    kds.conf.write_text("{")
    target = kds.directory / "support"
    target.mkdir()
    assert asked(kds, "collect", "--log", kds.log, "--output-dir", target).returncode == 0
    files = collected(target)
    assert "eicar.com" in files["logs/log-history.log"]
    assert "kata_dir_scanner.conf: it is no JSON" in files["MANIFEST.txt"]
    assert "not JSON" in files["MANIFEST.txt"]


def test_what_no_key_of_kds_has_is_not_shown() -> None:
    text = '{"in_dir": "/mnt/in",\n"s3cret": 1,\n"out_dir": {"s3cret": 2}}'
    assert (
        shown_conf(text) == '1: in_dir: "/mnt/in"\n2: [removed]: [removed]\n3: out_dir: [removed]\n'
    )


@pytest.mark.parametrize("option", ["--kds-config", "--state", "--records"])
def test_a_folder_whose_name_is_not_utf8_is_refused(site: Site, option: str) -> None:
    kds = KdsSite(site)
    odd = kds.directory / os.fsdecode(b"\xff")
    (odd / "support").mkdir(parents=True)
    places = dict(zip(kds.places[::2], kds.places[1::2], strict=True)) | {option: str(odd)}
    if option == "--kds-config":
        places[option] = str(kds.conf.rename(odd / kds.conf.name))
    words = [each for place in places.items() for each in place]
    says = f"{kds.directory}/\\udcff: the name of this folder is not UTF-8; rename it, or name anot"
    for command in (["check"], ["migrate"], ["watch", "--check-config"]):
        done = call(*command, *words)
        assert done.returncode == 2
        assert says in done.stdout + done.stderr, done
        assert "Traceback" not in done.stderr
    done = call("collect", *words, "--log", kds.log, "--output-dir", odd / "support")
    assert done.returncode == 0, done.stderr
    files = collected(odd / "support")
    assert says in files["MANIFEST.txt"]
    assert "is not UTF-8" in files["check.txt"]


PASSWORD = "hunter2Passw0rd"
RAW_KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj//gEAAoIBAQC7VJTUt9Us8cKjMzE"
SLIPS = [
    ("kata_cn_addr", f"admin:{PASSWORD}@cn.example", PASSWORD),
    ("kata_cn_addr", f"{PASSWORD}!", PASSWORD),
    ("system_id", PASSWORD, PASSWORD),
    ("cert_key", RAW_KEY, "C7VJTUt9Us8cKj"),
    ("in_dir", RAW_KEY, "C7VJTUt9Us8cKj"),
]


@pytest.mark.sample(3)
@pytest.mark.parametrize(("key", "value", "secret"), SLIPS)
def test_a_secret_in_the_place_of_another_value_is_not_in_the_archive(
    site: Site, key: str, value: str, secret: str
) -> None:
    kds = KdsSite(site)
    kds.conf.write_text(json.dumps(json.loads(kds.conf.read_text()) | {key: value}, indent=1))
    kds.log.write_text(f"{kds.conf}: {value!r} is nothing\n")
    target = kds.directory / "support"
    target.mkdir()
    done = asked(kds, "collect", "--log", kds.log, "--output-dir", target)
    assert done.returncode == 0, done.stderr
    files = collected(target)
    assert f": {key}: [removed]\n" in files["kata_dir_scanner.conf"]
    assert [name for name, text in files.items() if secret in text] == []


@pytest.mark.sample(2)
@pytest.mark.parametrize("value", [f"{chr(0xD800)}in the way", "a long\0path", " " * 9, "x" * 5000])
def test_what_a_key_does_not_take_is_no_hindrance(site: Site, value: str) -> None:
    kds = KdsSite(site)
    kds.conf.write_text(json.dumps(json.loads(kds.conf.read_text()) | {"in_dir": value}))
    target = kds.directory / "support"
    target.mkdir()
    done = asked(kds, "collect", "--log", kds.log, "--output-dir", target)
    assert done.returncode == 0, done.stderr
    assert ": in_dir: [removed]\n" in collected(target)["kata_dir_scanner.conf"]


@pytest.mark.parametrize("command", ["check", "history", "detects", "collect"])
def test_what_only_kds_needs_is_refused_without_it(command: str, tmp_path: Path) -> None:
    more = ["--output-dir", tmp_path] if command == "collect" else []
    done = call(command, "--records", tmp_path, *more)
    assert done.returncode == 2
    assert "--records goes with --kds-config only" in done.stderr
