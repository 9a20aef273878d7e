"""`kata-bridge check`: what is broken is the first line that failed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import main
from bridge.commands.checking import examination, folders, kata
from bridge.commands.checking.disk import look_at_spool
from bridge.commands.checking.examination import Examination, read_configuration
from bridge.commands.checking.line import Line, Status, failed
from bridge.commands.checking.readiness import AREAS
from bridge.commands.checking.rules import look_at_bypass, look_at_rules
from bridge.commands.checking.store import look_at_file, look_at_store
from bridge.core import Address, Door, allow_hash, open_verdicts, set_bypass
from bridge.emulator import Emulator, Memory, Script
from bridge.folder import mounts, sticky
from bridge.status import ask
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.mounts import Mounts, need_mounts
from tests.support.node import OddNode, http
from tests.support.processes import Program, free_port, module, wait_until
from tests.support.terminals import Terminal

Keep = Callable[[Program], Program]
TOKEN = "status-token-0123456789"
PASSWORD = "pa55word-of-redis"
HOOK = "hook-token-0123456789"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """One emulated KATA for all tests here."""
    folder = tmp_path_factory.mktemp("kata")
    put_certificate(folder / "server.pem", folder / "server.key", "kata")
    with Emulator(Memory(folder)) as emulator:
        yield emulator


@pytest.fixture
def good(node: Emulator, tmp_path: Path) -> Site:
    """A set-up in which nothing is wrong."""
    node.memory.accept = "auto"
    site = Site(tmp_path / "site", node.url, node.certificate)
    (site.directory / "client.key").chmod(0o600)
    site.changes = {"icap": {"policy": {"oversize": "block"}}}
    return site


def look(site: Site) -> list[Line]:
    """What is found, without asking icapd."""
    config = site.config
    settings, lines = read_configuration(config)
    if settings is None:
        return lines
    return [*lines, *Examination(settings, config, self_test=False).lines()]


def first_failed(lines: list[Line]) -> Line:
    return next(line for line in lines if line.status is Status.FAILED)


def of(lines: list[Line], status: Status) -> dict[str, str]:
    return {line.area: line.sentence for line in lines if line.status is status}


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in (folder, *folder.rglob("*")):
        state = path.lstat()
        found[str(path)] = (state.st_ino, state.st_mtime_ns)
    return found


def test_of_a_good_set_up_nothing_is_wrong_and_nothing_is_changed(
    good: Site, node: Emulator
) -> None:
    config = good.config
    before, submitted = tree(good.directory), node.memory.calls["submit"]
    settings, lines = read_configuration(config)
    assert settings is not None
    lines += Examination(settings, config, self_test=False).lines()
    assert of(lines, Status.FAILED) == {}
    assert of(lines, Status.WARNING).keys() == {"watch", "proxies"}
    assert of(lines, Status.SKIPPED).keys() == {"icap"}
    areas = list(dict.fromkeys(line.area for line in lines))
    assert areas == [
        *("configuration", "user", "certificate", "spool", "verdicts", "logs", "kata", "clock"),
        *("limits", "folder share", "watch", "exclusions", "policy", "bypass", "outages", "icap"),
        "proxies",
    ]
    assert tree(good.directory) == before
    assert node.memory.calls["submit"] == submitted


# -- ten and more ways to break it -------------------------------------------------------------

Break = Callable[[Site, Emulator, pytest.MonkeyPatch, ExitStack], None]
BREAKS: dict[str, tuple[Break, str, str]] = {}


def breaks(name: str, area: str, words: str) -> Callable[[Break], Break]:
    """One way: what the first failed line must be about, and say."""

    def keep(function: Break) -> Break:
        BREAKS[name] = function, area, words
        return function

    return keep


def change(site: Site, section: str, **values: Any) -> None:
    site.changes.setdefault(section, {}).update(values)


def odd(site: Site, stack: ExitStack, answer: bytes | None, *, tls: bool = True) -> None:
    """Let the Central Node be an odd one, under the certificate that is trusted."""
    files = (site.server_certificate, site.server_certificate.with_suffix(".key"))
    site.url = stack.enter_context(OddNode(answer, *(files if tls else (None, None)))).url


def age(site: Site, begin: timedelta, end: timedelta) -> None:
    """Another client certificate for the same key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    path = site.directory / "client.pem"
    old = x509.load_pem_x509_certificate(path.read_bytes())
    key = serialization.load_pem_private_key((path.with_suffix(".key")).read_bytes(), None)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(1)
        .not_valid_before(now + begin)
        .not_valid_after(now + end)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))


@breaks("an unknown key", "configuration", "unknown key; did you mean policy?")
def _unknown_key(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    site.changes["polici"] = {}


@breaks("another's key", "configuration", "are not a certificate and its key")
def _other_key(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    put_certificate(site.directory / "other.pem", site.directory / "client.key", "other")


@breaks("an expired certificate", "certificate", "kata.client_cert")
def _expired(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    age(site, timedelta(days=-9), timedelta(days=-1))


@breaks("a certificate of tomorrow", "certificate", "is not valid before")
def _tomorrow(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    age(site, timedelta(days=1), timedelta(days=9))


@breaks("a spool that is a file", "spool", "is no folder")
def _spool_file(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    (site.directory / "spool").write_text("")


@breaks("a spool without room", "spool", "spool.min_free is 900.0 TiB")
def _spool_full(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    change(site, "spool", min_free="900TiB")


@breaks("bodies up to max_bytes", "spool", "it is full")
def _spool_used(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    folder = site.directory / "spool" / "test.icap.0"
    folder.mkdir(parents=True)
    (folder / "body").write_bytes(b"x" * 2048)
    change(site, "spool", max_bytes="1KiB")


@breaks("a damaged store", "verdicts", "file is not a database")
def _damaged(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    (site.directory / "verdicts.db").write_bytes(b"no database at all" * 100)


@breaks("a store of a later version", "verdicts", "was written by a later katabridge (version 99")
def _later(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    with sqlite3.connect(site.directory / "verdicts.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()


@breaks("no redis", "verdicts", "redis://127.0.0.1:")
def _no_redis(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    change(site, "verdicts", store=f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0")


@breaks("logs in a file", "logs", "logs.dir")
def _logs_file(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    (site.directory / "log").write_text("")


@breaks("a name that is none", "kata", "the name kata.example does not resolve: nobody knows it")
def _no_name(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    def resolve(host: str, *_: object) -> None:
        raise socket.gaierror(-2, "nobody knows it")

    patch.setattr(socket, "getaddrinfo", resolve)
    site.url = "https://kata.example"


@breaks("nobody there", "kata", "cannot be reached: Connection refused")
def _nobody(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    site.url = f"https://127.0.0.1:{free_port()}"


@breaks("a node that says nothing", "kata", "did not begin TLS within")
def _silent(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    patch.setattr(kata, "_STEP", 1.3)
    odd(site, stack, None)


@breaks("a node without TLS", "kata", "does not speak TLS")
def _no_tls(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    odd(site, stack, b"SSH-2.0-OpenSSH\r\n" * 100, tls=False)


@breaks("another certificate than the pin", "trust", "kata.server_fingerprint is sha256:aaaa")
def _pin(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    change(site, "kata", server_fingerprint=f"sha256:{'a' * 64}")


@breaks("another CA", "trust", "a certificate that kata.server_ca")
def _ca(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    put_certificate(site.directory / "ca.pem", site.directory / "ca.key", "another")
    change(site, "kata", server_ca="ca.pem")


@breaks("not accepted", "kata", "does not accept this system (sensorId ")
def _unaccepted(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    node.memory.accept = "manual"


@breaks("garbage", "kata", "the state answer is not JSON")
def _garbage(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    odd(site, stack, http(b"\x00\xff<html>\x1b[31m"))


@breaks("a hostile reason", "kata", "state answered 500 \\x1b]0;evil")
def _reason(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    odd(site, stack, http(b"", status="500 \x1b]0;evil" + "e" * 5000))


@breaks("a clock that is wrong", "clock", "this machine's clock is 10 min behind")
def _clock(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    ahead = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    odd(site, stack, http(b"[]", f"Date: {ahead}"))


@breaks("a clock of another age", "clock", "days behind")
def _age(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    odd(site, stack, http(b"[]", "Date: Fri, 31 Dec 9999 23:59:59 GMT"))


@breaks("a folder that is gone", "folder share", "output (")
def _gone(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    (site.directory / "out").rmdir()


@breaks("a file in the place of a folder", "folder share", "is no folder")
def _no_folder(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    (site.directory / "out").rmdir()
    (site.directory / "out").write_text("")


@breaks("a link in the place of claims", "folder share", "is a link or a file")
def _claims(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    (site.directory / "in" / ".katabridge").symlink_to("/tmp")


@breaks("a share that is not mounted", "folder share", "//nas/in (cifs) is not mounted on")
def _unmounted(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    fstab = site.directory / "fstab"
    fstab.write_text(f"//nas/in {site.directory}/in cifs defaults 0 0\n")
    patch.setattr(mounts, "_FSTAB", fstab)


@breaks("a share that hangs", "folder share", "input (")
def _hangs(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    ours, theirs = os.pipe()
    stack.callback(os.close, ours)
    stack.callback(os.close, theirs)
    check = mounts.SamePlace.check

    def hang(self: mounts.SamePlace) -> None:
        if self.root.name == "in":
            os.read(ours, 1)
        check(self)

    patch.setattr(folders, "SECONDS", 0.3)
    patch.setattr(mounts.SamePlace, "check", hang)


@breaks("no collector", "syslog", "cannot be reached: Connection refused")
def _no_collector(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    change(site, "logs", syslog={"url": f"tcp://127.0.0.1:{free_port()}"})


@breaks("no webhook", "webhook", "cannot be reached: Connection refused")
def _no_hook(site: Site, node: Emulator, patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    site.changes["notify"] = {"url": f"http://eve:{HOOK}@127.0.0.1:{free_port()}/{HOOK}?t={HOOK}"}


@pytest.mark.parametrize("name", BREAKS)
def test_the_first_line_that_failed_names_the_fault(
    good: Site, node: Emulator, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    function, area, words = BREAKS[name]
    change(good, "status", token=TOKEN)
    with ExitStack() as stack:
        function(good, node, monkeypatch, stack)
        lines = look(good)
    failed = first_failed(lines)
    assert failed.area == area, lines
    assert words in failed.sentence
    assert failed.advice
    everything = "".join(f"{line.sentence}{line.advice}" for line in lines)
    assert everything.isprintable()
    assert not [secret for secret in (TOKEN, PASSWORD, HOOK) if secret in everything]
    assert max(len(line.sentence) for line in lines) < 1200


def test_what_stands_in_the_place_of_a_folder_is_no_matter_of_rights(good: Site) -> None:
    out = good.directory / "out"
    out.rmdir()
    missing, *_ = look_at_folders_of(good)
    assert missing.advice == "make it, or correct folders in the configuration"
    out.write_text("")
    other, *_ = look_at_folders_of(good)
    assert other.advice.startswith("remove what is there, and make it, or correct")
    out.unlink()
    out.symlink_to("nowhere")
    dangling, *_ = look_at_folders_of(good)
    assert "is a link that leads nowhere" in dangling.sentence
    assert other.advice == dangling.advice
    spool = good.directory / "spool"
    spool.write_text("")
    (line,) = look_at_spool(good.settings())
    assert line.advice.startswith("remove what is there, and make it, or correct spool.dir")


def test_an_input_that_keeps_the_files_of_others_is_a_fault(
    good: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A common drop folder: whoever has not dropped a file cannot take it."""
    drop = good.directory / "in"
    drop.chmod(0o1777)
    assert look_at_folders_of(good) == []
    monkeypatch.setattr(sticky, "_STATUS", Path("/nonexistent"))
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    (drop / "sub").mkdir()
    (drop / "half.part").write_text("x")  # which is not taken anyway
    assert look_at_folders_of(good) == []
    (line,) = look_at_folders_of(good, Status.WARNING)
    assert line.area == "folder share"
    assert line.sentence.startswith(f"input ({drop}) belongs to ")
    assert " and is sticky (mode 1777): nobody else may move files of others, " in line.sentence
    assert "chmod -t" in line.advice
    (drop / "eicar.com").write_text("x")
    (line,) = look_at_folders_of(good)
    assert line.sentence.endswith(", such as eicar.com now")
    (good.directory / "spool").mkdir()  # the service is another user than this one
    for status in (Status.FAILED, Status.WARNING):
        assert look_at_folders_of(good, status) == []


def look_at_folders_of(site: Site, status: Status = Status.FAILED) -> list[Line]:
    lines = folders.look_at_folders(site.settings())
    return [line for line in lines if line.status is status]


def test_a_fault_of_the_configuration_is_one_line_whatever_it_quotes(good: Site) -> None:
    config = good.config
    text = config.read_text()
    config.write_text(f"{text}\0")
    settings, lines = read_configuration(config)
    assert settings is None
    assert [line.status for line in lines] == [Status.FAILED], lines
    assert "not YAML: the sign U+0000 must not" in lines[0].sentence
    config.write_text(f'{text}"a\\nb": 1\npolici: 2\n')
    _, lines = read_configuration(config)
    assert [line.sentence.partition(": ")[2][:6] for line in lines] == ["…: a k", "polici"]


# -- what works, and should be known -----------------------------------------------------------

WARNINGS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a rule that a stranger makes fit": (
        {"exclusions": [{"name": "*.iso"}]},
        "exclusions",
        "exclusions[0] (name=*.iso) stands on what a stranger can choose",
    ),
    "few types": ({"submit": {"types": ["archive"]}}, "exclusions", "looks like archive"),
    "a policy that passes what was not judged": (
        {"policy": {"unavailable": "pass", "error": "pass"}},
        "policy",
        "the FOLDER door passes what is error, unavailable",
    ),
    "the shipped policy": ({"icap": {"policy": {}}}, "policy", "passes what is oversize"),
    "names that are not sent": (
        {"icap": {"policy": {"oversize": "block"}, "transfer": {"ignore": ["iso"]}}},
        "policy",
        "icap.transfer.ignore: proxies send no file named like iso",
    ),
    "parts": (
        {"icap": {"policy": {"oversize": "block"}, "ranges": "pass"}},
        "policy",
        "icap.ranges is pass",
    ),
    "everybody": (
        {"icap": {"policy": {"oversize": "block"}, "allow_from": ["0.0.0.0/0"]}},
        "policy",
        "icap.allow_from lets everybody ask",
    ),
    "objects that KATA refuses": (
        {"kata": {"max_object_size": "500MiB"}},
        "limits",
        "takes objects of up to 100.0 MiB, and kata.max_object_size is 500.0 MiB",
    ),
}


MODES: dict[str, Any] = {
    "av/reqmod": {"method": "REQMOD", "mode": "monitor"},
    "av/respmod": {"method": "RESPMOD", "mode": "standard", "hold": "1500ms"},
    "av/strict": {"method": "RESPMOD", "mode": "advanced"},
}


def test_a_mode_that_lets_objects_by_is_a_warning_of_its_service(good: Site) -> None:
    change(good, "icap", services=MODES)
    settings = good.settings()
    found = [line for line in look_at_rules(settings) if line.area == "policy"]
    assert [(line.status, line.sentence) for line in found] == [
        (
            Status.WARNING,
            "av/reqmod is in mode monitor: everything passes at once, and is judged after",
        ),
        (
            Status.WARNING,
            "av/respmod is in mode standard: what has no verdict within 1.5 s passes, and is "
            "judged on",
        ),
    ]
    assert found[0].advice.startswith("icap.services.av/reqmod.mode: advanced ")
    (line,) = [each for each in look_at_rules(settings, [Door.FOLDER]) if each.area == "policy"]
    assert line.status is Status.OK  # an installation of KDS has no services


@pytest.mark.parametrize("name", WARNINGS)
def test_what_lets_objects_by_is_a_warning(good: Site, name: str) -> None:
    changes, area, words = WARNINGS[name]
    good.changes |= changes
    lines = look(good)
    assert of(lines, Status.FAILED) == {}
    assert words in of(lines, Status.WARNING)[area]


def test_the_bypass_is_a_warning_and_its_damage_a_fault(good: Site) -> None:
    spool = good.directory / "spool"
    set_bypass(spool, {Door.ICAP: datetime.now(UTC).timestamp() + 3600})
    assert "the ICAP door passes everything UNJUDGED" in of(look(good), Status.WARNING)["bypass"]
    (spool / "bypass.json").write_text("{")
    assert "is damaged" in of(look(good), Status.FAILED)["bypass"]


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (PermissionError(13, "Permission denied"), Status.SKIPPED, "whether it is on cannot be"),
        (OSError(5, "Input/output error"), Status.FAILED, "Input/output error. It opens nothing"),
    ],
)
def test_a_switch_that_cannot_be_read_is_not_called_damaged(
    good: Site, monkeypatch: pytest.MonkeyPatch, error: OSError, status: Status, words: str
) -> None:
    settings = good.settings()
    set_bypass(settings.spool.dir, {Door.ICAP: datetime.now(UTC).timestamp() + 3600})

    def fail(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(Path, "read_text", fail)
    (line,) = look_at_bypass(settings)
    assert line.status is status
    assert words in line.sentence
    assert f"bypass.json cannot be read: {error.strerror}." in line.sentence
    assert "--off" not in line.advice


def test_a_node_that_is_away_beside_one_that_works_is_a_warning(good: Site) -> None:
    change(good, "kata", urls=[f"https://127.0.0.1:{free_port()}", good.url])
    lines = look(good)
    assert of(lines, Status.FAILED) == {}
    assert "Connection refused; others take the files" in of(lines, Status.WARNING)["kata"]


def test_who_stands_in_between_is_no_warning_whoever_else_works(good: Site) -> None:
    other, key = good.directory / "other.pem", good.directory / "other.key"
    put_certificate(other, key, "other")
    with OddNode(http(b"[]"), other, key) as between:
        change(good, "kata", urls=[good.url, between.url])
        lines = look(good)
    assert between.url in of(lines, Status.FAILED)["trust"]
    assert "accepts this system" in of(lines, Status.OK)["kata"]


def test_a_store_is_read_without_a_trace_whether_a_daemon_has_it_or_not(good: Site) -> None:
    store = open_verdicts(good.settings())
    asyncio.run(allow_hash(store, "a" * 64, 600))
    before = sorted(tree(good.directory))
    assert "1 verdicts are known" in look_at_file(good.directory / "verdicts.db").sentence
    assert sorted(tree(good.directory)) == before
    asyncio.run(store.close())
    for end in ("-wal", "-shm"):
        assert not (good.directory / f"verdicts.db{end}").exists()
    found = tree(good.directory)
    assert "1 verdicts are known" in look_at_file(good.directory / "verdicts.db").sentence
    assert tree(good.directory) == found


@pytest.mark.parametrize("name", ["verdicts.db", "v ?#%41.db"])
@pytest.mark.parametrize("url", ["sqlite://{}", "sqlite:///{}"])  # the second is SQLAlchemy's
def test_a_store_is_read_however_its_path_is_spelt(good: Site, url: str, name: str) -> None:
    change(good, "verdicts", store=url.format(good.directory / name))
    settings = good.settings()
    asyncio.run(open_verdicts(settings).close())
    (line,) = look_at_store(settings)
    assert (line.status, "0 verdicts are known" in line.sentence) == (Status.OK, True), line


def test_folders_need_not_be(good: Site) -> None:
    good.changes["folders"] = []
    assert "none is configured" in of(look(good), Status.OK)["folders"]


# -- whether KATA takes files ------------------------------------------------------------------


def look_with_a_file(site: Site) -> list[Line]:
    """What is found where a file may be given to KATA; no icapd runs here."""
    config = site.config
    settings, lines = read_configuration(config)
    assert settings is not None
    return [*lines, *Examination(settings, config, self_test=True).lines()]


def test_a_file_that_nobody_knows_is_given_to_kata_once_a_run(good: Site, node: Emulator) -> None:
    memory = node.memory
    before, known = memory.calls["submit"], len(memory.submitted)
    for run in (1, 2):
        lines = look_with_a_file(good)
        (line,) = [line for line in lines if " takes files: " in line.sentence]
        assert (line.area, line.status) == ("kata", Status.OK)
        assert memory.calls["submit"] == before + run
    first, second = memory.submitted[known:]
    assert first.sha256 != second.sha256
    assert first.instance == "test.check.0"
    assert not memory.of_sensor(first.sensor, first.instance), "it is to forget them"


def test_that_no_upload_arrives_is_the_first_fault(
    good: Site, node: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a relay before the Central Node does it, which lets all other calls by."""
    monkeypatch.setattr(node.memory, "failing", Script(fault="500"))
    lines = look_with_a_file(good)
    failed = first_failed(lines)
    assert failed.area == "kata", lines
    assert failed.sentence.startswith("KATA takes no files: submit answered 500 ")
    assert good.url in failed.sentence
    assert "relay" in failed.advice
    assert of(lines, Status.SKIPPED)["icap"].endswith("no body was sent")
    monkeypatch.setattr(node.memory, "failing", Script(fault="drop"))
    failed = first_failed(look_with_a_file(good))
    assert failed.sentence.startswith("KATA takes no files: submit: ")


def test_an_upload_that_hangs_is_waited_for_a_while_and_named(
    good: Site, node: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def hang(*_: Any) -> Script:
        go_on.wait(60)
        return Script()

    monkeypatch.setattr(Memory, "script", hang)
    lines = look_with_a_file(good)
    go_on.set()
    assert "kata" not in of(lines, Status.FAILED)
    (line,) = [line for line in lines if "take a file" in line.sentence]
    assert (line.status, line.sentence) == (
        Status.WARNING,
        f"{good.url} did not take a file within 8 s; the daemons wait longer",
    )


def test_a_busy_kata_is_a_warning(
    good: Site, node: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.memory, "failing", Script(fault="429"))
    lines = look_with_a_file(good)
    assert "takes no file just now: submit answered 429" in of(lines, Status.WARNING)["kata"]
    assert "kata" not in of(lines, Status.FAILED)


def test_a_node_that_takes_no_files_beside_one_that_does_is_a_warning(
    good: Site, tmp_path: Path
) -> None:
    memory = Memory(tmp_path, failing=Script(fault="500"))
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_bytes(good.server_certificate.with_name(name).read_bytes())
    with Emulator(memory) as other:
        change(good, "kata", urls=[other.url, good.url])
        lines = look_with_a_file(good)
    assert "kata" not in of(lines, Status.FAILED)
    (line,) = [line for line in lines if "takes no files: submit answered 500" in line.sentence]
    assert line.status is Status.WARNING
    assert line.sentence.endswith(f"({other.url}); others take the files")


# -- real disks --------------------------------------------------------------------------------


@pytest.fixture
def disk(good: Site, tmp_path: Path) -> Iterator[Mounts]:
    """Mounts for a set-up whose own folders, all three, lie in `state`."""
    (good.directory / "state").mkdir()
    good.changes |= {
        "spool": {"dir": "state/spool", "min_free": "1MiB"},
        "logs": {"dir": "state/log"},
        "verdicts": {"store": f"sqlite://{good.directory}/state/verdicts.db"},
    }
    with need_mounts(tmp_path) as made:
        yield made


def test_a_disk_without_inodes_is_a_fault_of_all_that_write_there(good: Site, disk: Mounts) -> None:
    state = good.directory / "state"
    disk.tmpfs(state, "100m", files=60)
    fill_with_files(state)
    lines = look(good)
    found = of(lines, Status.FAILED)
    assert list(found) == ["spool", "verdicts", "logs"], lines
    assert all("lies on a disk with 0 inodes left" in sentence for sentence in found.values())


@pytest.mark.parametrize("is_there", [False, True])
def test_a_full_disk_is_a_fault_of_the_verdict_store(
    good: Site, disk: Mounts, is_there: bool
) -> None:
    state = good.directory / "verdicts"
    state.mkdir()
    disk.tmpfs(state, "8m")
    change(good, "verdicts", store=f"sqlite://{state}/verdicts.db")
    if is_there:
        asyncio.run(open_verdicts(good.settings()).close())
    fill(state)
    lines = look(good)
    assert list(of(lines, Status.FAILED)) == ["verdicts"], lines
    assert "/verdicts.db) has 0 B free on its disk" in first_failed(lines).sentence


def test_what_a_running_icapd_cannot_do_is_the_first_fault(good: Site, started: Keep) -> None:
    """It keeps to another limit than the file has, as to a quota, which nobody else sees."""
    port = free_port()
    change(good, "status", icapd=f"127.0.0.1:{port}")
    change(good, "spool", min_free="900TiB")
    started(good.start_icapd())
    wait_until(lambda: not said_ready(port)["spool"], "it sees that there is no room", 15)
    change(good, "spool", min_free="1MiB")
    lines = look(good)
    spool = [line for line in lines if line.area == "spool"]
    assert spool[0] == first_failed(lines)
    assert spool[0].sentence.startswith("icapd has no room for bodies in spool.dir: ")
    assert spool[1].status is Status.OK
    change(good, "spool", min_free="900TiB")
    assert "spool.min_free is 900.0 TiB" in of(look(good), Status.FAILED)["spool"]


@pytest.mark.parametrize("area", sorted(AREAS))
def test_whatever_a_daemon_cannot_do_is_said(
    good: Site, monkeypatch: pytest.MonkeyPatch, area: str
) -> None:
    said = failed(area, "icapd cannot", "help it")
    monkeypatch.setattr(examination, "look_at_readiness", lambda *_: iter([said]))
    assert first_failed(look(good)) == said


def test_what_hangs_in_a_log_is_no_fault_of_what_it_would_tell_of(
    good: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    forever = threading.Event()

    def hangs(*_: object) -> Iterator[Line]:
        forever.wait()
        yield from ()

    monkeypatch.setattr(examination, "_SAID_SECONDS", 0.1)
    monkeypatch.setattr(examination, "look_at_readiness", hangs)
    lines = look(good)
    forever.set()
    assert list(of(lines, Status.FAILED)) == ["status"], lines


def said_ready(port: int) -> dict[str, bool]:
    """The parts by /ready of a status page."""
    told: dict[str, bool] = json.loads(ask(Address("127.0.0.1", port), "/api/live"))["ready"]
    return told


def fill(disk: Path) -> Path:
    """A file that takes all the bytes that are left."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return ballast


def fill_with_files(disk: Path) -> None:
    """Empty files, as many as there can be."""
    folder = disk / "ballast"
    folder.mkdir()
    with contextlib.suppress(OSError):
        for number in range(10_000):
            (folder / str(number)).touch()


# -- the command -------------------------------------------------------------------------------


def check(site: Site, *words: str) -> int:
    return main(["check", "--config", str(site.config), *words])


def test_exit_codes_and_json(good: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(good, "--no-self-test", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["result"] == "warning"
    assert shown["lines"][0] == {
        "area": "configuration",
        "status": "ok",
        "sentence": f"{good.directory}/katabridge.yaml is good",
        "advice": None,
    }
    assert {line["status"] for line in shown["lines"]} == {"ok", "warning", "skipped"}
    change(good, "spool", min_free="900TiB")
    assert check(good, "--no-self-test") == 1
    text = capsys.readouterr().out
    assert "\nfailed  spool: spool.dir (" in text
    assert "\n        -> free space there" in text
    good.changes["polici"] = 1
    assert check(good, "--json") == 2
    shown = json.loads(capsys.readouterr().out)
    assert shown["result"] == "failed"
    assert [line["area"] for line in shown["lines"]] == ["configuration"]
    assert main(["check", "--config", str(good.directory / "none.yaml")]) == 2
    assert "the configuration cannot be read: No such file" in capsys.readouterr().out


def test_a_date_that_is_none_is_no_fault(good: Site) -> None:
    with ExitStack() as stack:
        odd(good, stack, http(b"[]", f"Date: {'9' * 60_000}"))
        lines = look(good)
    assert "names no time" in of(lines, Status.SKIPPED)["clock"]
    assert of(lines, Status.FAILED) == {}


def test_a_person_sees_colours_and_what_is_looked_at(good: Site) -> None:
    change(good, "spool", min_free="900TiB")
    command = [*module("bridge.cli"), "check", "--config", good.config, "--no-self-test"]
    with Terminal(command) as terminal:
        code = terminal.wait()
    assert code == 1
    shown = terminal.shown
    assert "\x1b[1;31mfailed  \x1b[0m\x1b[1mspool: \x1b[0mspool.dir (" in shown
    assert "\x1b[32mok      \x1b[0m" in shown
    assert "→ free space there" in shown
    assert shown.rstrip().endswith("The first line that failed names the fault.")
    assert "Traceback" not in shown


def said_to(stdout: int | None, site: Site, *words: str) -> tuple[int, str]:
    """Exit code and stderr; None: stdout is closed."""
    closed = ["sh", "-c", 'exec "$@" 1>&-', "sh"] if stdout is None else []
    command = [*module("bridge.cli"), *words, "--config", str(site.config)]
    done = subprocess.run(
        [*closed, *command],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", [["check", "--no-self-test", "--json"], ["history", "--csv"]])
def test_what_cannot_be_said_is_a_sentence_and_no_finding(good: Site, words: list[str]) -> None:
    """A disk that is full takes no report: that is another fault than those it would tell of."""
    (good.directory / "log").mkdir()
    (good.directory / "log" / "log-history.log").write_text("")
    full = os.open("/dev/full", os.O_WRONLY)
    code, said = said_to(full, good, *words)
    os.close(full)
    assert (code, said) == (2, "kata-bridge: stdout takes no more: No space left on device.\n")
    closed = "kata-bridge: stdout takes no more: Bad file descriptor.\n"
    assert said_to(None, good, *words) == (2, closed)


def test_who_reads_no_further_ends_nothing(good: Site) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    assert said_to(theirs, good, "check", "--no-self-test") == (0, "")
    os.close(theirs)
