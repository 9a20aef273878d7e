"""What `make install` puts in place, run by a real systemd, with all that its units forbid."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.conftest import need
from tests.support.booted import Booted
from tests.support.katabridge import Site, deep_merge
from tests.support.processes import accepts, free_port, wait_until

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"
ICAPD, WATCH = "katabridge-icapd", "katabridge-watch"
SHARE = "/srv/katabridge"


def install(root: Path, target: str = "install") -> str:
    """With the system's own Python: others lie where no service comes."""
    python = need("/usr/bin/python3")
    command = ["make", "--no-print-directory", target, f"DESTDIR={root}", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def configure(root: Path, site: Site, icap_port: int) -> None:
    """What an administrator does between installation and first start."""
    etc = root / "etc" / "katabridge"
    folders = {name: f"{SHARE}/{name}" for name in ("input", "output", "quarantine")}
    base = yaml.safe_load(site.config.read_text())
    changes = {
        "kata": {"server_ca": "server.pem"},
        "icap": {"listen": [f"127.0.0.1:{icap_port}"], "workers": 2},
        "folders": [folders | {"name": "share", "settle": "300ms", "recursive": True}],
        "status": {"watch": f"127.0.0.1:{free_port()}"},
    }
    for key in ("verdicts", "spool", "logs"):
        del base[key]
    (etc / "katabridge.yaml").write_text(yaml.safe_dump(deep_merge(base, changes)))
    for name in ("client.pem", "client.key"):
        (etc / name).write_bytes((site.directory / name).read_bytes())
    (etc / "server.pem").write_bytes(site.server_certificate.read_bytes())
    for folder in folders.values():
        (root / folder[1:] / "sub").mkdir(parents=True)
    for unit in (ICAPD, WATCH):
        drop_in = root / f"etc/systemd/system/{unit}.service.d/short.conf"
        drop_in.parent.mkdir(parents=True)
        drop_in.write_text("[Service]\nWatchdogSec=8\nRestartSec=1\n")


@pytest.mark.timeout(600)
def test_the_services_do_their_work_under_systemd(
    tmp_path: Path, kata: Emulator, site: Site
) -> None:
    del kata
    root, port = tmp_path / "root", free_port()
    assert "A configuration to start from" in install(root)
    script = (root / "opt/katabridge/lib/katabridge/bin/icapd").read_bytes()
    assert script.startswith(b"#!/opt/katabridge/lib/katabridge/bin/python")
    configure(root, site, port)
    with Booted(tmp_path, root) as system:
        install_there(system)
        start(system, port)
        judge(system, port)
        reload_and_freeze(system, port)
        keep_owners(system)
        stop(system, port)
        refuse_a_wrong_configuration(system)
        uninstall_there(system)


def make_there(system: Booted, target: str) -> str:
    command = ["make", "--no-print-directory", "-C", "/checkout", target, "PYTHON=/usr/bin/python3"]
    done = system.run(*command, seconds=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def install_there(system: Booted) -> None:
    """Over what is there, as an upgrade is."""
    said = make_there(system, "install")
    assert "The account katabridge and its folders" in said
    assert "katabridge.yaml is there, and stays as it is" in said
    assert system.run("systemctl", "enable", ICAPD, WATCH).returncode == 0
    for name in ("input", "output", "quarantine"):
        for folder in (f"{SHARE}/{name}", f"{SHARE}/{name}/sub"):
            system.run("chgrp", "katabridge", folder)
            system.run("chmod", "2770", folder)


def start(system: Booted, port: int) -> None:
    done = system.run("systemctl", "start", ICAPD, WATCH)
    journal = system.run("journalctl", "--no-pager", "--lines=40").stdout
    assert done.returncode == 0, journal
    assert accepts(port)
    assert system.shown(ICAPD, "StatusText") == f"listens on 127.0.0.1:{port}; workers: 2"
    assert system.shown(WATCH, "StatusText") == "watches share"


def judge(system: Booted, port: int) -> None:
    with IcapClient("127.0.0.1", port, timeout=20) as client:
        assert client.respmod("av/respmod", GET, OK, b"harmless" * 5000).status == 204
        assert client.respmod("av/respmod", GET, OK, EICAR).http_head.status == 403
    for name, content in (("a.txt", b"harmless"), ("sub/new/e.com", EICAR)):
        path = system.path(f"{SHARE}/input/{name}")
        if not path.parent.exists():
            system.run("install", "-d", "-m", "2770", "-g", "katabridge",
                       f"{SHARE}/input/{Path(name).parent}")  # fmt: skip
        path.write_bytes(content)
        path.chmod(0o664)
    bad = system.path(f"{SHARE}/quarantine/sub/new/e.com")
    wait_until(bad.exists, "what is bad is in quarantine")
    wait_until(system.path(f"{SHARE}/output/a.txt").exists, "what is clean is in output")
    assert bad.parent.stat().st_mode & 0o7777 == 0o2770  # that setgid is kept takes a right
    said = system.path("/var/log/katabridge/kata-bridge-watch.log").read_text()
    assert "CAP_LEASE" not in said  # files of root's are known to be written, or not


def reload_and_freeze(system: Booted, port: int) -> None:
    assert system.run("systemctl", "reload", ICAPD, WATCH).returncode == 0
    for unit in (ICAPD, WATCH):
        assert system.shown(unit, "NRestarts") == "0"
        assert system.run("kill", "-STOP", system.shown(unit, "MainPID")).returncode == 0

    def all_show(name: str, value: str) -> bool:
        return all(system.shown(unit, name) == value for unit in (ICAPD, WATCH))

    wait_until(lambda: all_show("NRestarts", "1"), "they are started anew", 30)
    wait_until(lambda: all_show("ActiveState", "active"), "they serve again", 30)
    with IcapClient("127.0.0.1", port, timeout=20) as client:
        assert client.respmod("av/respmod", GET, OK, EICAR).http_head.status == 403


def stop(system: Booted, port: int) -> None:
    assert system.run("systemctl", "stop", ICAPD, WATCH).returncode == 0
    assert not accepts(port)
    for unit in (ICAPD, WATCH):
        assert system.shown(unit, "ActiveState") == "inactive"
        assert system.shown(unit, "Result") == "success"
        assert system.shown(unit, "ExecMainStatus") == "0"


def refuse_a_wrong_configuration(system: Booted) -> None:
    config = system.path("/etc/katabridge/katabridge.yaml")
    with config.open("a") as file:
        file.write("\nnonsense: 1\n")
    system.run("systemctl", "reset-failed", ICAPD)
    assert system.run("systemctl", "start", ICAPD).returncode != 0
    assert system.shown(ICAPD, "ExecMainStatus") == "2"
    assert system.shown(ICAPD, "ActiveState") == "failed"  # and not about to be tried again


def keep_owners(system: Booted) -> None:
    """With the drop-in of docs/install.md for a share of several owners."""
    page = (ROOT / "docs" / "install.md").read_text()
    rights = re.findall(
        r"^ +((?:CapabilityBoundingSet|AmbientCapabilities)=CAP_CHOWN .*)$", page, re.M
    )
    assert len(rights) == 2
    drop_in = system.path(f"/etc/systemd/system/{WATCH}.service.d/owners.conf")
    drop_in.write_text("\n".join(["[Service]", *rights, ""]))
    assert system.run("systemctl", "daemon-reload").returncode == 0
    assert system.run("systemctl", "restart", WATCH).returncode == 0
    path = system.path(f"{SHARE}/input/private.txt")
    draft = path.with_name("private.part")  # a name that is left alone
    draft.write_bytes(b"harmless, too")
    draft.chmod(0o600)
    os.chown(draft, 12345, 12345)
    draft.rename(path)
    delivered = system.path(f"{SHARE}/output/private.txt")
    wait_until(delivered.exists, "what is another's is delivered")
    state = delivered.stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (12345, 12345, 0o600)


def uninstall_there(system: Booted) -> None:
    """With the doors running and enabled."""
    config = system.path("/etc/katabridge/katabridge.yaml")
    config.write_text(config.read_text().replace("nonsense: 1", ""))
    assert system.run("systemctl", "restart", ICAPD, WATCH).returncode == 0
    for _ in range(2):
        make_there(system, "uninstall")
        assert not system.run("pgrep", "-u", "katabridge").stdout
        assert "katabridge" not in system.run("systemctl", "list-unit-files").stdout
        there = ("/opt", "/usr/local", "/etc/systemd")
        left = system.run("find", *there, "-name", "*katabridge*", "-not", "-name", "*.d").stdout
        assert left == ""
    assert config.exists()
    assert system.path("/var/lib/katabridge/verdicts.db").exists()
    assert system.path("/var/log/katabridge/log-history.log").exists()
