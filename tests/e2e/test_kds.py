"""`kata-bridge watch --kds-config`: an old KDS installation runs with the configuration it has."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.core import Address, fingerprint
from bridge.emulator import EICAR, Emulator, Memory
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.kds import PRINTED, KdsSite
from tests.support.processes import Program, free_port, wait_until

Keep = Callable[[Program], Program]
LIMIT = 100 << 20


@pytest.fixture
def kds(site: Site) -> KdsSite:
    """The printed configuration, with an id filled in."""
    return KdsSite(site)


def another_kata(directory: Path, port: int = 0, name: str = "another") -> Emulator:
    put_certificate(directory / "server.pem", directory / "server.key", name)
    return Emulator(Memory(directory), Address("127.0.0.1", port))


def drop(kds: KdsSite, name: str, data: bytes) -> Path:
    path = kds.directory / "in" / name
    path.write_bytes(data)
    return path


def sparse(kds: KdsSite, name: str, size: int) -> Path:
    path = drop(kds, name, b"")
    os.truncate(path, size)
    return path


def test_the_printed_configuration_with_an_id_runs(
    kata: Emulator, kds: KdsSite, started: Keep
) -> None:
    assert json.loads(kds.conf.read_text()).keys() == json.loads(PRINTED).keys()
    (kds.directory / "exclude_list.txt").write_text("File1.txt\n*.doc\n")
    for place in ("out/clean.txt", "quarantine/eicar.com"):
        (kds.directory / place).write_bytes(b"an older one")
    drop(kds, "clean.txt", b"clean")
    drop(kds, "eicar.com", EICAR)
    drop(kds, "error", b"#kata state=error\n")
    drop(kds, "timeout", b"#kata state=timeout\n")
    drop(kds, "File1.txt", EICAR)
    drop(kds, "a.doc", b"excluded")
    (kds.directory / "in" / "sub").mkdir()
    drop(kds, "sub/inner", EICAR)
    large = sparse(kds, "large.iso", LIMIT + 1)
    before = large.stat()
    program = started(kds.watch())
    records = {record["name"]: record for record in kds.site.wait_records(7)}
    wait_until(lambda: kds.lies("quarantine") == ["eicar.com", "error", "timeout"], "quarantine")
    wait_until(lambda: kds.lies("in") == ["File1.txt", "a.doc", "large.iso", "sub"], "input")
    assert kds.lies("out") == ["clean.txt"]
    assert (kds.directory / "out" / "clean.txt").read_bytes() == b"clean"
    assert (kds.directory / "quarantine" / "eicar.com").read_bytes() == EICAR
    assert (kds.directory / "in" / "sub" / "inner").read_bytes() == EICAR
    ends = {name: (each["outcome"], each["decision"]) for name, each in records.items()}
    assert ends == {
        "clean.txt": ("not_detected", "pass"),
        "eicar.com": ("detect", "block"),
        "error": ("error", "block"),
        "timeout": ("timeout", "block"),
        "File1.txt": ("excluded", "skip"),
        "a.doc": ("excluded", "skip"),
        "large.iso": ("oversize", "skip"),
    }
    assert records["a.doc"]["rule"] == "exclude_list.txt:2: *.doc"
    after = large.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_atime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_atime_ns,
    )
    assert kata.memory.calls["submit"] == 4
    sensors = json.loads((kata.memory.directory / "sensors.json").read_text())
    assert sensors.keys() == {kds.system_id}
    program.stop()
    assert kds.log.read_text() == program.output()
    assert "eicar.com: detect" in kds.log.read_text()


@pytest.mark.parametrize(("decision", "where"), [("pass", "out"), ("block", "quarantine")])
def test_where_an_excluded_file_goes_can_be_said(
    kata: Emulator, kds: KdsSite, started: Keep, decision: str, where: str
) -> None:
    (kds.directory / "exclude_list.txt").write_text("*.doc\n")
    drop(kds, "a.doc", EICAR)
    started(kds.watch("--excluded", decision))
    wait_until(lambda: kds.lies(where) == ["a.doc"] and not kds.lies("in"), f"it is in {where}")
    assert kata.memory.calls["submit"] == 0


def test_the_server_is_pinned_on_first_use_and_that_is_said_loudly_once(
    kata: Emulator, kds: KdsSite, started: Keep
) -> None:
    first = started(kds.watch())
    digits = fingerprint(kata.certificate)
    (line,) = [line for line in first.output().splitlines() if "FIRST USE" in line]
    assert " warning FIRST USE: https://127.0.0.1:" in line
    assert f"the certificate sha256:{digits} (subject CN=kata, valid until 2" in line
    assert "whoever stands in between now would be trusted" in line
    assert f"it is kept in {kds.pin_file}" in line
    assert kds.pin_file.read_text() == f"sha256:{digits}\n"
    assert stat.S_IMODE(kds.pin_file.stat().st_mode) == 0o600
    first.stop()
    second = started(kds.watch())
    second.stop()
    assert "FIRST USE" not in second.output()
    says = f"must show the certificate sha256:{digits} ({kds.pin_file})"
    assert (first.output().count(says), second.output().count(says)) == (1, 1)


def test_another_certificate_than_the_pinned_one_gets_nothing(
    kata: Emulator, kds: KdsSite, tmp_path: Path, started: Keep
) -> None:
    started(kds.watch()).stop()
    pinned = fingerprint(kata.certificate)
    with another_kata(tmp_path / "another") as stranger:
        kds.address = stranger.url.removeprefix("https://")
        kds.write()
        drop(kds, "a", b"a")
        program = started(kds.watch(until="REFUSED"))
        shown = fingerprint(stranger.certificate)
        (line,) = [line for line in program.output().splitlines() if "REFUSED" in line]
        assert f"sha256:{shown}, but sha256:{pinned} is trusted ({kds.pin_file})" in line
        wait_until(lambda: "KATA takes no files" in program.output(), "it is down")
        assert program.stop() == 0
        assert not stranger.memory.calls
    assert kds.lies("in") == ["a"]
    assert kds.pin_file.read_text() == f"sha256:{pinned}\n"


@pytest.mark.long
def test_a_fingerprint_that_is_named_is_not_learnt(
    kata: Emulator, kds: KdsSite, started: Keep
) -> None:
    drop(kds, "a", b"a")
    named = f"sha256:{fingerprint(kata.certificate)}"
    program = started(kds.watch("--fingerprint", named))
    wait_until(lambda: kds.lies("out") == ["a"], "it is judged")
    assert "FIRST USE" not in program.output()
    assert f"must show the certificate {named} (--fingerprint)" in program.output()
    assert not list(kds.state.glob("*.pin"))


@pytest.mark.long
def test_a_wrong_fingerprint_that_is_named_is_kept_to(
    kata: Emulator, kds: KdsSite, started: Keep
) -> None:
    drop(kds, "a", b"a")
    program = started(kds.watch("--fingerprint", f"sha256:{'ab' * 32}", until="REFUSED"))
    assert "is trusted (--fingerprint); no file is sent" in program.output()
    program.stop()
    assert kds.lies("in") == ["a"]
    assert not kata.memory.calls


def test_no_folder_is_touched_until_the_server_could_be_pinned(
    kds: KdsSite, tmp_path: Path, started: Keep
) -> None:
    port = free_port()
    kds.address = f"localhost:{port}"
    kds.write()
    drop(kds, "a", b"a")
    away = f"https://localhost:{port} cannot be asked for its certificate: Connection refused"
    first = started(kds.watch(until=away))
    assert first.stop() == 0
    assert kds.lies("in") == ["a"]
    assert not list(kds.state.glob("*.pin"))
    second = started(kds.watch(until=away))
    with another_kata(tmp_path / "late", port) as late:
        wait_until(lambda: kds.lies("out") == ["a"], "it is judged", 20)
        assert kds.pin_file.read_text() == f"sha256:{fingerprint(late.certificate)}\n"
        second.stop()
    assert second.output().count("cannot be asked") == 1
    assert kds.log.read_text().count("cannot be asked") == 2


@pytest.mark.long
def test_two_installations_on_one_machine_do_not_collide(
    kata: Emulator, kds: KdsSite, tmp_path: Path, started: Keep
) -> None:
    other = KdsSite(Site(tmp_path / "other", kata.url, kata.certificate))
    other.state = kds.state
    for each in (kds, other):
        started(each.watch())
    for number, each in enumerate((kds, other)):
        drop(each, "a", b"%d" % number)
        wait_until(lambda each=each: each.lies("out") == ["a"], "it is judged")  # type: ignore[misc]
    assert len(list(kds.state.glob("kds-*.pin"))) == 2
    assert kata.memory.calls["submit"] == 2


@pytest.mark.long
def test_an_upper_case_id_is_sent_in_lower_case(
    kata: Emulator, kds: KdsSite, started: Keep
) -> None:
    lower, kds.system_id = kds.system_id, kds.system_id.upper()
    kds.write()
    drop(kds, "a", b"a")
    started(kds.watch())
    wait_until(lambda: kds.lies("out") == ["a"], "it is judged")
    sensors = json.loads((kata.memory.directory / "sensors.json").read_text())
    assert sensors.keys() == {lower}


def test_once_deals_with_what_is_there_and_ends(kata: Emulator, kds: KdsSite) -> None:
    drop(kds, "a", b"a")
    program = kds.watch("--once")
    assert program.process.wait(30) == 0
    assert kds.lies("out") == ["a"]
    assert kata.memory.calls["submit"] == 1
    drop(kds, "b", b"b")
    kata.memory.accept = "manual"
    (kata.memory.directory / "sensors.json").unlink()
    assert kds.watch("--once").process.wait(30) == 1
    assert kds.lies("in") == ["b"]


@pytest.mark.sample(2)
@pytest.mark.parametrize("key", ["in_dir", "out_dir", "qrnt_dir"])
@pytest.mark.parametrize("there", [False, True], ids=["gone", "a file"])
def test_a_folder_that_is_none_is_one_sentence(kds: KdsSite, key: str, there: bool) -> None:
    path = kds.directory / {"in_dir": "in", "out_dir": "out", "qrnt_dir": "quarantine"}[key]
    path.rmdir()
    if there:
        path.touch()
    says = f"{kds.conf}:1: {key}: {path} "
    says += "is no folder" if there else "cannot be used (No such file or directory)"
    refused(kds, f"{says}; make it, or mount it.")
    assert not list(kds.state.glob("*.pin")), "a server was trusted for nothing"


def test_a_log_that_cannot_be_written_is_one_sentence(kds: KdsSite) -> None:
    kds.log = kds.directory / "gone" / "kds.log"
    refused(kds, f"{kds.log}: {kds.log.parent} is no folder; name another log with --log.")
    kds.log = kds.directory / "in"
    refused(kds, f"{kds.log}: Is a directory; name another log with --log.")


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("place", "option"),
    [
        ("log/log-history.log", "--records"),
        ("state/verdicts.db", "--state"),
        ("state/spool/{}.folder.0.journal", "--state"),
        ("state/spool/{}.folder.0.owner", "--state"),
    ],
)
def test_what_lies_in_the_way_is_said_of_the_option(
    kata: Emulator, kds: KdsSite, place: str, option: str
) -> None:
    del kata
    kds.watch().stop()
    path = kds.directory / place.format(kds.pin_file.stem)
    path.unlink(missing_ok=True)
    path.mkdir()
    program = kds.watch(until="kata-bridge watch: ")
    assert program.process.wait(20) == 1
    assert program.said().splitlines()[-1] == (
        f"kata-bridge watch: {path} is a folder where a file belongs: move it away ({option})."
    )


def test_an_installation_that_runs_twice_is_told_by_the_option(
    kata: Emulator, kds: KdsSite, started: Keep
) -> None:
    del kata
    started(kds.watch())
    program = kds.watch(until="kata-bridge watch: ")
    assert program.process.wait(20) == 1
    assert program.said().endswith("a spool, or a node, of its own (--state).\n")


@pytest.mark.long
@pytest.mark.parametrize("option", ["--state", "--records"])
def test_a_place_that_cannot_be_made_is_one_sentence(kds: KdsSite, option: str) -> None:
    refused(kds, f"/proc/kds: No such file or directory; name another with {option}.",
            option, "/proc/kds")  # fmt: skip


def refused(kds: KdsSite, says: str, *more: object) -> None:
    """One sentence, and exit code 1."""
    program = kds.watch(*more, until="kata-bridge watch: ")
    assert program.process.wait(20) == 1
    assert program.output() == f"kata-bridge watch: {says}\n"
