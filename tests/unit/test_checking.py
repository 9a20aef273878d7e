"""The parts of `kata-bridge check` that decide, without a server."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.commands import check
from bridge.commands.checking import (
    certificates,
    daemons,
    disk,
    examination,
    icap,
    kata,
    outages,
    rights,
    secrets,
    store,
    trial,
)
from bridge.commands.checking import proxies as proxy_look
from bridge.commands.checking.line import Line, Status, failed, ok, result, skipped, warning
from bridge.commands.checking.pages import By, Page, Pages
from bridge.commands.checking.report import as_text
from bridge.commands.checking.rights import (
    file_fault,
    folder_fault,
    mend,
    own_folder_fault,
    user_name,
)
from bridge.commands.checking.room import Room, minding_files, room
from bridge.commands.checking.running import Running, TooSlowError, within
from bridge.commands.words import clock_words, size_words, time_words
from bridge.core import Answer, CallResult, LogSettings, Outage, Settings, SpoolSettings, stamp
from bridge.core.belongings import fault_of_spool
from bridge.core.locks import locked_inodes
from bridge.core.settings.logs import NotifySettings, StatusSettings
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site

MIB = 1 << 20
NOW = 1_800_000_000.0
BUSY = "https://cn accepts this system, but says that it is busy: state answered 429"
LINE = '{"area": "icap", "status": "ok", "sentence": "good", "advice": ""}'


# -- lines -------------------------------------------------------------------------------------


def test_the_worst_line_is_the_result() -> None:
    good, gone = ok("a", "b"), skipped("a", "b")
    assert result([good, gone]) is Status.OK
    assert result([good, warning("a", "b", "c")]) is Status.WARNING
    assert result([failed("a", "b", "c"), warning("a", "b", "c")]) is Status.FAILED


def test_whatever_is_quoted_stays_one_line_and_harmless() -> None:
    line = failed("kata", "it says \x1b[2J\n" + "x" * 5000, "\u202e")
    assert line.sentence.startswith("it says \\x1b[2J\\nxxx")
    assert len(line.sentence) < 1100
    assert as_text(line).count("\n") == 2
    assert (line.sentence + line.advice).isprintable()


def test_words() -> None:
    assert [size_words(n) for n in (0, 2048, (1 << 20) - 1, 3 << 29, 1 << 60)] == [
        *("0 B", "2.0 KiB", "1.0 MiB", "1.5 GiB", "1048576.0 TiB"),
    ]
    assert [time_words(n) for n in (-45, 300, 10000, 864000)] == ["45 s", "5 min", "3 h", "10 days"]
    assert clock_words(1e30) == "1e+30"


# -- what hangs --------------------------------------------------------------------------------


def test_who_hangs_is_left_alone_after_his_time() -> None:
    forever = threading.Event()

    def look() -> Iterator[Line]:
        yield ok("disk", "begins")
        forever.wait()

    running = Running("disk", look, 0.1)
    found = list(running.lines())
    assert [line.status for line in found] == [Status.OK, Status.FAILED]
    assert "did not answer within 0 s" in found[1].sentence
    assert running.overran
    with pytest.raises(TooSlowError):
        within(0.05, forever.wait)
    forever.set()


def test_a_call_that_hangs_does_not_keep_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    forever = threading.Event()
    monkeypatch.setattr(check, "_PATIENCE", 0.05)
    call = threading.Thread(target=forever.wait, name="kata-state_0")
    call.start()
    assert check.is_held_up()
    forever.set()
    call.join()
    assert not check.is_held_up()


def test_what_a_look_raises_is_a_line_and_its_own_timeout_is_its_own() -> None:
    def look() -> Iterator[Line]:
        raise ValueError("odd\x1b")

    (line,) = Running("disk", look, 5).lines()
    assert line.status is Status.FAILED
    assert "ValueError: odd\\x1b" in line.sentence

    def slow() -> None:
        raise TimeoutError("a socket's")

    with pytest.raises(TimeoutError, match="a socket's"):
        within(5, slow)


def test_a_configuration_that_cannot_be_read_for_a_share_names_the_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forever = threading.Event()
    monkeypatch.setattr(examination, "_CONFIG_SECONDS", 0.05)
    monkeypatch.setattr(examination, "hanging_shares", lambda: ["/mnt/in"])
    settings, lines = examination.read_configuration(Path("k.yaml"), lambda _: forever.wait())  # type: ignore[arg-type,return-value]
    forever.set()
    assert settings is None
    assert "/mnt/in does not answer" in lines[0].sentence


# -- certificates ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [
        (0, Status.OK, "is valid until"),
        (334, Status.OK, "is valid until"),
        (337, Status.WARNING, "in 27 days"),
        (366, Status.FAILED, "has expired on"),
        (-1, Status.FAILED, "is not valid before"),
    ],
)
def test_a_certificate_by_its_dates(tmp_path: Path, days: int, status: Status, words: str) -> None:
    path = tmp_path / "c.pem"
    put_certificate(path, tmp_path / "c.key")
    now = datetime.now(UTC) + timedelta(days=days)
    line = certificates.judge_certificate("kata.client_cert", path, "renew", now)
    assert (line.status, words in line.sentence) == (status, True), line


def test_a_certificate_that_is_gone_is_said_as_such(tmp_path: Path) -> None:
    line = certificates.judge_certificate("k", tmp_path / "none", "renew", datetime.now(UTC))
    assert line.status is Status.FAILED


# -- disks -------------------------------------------------------------------------------------


def spool(**values: Any) -> SpoolSettings:
    return SpoolSettings.model_construct(
        **{"dir": Path("/spool"), "max_bytes": 100 * MIB, "min_free": 10 * MIB, **values}
    )


@pytest.mark.parametrize(
    ("free", "used", "status", "words"),
    [
        (200 * MIB, 0, Status.OK, "200.0 MiB free"),
        (None, 0, Status.OK, "an unknown number"),
        (100 * MIB, 0, Status.WARNING, "room for 90.0 MiB above spool.min_free"),
        (100 * MIB, 20 * MIB, Status.OK, "20.0 MiB in use"),
        (9 * MIB, 0, Status.FAILED, "are unavailable"),
        (200 * MIB, 100 * MIB, Status.FAILED, "it is full"),
    ],
)
def test_room_for_bodies(free: int | None, used: int, status: Status, words: str) -> None:
    line = disk.judge_room(spool(), free, used)
    assert (line.status, words in line.sentence) == (status, True), line


@pytest.mark.parametrize(
    ("free", "status"),
    [(None, Status.OK), (MIB, Status.FAILED), (100 * MIB, Status.WARNING), (1 << 30, Status.OK)],
)
def test_room_for_records(free: int | None, status: Status) -> None:
    assert disk.judge_log_room(LogSettings(), free).status is status


@pytest.mark.parametrize(
    ("free", "status"),
    [(None, Status.OK), (MIB - 1, Status.FAILED), (MIB, Status.WARNING), (50 * MIB, Status.OK)],
)
def test_room_for_verdicts(free: int | None, status: Status) -> None:
    line = store.judge_store_room("verdicts.store (v)", free, "is good")
    assert (line.status, "is good" in line.sentence) == (status, status is Status.OK), line


@pytest.mark.parametrize(
    ("line", "files", "status"),
    [
        (ok("spool", "x"), None, Status.OK),
        (ok("spool", "x"), 1000, Status.OK),
        (ok("spool", "x"), 999, Status.WARNING),
        (ok("spool", "x"), 19, Status.FAILED),
        (warning("spool", "x", "y"), 0, Status.FAILED),
    ],
)
def test_a_disk_without_inodes_has_no_room(line: Line, files: int | None, status: Status) -> None:
    found = minding_files(line, "spool.dir (s)", files)
    assert (found.area, found.status) == ("spool", status)
    assert (found.sentence == "x") is (status is Status.OK)


def test_of_two_wants_of_room_the_bytes_are_named() -> None:
    bytes_few, bytes_none = warning("spool", "x", "y"), failed("spool", "x", "y")
    assert minding_files(bytes_few, "k", 999) is bytes_few
    assert minding_files(bytes_none, "k", 0) is bytes_none


def test_what_a_file_system_does_not_count_is_not_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = dict.fromkeys(("f_blocks", "f_files", "f_bavail", "f_favail"), 0)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_frsize=512, **values))
    assert room(tmp_path / "none") == Room(None, None)
    values |= {"f_blocks": 9, "f_files": 9, "f_bavail": 2}
    assert room(tmp_path) == Room(1024, 0)


def test_what_is_in_use_is_counted_once_and_without_queues(tmp_path: Path) -> None:
    for name in ("n.icap.0", "n.icap.0.kept", "n.icap.1", "n.icap.0.syslog", "n.folder.0"):
        (tmp_path / name).mkdir()
    (tmp_path / "n.icap.0" / "a").write_bytes(b"x" * 100)
    (tmp_path / "n.icap.0.kept" / "b").hardlink_to(tmp_path / "n.icap.0" / "a")
    (tmp_path / "n.icap.1" / "c").write_bytes(b"x" * 10)
    (tmp_path / "n.icap.0.syslog" / "d").write_bytes(b"x" * 5000)
    (tmp_path / "n.folder.0" / "e").write_bytes(b"x" * 50)
    assert disk.used(tmp_path, "n") == 110
    assert disk.used(tmp_path / "none", "n") == 0


def test_rights_are_those_of_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "log-history.log"
    file.write_text("")
    assert folder_fault(tmp_path) is None
    assert file_fault(file) is None
    assert folder_fault(file) == "is no folder"
    assert folder_fault(tmp_path / "none") == "does not exist"
    assert own_folder_fault(tmp_path / "none" / "deep") is None
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for fault in (folder_fault(tmp_path), own_folder_fault(tmp_path / "none"), file_fault(file)):
        assert fault is not None
        assert "by the user 12345" in fault
        assert mend(fault, "chown") == "chown"


def test_what_is_ones_own_is_not_to_be_owned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "log-history.log"
    file.write_text("")
    file.chmod(0)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    faults = [file_fault(file), folder_fault(tmp_path)]
    assert (
        faults[0] == f"belongs to {user_name()} with mode 000, and may not be written even by him"
    )
    for fault in faults:
        assert fault is not None
        assert mend(fault, "chown").startswith("let him (chmod u+rwX)")
    monkeypatch.setattr(rights, "_is_read_only", lambda _: True)
    fault = file_fault(file)
    assert fault is not None
    assert mend(fault, "chown") == "mount it writable"


def test_a_folder_where_a_file_is_to_be_is_to_go(site_settings: Settings) -> None:
    directory = site_settings.logs.dir
    (directory / "log-events.log").mkdir(parents=True)
    (line,) = disk.look_at_logs(site_settings, Pages(site_settings))
    assert (line.status, line.sentence, line.advice) == (
        Status.FAILED,
        f"{directory}/log-events.log is no file",
        "move away what is there",
    )
    (store_file := directory / "v.db").mkdir()
    line = store.look_at_file(store_file)
    assert (line.sentence, line.advice) == (f"{store_file} is no file", "move away what is there")


def test_a_folder_that_is_out_of_sight_is_no_fault_of_ours(
    site_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    monkeypatch.setattr(Path, "stat", refuse)
    (user,) = disk.look_at_user(site_settings)
    assert user.status is Status.OK
    (line,) = disk.look_at_spool(site_settings)
    assert line.sentence.endswith(") cannot be looked at: Permission denied")
    assert line.advice.startswith("run this check as the service's user")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("test.icap.0.journal/", "is no file"),
        ("test.icap.3.kept", "is no folder"),
        ("test.folder.0.share.left.json/", "is no file"),
        ("test.scan.0.notify/queue.db/", "is no file"),
        ("test.icap.0.kept.old", ""),
        ("test.icap.0.journal.bak/", ""),
        ("test2.icap.0.journal/", ""),
    ],
)
def test_what_the_spool_is_looked_at_for_is_what_a_start_is_refused_for(
    site_settings: Settings, name: str, says: str
) -> None:
    path = site_settings.spool.dir / name
    path.parent.mkdir(parents=True)
    path.mkdir() if name.endswith("/") else path.touch()
    (site_settings.spool.dir / "test.icap.0").mkdir()
    (line,) = disk.look_at_spool(site_settings)
    assert line.status is (Status.FAILED if says else Status.OK)
    if says:
        assert line.sentence == f"{path} {says}"
    _, door, number, *_ = name.split(".")
    fault = fault_of_spool(site_settings.spool.dir, f"test.{door}.{number}")
    assert (f"{path} is a " in (fault or "")) == bool(says)


@pytest.mark.parametrize("free", [None, MIB, 1 << 30])
def test_records_are_said_to_wait_where_a_daemon_says_so(free: int | None) -> None:
    line = disk.judge_log_room(LogSettings(), free, 7)
    assert line.status is Status.FAILED
    assert "7 lines wait in its memory" in line.sentence
    assert "wait in memory" not in disk.judge_log_room(LogSettings(), 1 << 30).sentence
    assert "once there is none" in disk.judge_log_room(LogSettings(), MIB).sentence


def test_a_log_that_root_left_is_named(site_settings: Settings) -> None:
    directory = site_settings.logs.dir
    directory.mkdir()
    (directory / "log-detects.log").write_text("")
    real = os.access

    def access(path: Any, mode: int) -> bool:
        return "log-detects" not in str(path) and real(path, mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", access)
        (line,) = disk.look_at_logs(site_settings, Pages(site_settings))
    assert line.status is Status.FAILED
    assert f"{directory}/log-detects.log belongs to" in line.sentence


@pytest.fixture
def site_settings(tmp_path: Path) -> Settings:
    put_certificate(tmp_path / "ca.pem", tmp_path / "ca.key", "kata")
    return Site(tmp_path / "site", "https://127.0.0.1", tmp_path / "ca.pem").settings()


def test_another_users_spool_is_a_warning(
    site_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    site_settings.spool.dir.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    (line,) = disk.look_at_user(site_settings)
    assert line.status is Status.WARNING
    assert "runs as 12345" in line.sentence


# -- the configuration file --------------------------------------------------------------------


def test_which_keys_hold_secrets(site_settings: Settings) -> None:
    assert secrets.secret_keys(site_settings) == []

    def keys(token: str | None, store: str, url: str) -> list[str]:
        status = StatusSettings.model_validate({"token": token})
        verdicts = site_settings.verdicts.model_copy(update={"store": store})
        update = {"status": status, "verdicts": verdicts, "notify": NotifySettings(url=url)}
        return secrets.secret_keys(site_settings.model_copy(update=update))

    assert keys(None, "redis://127.0.0.1/0", "https://hooks.example/") == []
    held = keys("0123456789abcdef", "redis://:pa55@h/0", "https://hooks.example/T0123456789abcdef")
    assert held == ["status.token", "verdicts.store", "notify.url"]


@pytest.mark.parametrize(
    ("mode", "above", "is_open"),
    [(0o644, 0o755, True), (0o640, 0o755, False), (0o644, 0o750, False), (0o644, 0o711, True)],
)
def test_secrets_that_everybody_may_read_are_a_warning(
    site_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
    above: int,
    is_open: bool,
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # tmp_path is closed to others
        folder = Path(name)
        config = folder / "k.yaml"
        config.write_text("")
        config.chmod(mode)
        folder.chmod(above)
        assert list(secrets.look_at_secrets(site_settings, config)) == []
        monkeypatch.setattr(secrets, "secret_keys", lambda _: ["status.token"])
        lines = list(secrets.look_at_secrets(site_settings, config))
    assert [line.status for line in lines] == [Status.WARNING] * is_open
    assert all(f"{config} can be read by every user" in line.sentence for line in lines)
    assert list(secrets.look_at_secrets(site_settings, config)) == []  # gone


# -- the folder door's process -----------------------------------------------------------------


def test_locks_are_read_and_never_taken() -> None:
    locks = (
        "1: POSIX  ADVISORY  READ 16509 fe:00:11 128 128\n"
        "2: FLOCK  ADVISORY  WRITE 16509 fe:00:12 0 EOF\n"
        "2: -> FLOCK  ADVISORY  WRITE 16510 fe:00:13 0 EOF\n"
        "3: FLOCK\n4: FLOCK  ADVISORY  WRITE 1 nonsense 0 EOF\n"
    )
    assert locked_inodes(locks) == {12}


def test_a_watch_that_runs_is_seen_and_what_is_not_compared_said(site_settings: Settings) -> None:
    from bridge.core.opening import lock_instance

    def look(by: By = By.UNASKED) -> Line:
        found = SimpleNamespace(of=lambda _: Page("watch", None, by))
        (line,) = daemons.look_at_watch(site_settings, found)  # type: ignore[arg-type]
        return line

    lock = lock_instance(site_settings.spool.dir, "test.folder.0")
    try:
        without, silent = look(), look(By.STRANGER)
    finally:
        os.close(lock)
    assert without.status is silent.status is Status.OK
    assert without.sentence == (
        "`kata-bridge watch` of node test runs; it has no status page (status.watch), so that its "
        "folders are not compared with the configuration"
    )
    assert "runs; it cannot be asked (status.watch), so that its folders are not" in silent.sentence
    assert look().status is Status.WARNING


# -- KATA --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("apart", "status", "words"),
    [
        (0, Status.OK, "agrees"),
        (-60, Status.OK, "agrees"),
        (61, Status.WARNING, "61 s ahead of"),
        (-299, Status.WARNING, "5 min behind"),
        (301, Status.FAILED, "5 min ahead of"),
        (-9e9, Status.FAILED, "days behind"),
    ],
)
def test_clocks(apart: float, status: Status, words: str) -> None:
    line = kata.judge_clock("https://cn", NOW - apart, NOW)
    assert (line.status, words in line.sentence) == (status, True), line


def test_a_node_without_a_time_is_not_blamed() -> None:
    assert kata.judge_clock("https://cn", None, NOW).status is Status.SKIPPED


@pytest.mark.parametrize(
    ("answer", "size", "status"),
    [
        (Answer.OK, 100 * MIB, Status.OK),
        (Answer.OK, 200 * MIB, Status.OK),
        (Answer.OK, 99 * MIB, Status.WARNING),
        (Answer.OK, 100, Status.WARNING),  # cannot be bytes
        (Answer.OK, None, Status.WARNING),
        (Answer.FAULT, None, Status.WARNING),
    ],
)
def test_limits(answer: Answer, size: int | None, status: Status) -> None:
    said = CallResult(answer, "filters answered 200", max_object_size=size)
    assert kata.judge_limit("https://cn", 100 * MIB, said).status is status


# -- outages and proxies -----------------------------------------------------------------------


def test_outages_are_told_newest_first_and_not_without_end() -> None:
    lasts = Outage("kata_unreachable", "https://cn\x1b", NOW - 600, None, "refused")
    over = Outage("disk_full", "spool", NOW - 7200, NOW - 7000, "no space")
    found = list(outages.describe([lasts, over], NOW))
    assert [line.status for line in found] == [Status.WARNING] * 2
    assert "kata_unreachable https://cn\\x1b: since 20" in found[0].sentence
    assert "(10 min): refused" in found[0].sentence
    assert found[1].sentence.endswith("for 3 min; it is over (then: no space)")
    many = list(outages.describe([over] * 50, NOW))
    assert len(many) == 11
    assert "40 more in the last 24 hours" in many[-1].sentence
    assert next(iter(outages.describe([], NOW))).status is Status.OK


def test_what_is_over_is_not_told_as_if_it_lasted() -> None:
    detail = "everything passes unjudged until 2027-01-15T09:00:00+01:00"
    over = Outage("bypass_on", "ICAP", NOW - 600, NOW - 592, detail)
    unsaid = Outage("disk_full", "spool", NOW - 600, NOW - 592, "")
    found = [line.sentence for line in outages.describe([over, unsaid], NOW)]
    assert all(sentence.endswith("for 8 s; it is over") for sentence in found), found
    (lasts,) = outages.describe([over._replace(end=None)], NOW)
    assert lasts.sentence.endswith(f"(10 min): {detail}")
    (lasts,) = outages.describe([unsaid._replace(end=None)], NOW)
    assert lasts.sentence.endswith("(10 min)")


def record(proxy: object, *, user: str = "eve", rule: str | None = None, time: str = "") -> bytes:
    import json

    context = {"proxy": proxy, "user": user}
    return json.dumps({"time": time or stamp(), "rule": rule, "context": context}).encode()


def test_proxies_by_the_log() -> None:
    lines = [
        record("192.0.2.1"),
        record("192.0.2.1", rule="withheld"),
        record("192.0.2.2"),
        record("192.0.2.3", time="2020-01-01T00:00:00+00:00"),
        record("127.0.0.1", user="kata-bridge check"),
        record(None), record(["x"]), record("192.0.2.4", time="yesterday"),
        b"{", b"[]", b'{"context": 1}', b"[" * 100_000, b"\xff",
    ]  # fmt: skip
    found = proxy_look.by_log(lines, datetime.now(UTC).timestamp() - 3600)
    assert [(p.address, p.requests, p.withheld) for p in found] == [
        ("192.0.2.1", 2, 1),
        ("192.0.2.2", 1, 0),
    ]
    told = {line.status: line.sentence for line in proxy_look.describe(found)}
    assert "192.0.2.1 withholds bodies: 1 of 2 requests" in told[Status.WARNING]
    assert "192.0.2.2: 1 requests, the last on" in told[Status.OK]
    (none,) = proxy_look.describe([])
    assert none.status is Status.WARNING


# -- the self-test's lines ---------------------------------------------------------------------


def test_lines_of_the_self_test_are_read_with_care() -> None:
    line = icap.read_line(
        '{"area": "icap", "status": "failed", "sentence": "a\\u001b[31m", "advice": null}'
    )
    assert line == Line("icap", Status.FAILED, "a\\x1b[31m", "")
    for text in ("", "{}", "null", '{"area": "a", "status": "odd", "sentence": "", "advice": ""}'):
        assert icap.read_line(text) is None


@pytest.mark.parametrize(
    ("program", "statuses"),
    [
        ("raise SystemExit(1)", ["failed"]),
        (f"print('{LINE}'); raise ValueError", ["ok", "failed"]),
        (f"print('{LINE}'); print('no line')", ["ok"]),
    ],
)
def test_a_self_test_that_dies_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, statuses: list[str]
) -> None:
    (tmp_path / "odd_self_test.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(icap, "_MODULE", "odd_self_test")
    found = list(icap.look_at_icap(tmp_path / "k.yaml", without_bodies=None))
    assert [line.status.value for line in found] == statuses


def test_a_self_test_on_a_busy_machine_has_time_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it may take for its questions is far less than what it is ended after."""
    said = LINE.replace("good", "' + sys.argv[sys.argv.index('--seconds') + 1] + '")
    (tmp_path / "odd_self_test.py").write_text(f"import sys; print('{said}')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(icap, "_MODULE", "odd_self_test")
    (line,) = icap.look_at_icap(tmp_path / "k.yaml", without_bodies=None)
    assert icap.SECONDS - float(line.sentence) >= 10


def test_a_self_test_that_cannot_be_started_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path))
    (line,) = icap.look_at_icap(tmp_path / "k.yaml", without_bodies=None)
    assert line.status is Status.FAILED
    assert "the self-test of icapd cannot be started: Permission denied" in line.sentence
    assert str(tmp_path) in line.advice


def test_who_may_not_read_the_configuration_is_told_so_and_not_to_correct_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "k.yaml").write_text("")
    monkeypatch.setattr("bridge.core.config.read_plain", fail)
    _, (line,) = examination.read_configuration(tmp_path / "k.yaml")
    assert "cannot be read: Permission denied" in line.sentence
    assert line.advice.startswith("run this check as the service's user")


def test_what_failed_before_keeps_bodies_back() -> None:
    works = ok("kata", "https://cn takes files: it took one just now")
    accepts = ok("kata", "https://cn accepts this system (sensorId 1)")
    away = failed("kata", "away", "")
    assert examination._why_no_bodies([works]) is None
    assert examination._why_no_bodies([away]) == "kata failed"
    none = [accepts, failed("kata", "takes no files", "")]
    assert examination._why_no_bodies(none) == "kata failed"
    busy = warning("kata", BUSY, "")
    assert examination._why_no_bodies([busy]) == "kata is busy"
    assert examination._why_no_bodies([failed("kata", "x", ""), busy]) == "kata is busy"
    assert examination._why_no_bodies([failed("spool", "x", ""), busy]) == "spool failed"
    assert examination._why_no_bodies([works, busy]) is None
    slow = trial.judge_trial("https://cn", trial.SLOW)
    assert examination._why_no_bodies([slow]) == "kata is slow"
    assert examination._why_no_bodies([failed("trust", "x", ""), works]) is None
    assert examination._why_no_bodies([failed("certificate", "x", ""), works]) is None
    assert (
        examination._why_no_bodies([failed("certificate", "x", ""), away]) == "certificate failed"
    )
    assert examination._why_no_bodies([failed("spool", "x", ""), works]) == "spool failed"
