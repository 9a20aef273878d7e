"""What `kata-bridge collect` takes and leaves out, run within this process."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import tarfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.commands import collect as command
from bridge.commands.collecting import asked, logs, patience, work
from bridge.commands.collecting.archive import Archive
from bridge.commands.collecting.masking import mask
from bridge.commands.collecting.people import Pseudonyms
from bridge.commands.collecting.portions import begin_of, lines_between, shares
from bridge.commands.collecting.sources import find_sources
from bridge.core import REMOVED, scrub
from tests.support.katabridge import Site

USER, CLIENT, URL = "CORP\\ivanov", "10.1.2.3", "https://files.example/secret/plan.pdf?a=b"


@pytest.fixture(autouse=True)
def quick_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(config: Path) -> Iterator[tuple[str, str] | None]:
        yield None
        yield f"{config} is checked", "exit code 0"

    monkeypatch.setattr(work, "check", check)


@pytest.fixture
def place(tmp_path: Path) -> Site:
    """A site whose Central Node is not there."""
    (tmp_path / "support").mkdir()
    certificate = tmp_path / "client.pem"
    site = Site(tmp_path, "https://127.0.0.1:1", certificate)
    (tmp_path / "log").mkdir()
    return site


def collect(site: Site, *more: str) -> int:
    folder = site.directory / "support"
    arguments = ["collect", "--config", str(site.config), "--output-dir", str(folder), *more]
    return main(arguments)


def made(site: Site) -> dict[str, str]:
    """The texts in the one file that was made."""
    (path,) = (site.directory / "support").glob("*")
    return read(path)


def read(path: Path) -> dict[str, str]:
    texts = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            texts[member.name.partition("/")[2]] = file.read().decode()
    return texts


def moment(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="milliseconds")


def record(hours: float, case: object) -> str:
    context = {"service": "av", "client_ip": CLIENT, "user": USER, "method": "GET", "url": URL}
    values = {"time": moment(hours), "case": case, "door": "ICAP", "name": "plan.pdf"}
    return json.dumps({**values, "context": context}, separators=(",", ":")) + "\n"


def verdict(hours: float) -> str:
    return (
        f"{moment(hours)} info blocking_advanced mode: verdict detect (kata), block, case c, "
        f"ICAP av/respmod, proxy 10.0.0.9, client {CLIENT}, user {USER}, GET {URL}, a detail, X y\n"
    )


def test_logs_of_the_period_only(place: Site) -> None:
    log = place.directory / "log"
    (log / "log-history.log").write_text("".join(record(h, f"h{h}") for h in (30, 25, 5, 1)))
    rotated = log / "log-history-20261124-101500.log"
    rotated.write_text(record(26, "r26") + record(23, "r23"))
    old = log / "log-history-20261123-101500.log"
    old.write_text(record(99, "o"))
    os.utime(old, (1, 1))
    (log / "kata-bridge-watch.log").write_text(
        f"{moment(48)} error old\nTraceback of old\n{moment(2)} error new\nTraceback of new\n"
    )
    (log / "something-else.log").write_text("not ours")
    assert collect(place) == 0
    texts = made(place)
    cases = [json.loads(each)["case"] for each in texts["logs/log-history.log"].splitlines()]
    assert cases == ["h5", "h1"]
    assert "r23" in texts[f"logs/{rotated.name}"]
    assert "r26" not in texts[f"logs/{rotated.name}"]
    watch = texts["logs/kata-bridge-watch.log"]
    assert "old" not in watch
    assert "error new\nTraceback of new\n" in watch
    assert "logs/log-history.log: 1 files of it, older than --since" in texts["MANIFEST.txt"]
    assert not any("something-else" in text for text in texts.values())


def test_logs_that_others_have_packed_are_named(place: Site) -> None:
    log = place.directory / "log"
    for number in range(1, 4):
        (log / f"log-history.log.{number}.gz").write_bytes(b"packed")
    (log / "log-events.log-20261124.xz").write_bytes(b"packed")
    (log / "log-history.log.lock").touch()
    assert collect(place) == 0
    left_out = made(place)["MANIFEST.txt"].partition("Left out:")[2]
    why = "another program has rotated or packed that, and it is not read\n"
    assert f"logs/log-history.log.1.gz and 2 more: {why}" in left_out
    assert f"logs/log-events.log-20261124.xz: {why}" in left_out
    assert "lock" not in left_out


def test_the_newest_lines_that_fit(place: Site) -> None:
    log = place.directory / "log"
    lines = [record(20 - number / 1000, number) for number in range(10_000)]
    (log / "log-history.log").write_text("".join(lines[5000:]))
    (log / "log-history-20261124-101500.log").write_text("".join(lines[:5000]))
    (log / "log-events.log").write_text(record(1, "e"))
    assert collect(place, "--max-size", "1MiB") == 0
    texts = made(place)
    assert sum(len(text) for text in texts.values()) <= 1 << 20
    assert texts["logs/log-events.log"].count("\n") == 1
    cases = [json.loads(each)["case"] for each in texts["logs/log-history.log"].splitlines()]
    assert cases == list(range(cases[0], 10_000))
    assert len(cases) > 3000
    assert "logs/log-history.log: its oldest" in texts["MANIFEST.txt"]
    reason = "logs/log-history-20261124-101500.log: --max-size is reached"
    assert reason in texts["MANIFEST.txt"]


def test_people_become_pseudonyms(place: Site) -> None:
    log = place.directory / "log"
    (log / "log-history.log").write_text(record(1, "a") + record(0.5, "b"))
    (log / "preprocessor_icap.log").write_text(verdict(1))
    assert collect(place, "--anonymise") == 0
    texts = made(place)
    everything = "\n".join(texts.values())
    for person in ("ivanov", CLIENT, "secret/plan", "plan.pdf"):
        assert person not in everything, person
    first, second = (json.loads(line) for line in texts["logs/log-history.log"].splitlines())
    assert first["context"] == second["context"]
    assert first["context"]["url"].startswith("https://files.example/path-")
    assert first["name"].endswith(".pdf")
    shown = texts["logs/preprocessor_icap.log"]
    for key in ("user", "client_ip", "url"):
        assert first["context"][key] in shown, key
    assert "proxy 10.0.0.9" in shown
    assert "a detail, X y" in shown
    once = Pseudonyms().of("user", USER)
    assert once != Pseudonyms().of("user", USER)
    assert Pseudonyms().line('{"damaged') == "[a damaged line was left out]"


def test_what_cannot_be_read_is_named(place: Site) -> None:
    log = place.directory / "log"
    (log / "log-history.log").mkdir()
    (log / "log-detects.log").write_bytes(b"\0\xff damaged\n" + record(1, "d").encode()[:-9])
    os.mkfifo(log / "log-events.log")
    assert collect(place) == 0
    texts = made(place)
    assert "logs/log-history.log: Is a directory" in texts["MANIFEST.txt"]
    assert "logs/log-events.log: it is no regular file\n" in texts["MANIFEST.txt"]
    assert "logs/preprocessor_icap.log: No such file or directory" in texts["MANIFEST.txt"]
    assert "log-events.log" in texts["MANIFEST.txt"].partition("Left out:")[2]
    assert "\\xff damaged" in texts["logs/log-detects.log"]


def test_a_configuration_that_is_no_yaml_is_left_out(
    place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATABRIDGE_CONFIG", str(place.directory / "broken.yaml"))
    text = 'a: b: c\nstatus: {token: "Tok3n-of-a-broken-file"}\n'
    (place.directory / "broken.yaml").write_text(text)
    assert main(["collect", "--output-dir", str(place.directory / "support")]) == 0
    texts = made(place)
    assert "katabridge.yaml" not in texts
    assert "katabridge.yaml: it is no YAML" in texts["MANIFEST.txt"]
    assert "broken.yaml:1: not YAML" in texts["MANIFEST.txt"]
    assert mask(text).secrets >= {"Tok3n-of-a-broken-file"}


def test_whatever_is_asked_is_scrubbed_and_bounded(
    place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "abcdefabcdef01234567"
    addresses = {"icapd": "127.0.0.1:1", "watch": "127.0.0.1:2"}
    place.changes = {"status": {**addresses, "token": token}}
    (place.directory / "spool").mkdir()
    (place.directory / "spool" / f"{token}.body").write_text(token)
    (place.directory / "log" / f"log-history-20261124-101500.log{token}").mkdir()

    def check(config: Path) -> Iterator[tuple[str, str] | None]:
        yield f"{config} {token}\n" + "x y\n" * (300 << 10), "exit code 1"

    def said_by(address: object, path: str) -> str:
        if path == "/metrics":
            return f'a_metric{{token="{token}"}} 1\n'
        raise OSError(f"{address} has no {token}")

    monkeypatch.setattr(work, "check", check)
    monkeypatch.setattr(work, "said_by", said_by)
    assert collect(place, "--max-size", "1MiB") == 0
    texts = made(place)
    assert not [path for path, text in texts.items() if token in text + path]
    assert texts["icapd/metrics.txt"] == f'a_metric{{token="{REMOVED}"}} 1\n'
    assert f"watch/live.json: 127.0.0.1:2 has no {REMOVED}" in texts["MANIFEST.txt"]
    assert f"{REMOVED}.body" in texts["system/spool.txt"]
    assert texts["check.txt"].endswith("[cut: --max-size]\n")
    assert sum(len(text) for text in texts.values()) <= 1 << 20
    assert "check.txt: its end, since --max-size is reached" in texts["MANIFEST.txt"]


def test_odd_values_in_a_configuration_end_nothing(place: Site) -> None:
    path = place.directory / "odd.yaml"
    loop = place.directory / "loop"
    loop.symlink_to(loop)
    path.write_text(
        'status: {token: "\\ud800-token-of-a-broken-file"}\nspool: {dir: "a\\0b"}\n'
        f'logs: {{dir: "x\\ud800"}}\nkata: {{client_key: {"k" * 5000}, client_cert: [1]}}\n'
        f"folders: [{{name: 1, input: {loop}}}, 7]\nicap: {{listen: [nonsense]}}\n"
    )
    folder = str(place.directory / "support")
    assert main(["collect", "--config", str(path), "--output-dir", folder]) == 0
    texts = made(place)
    assert "token-of" not in "".join(texts.values())
    assert "File name too long" in texts["MANIFEST.txt"]
    assert "Too many levels of symbolic links" in texts["system/folders.txt"]


def test_where_it_cannot_be_made(place: Site, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(place.directory / "nowhere")
    assert main(["collect", "--config", str(place.config), "--output-dir", nowhere]) == 2
    assert f"{nowhere} is no folder: make it, or name another." in capsys.readouterr().err
    watched = str(place.directory / "in")
    assert main(["collect", "--config", str(place.config), "--output-dir", watched]) == 2
    assert "lies in a folder that is watched (folder share, input)" in capsys.readouterr().err
    arguments = ["collect", "--config", f"{nowhere}.yaml", "--output-dir", watched]
    assert main(arguments) == 2
    assert "the configuration cannot be read: No such file" in capsys.readouterr().err


def test_a_full_disk_is_one_sentence_and_no_half_file(
    place: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (place.directory / "log" / "log-history.log").write_bytes(
        b"".join(os.urandom(60).hex().encode() + b"\n" for _ in range(9000))
    )
    config = str(place.config)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        folder = str(place.directory / "support")
        code = main(["collect", "--config", config, "--output-dir", folder])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = capsys.readouterr().err
    assert code == 1
    assert f"{folder}: {os.strerror(errno.EFBIG)}; no file was made there." in said
    assert len(said.splitlines()) == 1
    assert list((place.directory / "support").iterdir()) == []


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_nothing_half_is_left_when_it_is_ended(tmp_path: Path, end: type[BaseException]) -> None:
    with pytest.raises(end), Archive(tmp_path, "collect-x", str, 1 << 20) as archive:
        archive.add("a.txt", "text", "a text")
        assert [path.name[:10] for path in tmp_path.iterdir()] == [".collect-x"]
        raise end
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_nothing_left(
    place: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    def check(config: Path) -> Iterator[None]:
        del config
        signal.raise_signal(number)  # to this thread, whatever others there are
        threading.Event().wait(10)
        yield None

    monkeypatch.setattr(work, "check", check)
    try:
        code: object = collect(place)
    except SystemExit as ended:
        code = ended.code
    assert code == 128 + number
    assert capsys.readouterr().err == "kata-bridge collect: ended; no file was made.\n"
    assert list((place.directory / "support").iterdir()) == []


def test_a_check_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked.sys, "executable", "/bin/sh")  # type: ignore[attr-defined]
    monkeypatch.setattr(asked, "_COMMAND", ["-c", "echo begun; sleep 1000"])
    monkeypatch.setattr(asked, "_CHECK_SECONDS", 0.5)
    *steps, last = asked.check([], 0.05)
    assert steps
    assert last == ("begun\n", "it was ended after 0 s")


def test_a_configuration_is_shown_line_by_line_without_secrets() -> None:
    text = """# password in a comment
kata:
  urls: [https://cn.example]  # another
  client_key: |  # oops
     c.key
status: {icapd: "127.0.0.1:8344", token: "abcdefabcdef012345"} # it
status2:
  tokn: zzzzzzzzzzzzzzzzzzzzzz
verdicts: {store: "redis://u:p%40ss@w@h:6379/0", keep: {detect: 7d}}
notify:
  url: https://u:hookpass@hooks.example:444/services/T00000000/B1234567?sig=SSSSSSSSig
icap:
  services:
    av/reqmod: {method: REQMOD, modus: advanced}
exclusions:
  - {source: [10.1.2.3], name: "*.iso"}
submit: {types: [pdf]}
{token:abcdefgh}: x
"""
    masked = mask(text)
    assert (
        masked.text
        == """
kata:
  urls: [https://cn.example]
  client_key: "c.key\\n"

status: {icapd: "127.0.0.1:8344", token: "[removed]"}
status2:
  tokn: "[removed]"
verdicts: {store: "redis://[removed]@h:6379/0", keep: {detect: 7d}}
notify:
  url: "https://hooks.example:444/[removed]"
icap:
  services:
    av/reqmod: {method: REQMOD, modus: "[removed]"}
exclusions:
  - {source: [10.1.2.3], name: "*.iso"}
submit: {types: [pdf]}
{"[removed]"}: "[removed]"
"""
    )
    named = {"abcdefabcdef012345", "p%40ss@w", "p@ss@w", "hookpass", "B1234567", "abcdefgh"}
    assert masked.secrets >= named
    assert mask("status: {token: abc}").short == 1
    assert REMOVED in (mask("status: plain-token-here").text or "")


def test_daemons_are_asked_where_they_are_by_default(tmp_path: Path) -> None:
    daemons = find_sources(mask("status: {watch: null}"), tmp_path).daemons
    assert daemons == {"icapd": ("127.0.0.1", 8344)}
    daemons = find_sources(mask("status: {icapd: '127.0.0.1:1'}"), tmp_path).daemons
    assert daemons == {"icapd": ("127.0.0.1", 1), "watch": ("127.0.0.1", 8345)}


def test_shares_are_fair() -> None:
    assert shares({"a": 10, "b": 20, "c": 1000}, 2000) == {"a": 10, "b": 20, "c": 1000}
    assert shares({"a": 10, "b": 200, "c": 1000}, 210) == {"a": 10, "b": 100, "c": 100}
    assert shares({"a": 10, "b": 20}, -5) == {"a": 0, "b": 0}


def test_the_period_begins_at_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for count in (1, 2, 50, 3000):
        path.write_text("".join(record(count - n, n) + "  more of it\n" for n in range(count)))
        for wanted in {0, count // 2, count - 1}:
            since = (datetime.now(UTC) - timedelta(hours=count - wanted + 0.5)).timestamp()
            with path.open("rb") as file:
                start, end = begin_of(file, since)
                first = next(lines_between(file, start, end))
            assert json.loads(first)["case"] == wanted
        with path.open("rb") as file:
            assert begin_of(file, datetime.now(UTC).timestamp() + 9) == (end, end)


def test_lines_that_are_too_long_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n" + b"x" * (3 << 20) + b"\nlast")
    with path.open("rb") as file:
        found = list(lines_between(file, 0, path.stat().st_size))
    assert found == [b"first\n", b"[a line of more than 1 MiB was left out]\n", b"last"]


HIDDEN = [
    "status: {token: [%s]}",
    "status:\n  token:\n    - %s",
    "status: {token: {of: {it: %s}}}",
    "status: {token: {%s: x}}",
    "status: {token: !%s }",
    "status: {token: &%s }",
    "status: {<<: {token: %s}}",
    "base: &b {token: %s}\nstatus: *b",
    "kata: {node: &n %s}\nstatus: {token: *n}",
    "- status: {token: %s}",
    "Status: {Token: %s}",
    "a: 1\n---\nstatus: {token: %s}",
    "status: {token: %s}\n---\nb: 2",
    "status: {password: [%s]}",
    "verdicts: {store: ['redis://u:%s@h:1/0']}",
    "notify: {url: {a: ['https://h/%s']}}",
    "notify: {url: h/%s}",
    "kata: {urls: ['https://u:%s@h']}",
    "kata: {urls: ['u:%s@h']}",
    "kata: {urls: ['https://u/a:%s@h']}",
    "logs: {syslog: {url: 'tcp://u:%s@h'}}",
    "kata: {node: ['https://u:%s@h']}",
]


@pytest.mark.parametrize("shape", HIDDEN)
def test_a_secret_is_one_in_whatever_shape_it_is_written(shape: str) -> None:
    secret = "Hunter2Geheim"
    masked = mask(shape % secret)
    assert masked.text is not None
    assert secret not in masked.text
    assert scrub(f"a {secret} b", masked.secrets) == f"a {REMOVED} b"


def test_a_secret_in_the_escapes_of_yaml_is_shown_nowhere() -> None:
    for key in ("kata: {urls: [%s]}", "verdicts: {store: %s}", "icap: {page: {contact: %s}}"):
        masked = mask(key % '"https://u:Hunter\\x32\\\n  Geheim@h"')
        assert masked.text is not None
        assert "Geheim" not in masked.text
        assert "Hunter2Geheim" in masked.secrets
    assert "Hunter2" in "".join(mask("status: {token: *Hunter2Geheim}").secrets)
    assert "Hunter2Geheim" in mask("status: {token: [Hunter2Geheim], : [}").secrets


def test_lists_of_settings_are_shown() -> None:
    text = """exclusions:
  - {source: [10.0.0.0/8]}
  - source: 10.1.2.3
submit: {types: [pdf]}
kata: {urls: [https://cn.example], node: [x]}
"""
    assert mask(text).text == text.replace("node: [x]", 'node: ["[removed]"]')


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Patience is short; what waits for the event goes on in the end."""
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.2)
    event = threading.Event()
    yield event
    event.set()


def test_a_share_that_hangs_is_left_out(
    place: Site, monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    real = os.statvfs
    watched = str(place.directory / "in")

    def statvfs(folder: Path) -> os.statvfs_result:
        if str(folder) == watched:
            hanging.wait(20)
        return real(folder)

    monkeypatch.setattr(os, "statvfs", statvfs)
    assert collect(place) == 0
    texts = made(place)
    assert f"{watched}\n  did not answer within 0 s\n  mount: " in texts["system/folders.txt"]
    assert texts["system/folders.txt"].count(" free\n") >= 4


def test_a_pipe_in_the_place_of_a_key_is_not_waited_for(
    place: Site, hanging: threading.Event
) -> None:
    del hanging
    config, folder = str(place.config), str(place.directory / "support")
    for name in ("client.key", "client.pem"):
        (place.directory / name).unlink()
        os.mkfifo(place.directory / name)
    assert main(["collect", "--config", config, "--output-dir", folder]) == 0
    texts = made(place)
    assert "kata.client_key cannot be read (it is no regular file)" in texts["MANIFEST.txt"]
    assert "client.pem\n  it is no regular file" in texts["certificates.txt"]
    assert "mode 0" in texts["keys.txt"]


def test_steps_that_hang_are_left_out(
    place: Site, monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    def hang(*_: object) -> str:
        hanging.wait(20)
        return "late"

    for module, name in ((work, "sizes_below"), (logs, "rotated_files"), (command, "load_named")):
        monkeypatch.setattr(module, name, hang)
        monkeypatch.setattr(module, "STEP_SECONDS", 0.3)
    assert collect(place) == 0
    texts = made(place)
    assert "system/spool.txt: did not answer within 0 s" in texts["MANIFEST.txt"]
    assert f"logs of {place.directory}/log: did not answer within 0 s" in texts["MANIFEST.txt"]
    assert "what it names did not answer within 0 s" in texts["MANIFEST.txt"]


def odd_record(url: str, **more: object) -> str:
    context = {"client_ip": CLIENT, "user": USER, "url": url, "proxy": "10.0.0.9"}
    values = {"time": moment(1), "door": "ICAP", "name": "jane.pdf", "context": context}
    return json.dumps(values | more)


NAMING = [
    odd_record('http://x/a"jane'),
    odd_record("/jane"),
    odd_record("//x/jane"),
    odd_record("http://jane@x/"),
    odd_record("http://x\\jane"),
    odd_record("jane?x"),
    odd_record("http://x/a jane"),
    odd_record("http://x/", detail=f"user ivanov of {CLIENT}"),
    odd_record("http://x/", detail=f"{USER} at 2001:db8::7 asked for http://y/jane"),
    odd_record("http://x/", parts=[{"detail": "jane.pdf", "client_ip": CLIENT}]),
    f"2026-11-29T10:00:00Z warning of {CLIENT}, about URLs with 'jane-path', until 10:00",
    f"2026-11-29T10:00:00Z info the connection of {CLIENT}:4711 is cut",
    "2026-11-29T10:00:00Z info user=ivanov at [2001:db8::7]:4711",
    verdict(1).strip().replace(URL, 'http://x/a"jane'),
    verdict(1).strip().replace(f"{URL}, a detail, X y", "http://x/a jane"),
    verdict(1).strip().replace(URL, "/jane"),
    verdict(1).strip().replace(USER, "ivanov, jane"),
    verdict(1).strip().replace(f"GET {URL}, a detail, X y", "G,T *jane"),
]


@pytest.mark.parametrize("line", NAMING)
def test_nobody_is_named_wherever_he_stands(line: str) -> None:
    left = Pseudonyms().line(line)
    for name in ("jane", "ivanov", CLIENT, "2001:db8"):
        assert name not in left, left
    assert ("10.0.0.9" in line) == ("10.0.0.9" in left)
    assert left[:6] == line[:6]


def test_what_names_nobody_stays_and_depth_ends_nothing() -> None:
    line = "2026-11-29T10:00:00.123+00:00 warning icapd listens on 127.0.0.1:1344, 0.0.0.0, [::1]:1"
    assert Pseudonyms().line(line) == line
    line = (
        "2026-11-29T10:00:00Z error https://cn.example/kata/scanner/v1 says 401, proxy 10.0.0.9: x"
    )
    assert Pseudonyms(("https://cn.example",)).line(line) == line
    deep = '{"a":' + "[" * 50_000 + "]" * 50_000 + "}"
    assert Pseudonyms().line(deep) == "[a damaged line was left out]"
    deep = '{"a":' * 900 + "1" + "}" * 900
    assert Pseudonyms().line(deep)


@pytest.mark.parametrize(
    "fault",
    [
        'x: "\\UFFFFFFFF"\n',
        f"%YAML {'9' * 5000}.1\n---\n",
        "x: " + "[" * 3000 + "\n",
        "a: &a [1, 1]\n"
        + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnop")),
    ],
    ids=["a sign beyond all numbers", "a version", "nested", "aliases"],
)
def test_the_secrets_of_a_file_that_cannot_be_read_are_found(fault: str) -> None:
    masked = mask(f"{fault}status: {{token: Hunter2GeheimToken}}\n")
    assert masked.text is None
    assert "Hunter2GeheimToken" in masked.secrets
