"""`kata-bridge collect` as a program: what is in the file, and that no secret is."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.support.katabridge import Site
from tests.support.processes import Program, free_port, module
from tests.support.terminals import Terminal

Done = subprocess.CompletedProcess[bytes]
Keep = Callable[[Program], Program]

TOKEN = 'Tok"en\\with/odd&signs+7'
STORE = "re dis/pa:ss@word"
HOOK = "HookPassw0rd"
HOOK_PATH = "T00AbCdEf12/B00GhIjKl34"
HOOK_QUERY = "QuerySecret%41"


def collect(site: Site, *more: object, folder: Path | None = None) -> Done:
    target = folder or site.directory / "support"
    target.mkdir(exist_ok=True)
    command = [*module("bridge.cli"), "collect", "--config", site.config, "--output-dir", target]
    return subprocess.run(
        [str(part) for part in (*command, *more)], capture_output=True, timeout=120, check=False
    )


def contents(site: Site, folder: Path | None = None) -> dict[str, str]:
    """What the one file there holds, by path without the name of the file."""
    (path,) = (folder or site.directory / "support").glob("*")
    assert re.fullmatch(r"collect-\d{8}T\d{6}Z\.tar\.gz", path.name)
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        texts = {}
        for member in members:
            file = archive.extractfile(member)
            assert file is not None
            assert (member.mode, member.uid, member.uname) == (0o600, 0, "")
            texts[member.name.partition("/")[2]] = file.read().decode()
    assert len(texts) == len(members)
    return texts


def moment(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="milliseconds")


def record(hours: float, case: str, **context: object) -> str:
    values = {"time": moment(hours), "case": case, "door": "ICAP", "name": "a b.bin"}
    return json.dumps({**values, "context": context}, separators=(",", ":")) + "\n"


def escaped(secret: str) -> set[str]:
    found = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    return found | {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}


def in_base64(secret: str) -> set[str]:
    """A secret as a part of what is encoded, at each alignment."""
    return {base64.b64encode(f"{before}{secret}".encode()).decode() for before in ("", "u", "u:")}


def forms_to_plant(secret: str) -> set[str]:
    encoded = in_base64(secret)
    return escaped(secret) | encoded | {quote(each, safe="") for each in encoded}


def forms_to_find(secret: str) -> set[str]:
    """Of what is in Base64 only what belongs to the secret alone."""
    cores = {each[4:-4] for each in in_base64(secret)}
    return escaped(secret) | cores | {quote(each, safe="") for each in cores}


@pytest.fixture
def planted(site: Site) -> list[str]:
    """A site with secrets in all places; all of them."""
    (site.directory / "log").mkdir()
    key = (site.directory / "client.key").read_text()
    # signs that a token may not have are not in it: it is the file's own text here
    secrets = [TOKEN, STORE, HOOK, HOOK_PATH, HOOK_QUERY, "CommentSecret99", "CookieSecret42"]
    secrets += ["QuerySecret11", "UrlSecret22", "HeaderSecret33", "UnknownKeySecret44"]
    secrets += key.splitlines()[1:-1]
    logged = [
        f"the token is {form} (form)" for secret in secrets[:5] for form in forms_to_plant(secret)
    ]
    logged += [f"key line {line}" for line in key.splitlines()]
    logged += [f"key {key!r}", f"key {quote(key)}", json.dumps({"key": key})]
    logged += ['Cookie: sid=CookieSecret42; a="CookieSecret42"', "Basic dTpIZWFkZXJTZWNyZXQzMw=="]
    logged += ["X-Auth-Token: HeaderSecret33", "at https://u:UrlSecret22@h.example/x"]
    logged += [
        f"https://h.example/?{name}=QuerySecret11&n=1"
        for name in (
            *("token", "password", "passwd", "secret", "key", "api_key", "access_token", "sig"),
            *("signature", "code", "auth"),
        )
    ]
    for log in ("preprocessor_icap.log", "kata-bridge-watch.log"):
        lines = [f"{moment(0.1)} error {line}\n" for line in logged]
        (site.directory / "log" / log).write_text("".join(lines) + key)
    for log in ("log-history.log", "log-detects.log", "log-events.log"):
        lines = [record(0.1, "c", user="ivanov", client_ip="10.1.2.3", url=line) for line in logged]
        (site.directory / "log" / log).write_text("".join(lines))
    return secrets


def write_config(site: Site) -> None:
    """The configuration with secrets in values, comments and a key that there is not."""
    text = site.config.read_text()
    store = f"redis://u:{STORE}@127.0.0.1:{free_port()}/0"
    text = text.replace(f"sqlite://{site.directory}/verdicts.db", json.dumps(store))
    hook = f"https://u:{HOOK}@hooks.example/{HOOK_PATH}?sig={HOOK_QUERY}"
    text += f"# CommentSecret99\nnotify: {{url: {json.dumps(hook)}}}  # CommentSecret99\n"
    text += f"status:\n  token: |-  # CommentSecret99\n    {TOKEN}\n"
    text += "unknown: UnknownKeySecret44\n"
    path = site.directory / "planted.yaml"
    path.write_text(text)


def test_no_planted_secret_is_in_it(site: Site, planted: list[str]) -> None:
    write_config(site)
    done = collect(site, "--config", site.directory / "planted.yaml")
    assert done.returncode == 0, done.stderr
    texts = contents(site)
    assert len(texts) >= 14, sorted(texts)
    everything = "\n".join(texts.values())
    for secret in planted:
        for form in forms_to_find(secret):
            assert form not in everything, form
    assert "BEGIN" not in everything
    lines = (site.directory / "log" / "log-history.log").read_text().splitlines()
    assert texts["logs/log-history.log"].count('"user":"ivanov"') == len(lines)
    shown = texts["katabridge.yaml"]
    assert "hooks.example/[removed]" in shown
    assert "redis://[removed]@127.0.0.1" in shown
    assert "sensor_id: " + site.sensor_id in shown
    written = (site.directory / "planted.yaml").read_text()
    assert len(shown.splitlines()) == len(written.splitlines())


def test_it_sees_what_runs_and_shows_that_it_works(site: Site, started: Keep) -> None:
    port = free_port()
    site.changes = {"status": {"icapd": f"127.0.0.1:{port}"}}
    program = started(site.start_icapd())
    folder = site.directory / "support"
    folder.mkdir()
    command = [*module("bridge.cli"), "collect", "--config", site.config, "--output-dir", folder]
    with Terminal(command) as terminal:
        terminal.expect("kata-bridge check")  # the progress
        assert terminal.wait() == 0, terminal.shown
        last = terminal.shown.splitlines()[-1]
    texts = contents(site)
    (path,) = folder.glob("*")
    assert re.search(rf"{re.escape(str(path))}: \d+\.\d KiB; MANIFEST", last), last
    assert "katabridge_icap_connections 0.0" in texts["icapd/metrics.txt"]
    assert f"process {program.process.pid}, test.icap.0.lock" in texts["system/processes.txt"]
    assert f"the status page of {program.process.pid}" in texts["system/processes.txt"]
    descriptors = re.search(r"open descriptors: (\d+)", texts["system/processes.txt"])
    assert descriptors is not None
    assert int(descriptors[1]) > 5
    assert f"port {port} (status.icapd): 0100007F" in texts["system/ports.txt"]
    assert f"port {site.icap_port} (icap.listen): 0100007F" in texts["system/ports.txt"]
    assert "watch/metrics.txt: status.watch is not configured" in texts["MANIFEST.txt"]
    assert "test.icap.0.journal" in texts["system/spool.txt"]
    assert "icapd listens" in texts["logs/preprocessor_icap.log"]
    assert "kata-bridge check --json --no-self-test: exit code" in texts["MANIFEST.txt"]
