"""What the daemons keep, and may not use: one sentence at the start, that says what to do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.support.katabridge import Site, deep_merge
from tests.support.processes import Program, module, wait_until

DOORS = {"icapd": ["icapd.cli"], "kata-bridge watch": ["bridge.cli", "watch"]}
INSTANCES = {"icapd": "test.icap.0", "kata-bridge watch": "test.folder.0"}

# {} is the instance; a folder ends with a slash
KEPT = [
    *("spool/", "spool/{}/", "spool/{}.kept/", "spool/{}.syslog/", "spool/{}.notify/"),
    *("spool/{}.lock", "spool/{}.journal", "spool/{}.journal-wal", "spool/{}.notify/queue.db"),
    *("log/", "log/log-history.log", "log/log-detects.log", "log/log-events.log"),
    *("store/", "store/verdicts.db", "store/verdicts.db.lock"),
]
OF_A_DOOR = {
    "icapd": ["log/preprocessor_icap.log"],
    "kata-bridge watch": [
        "log/kata-bridge-watch.log", "spool/{}.owner", "spool/{}.share.left.json"
    ],
}  # fmt: skip
PLACES = [(door, place) for door in DOORS for place in (*KEPT, *OF_A_DOOR[door])]


@pytest.fixture
def own(site: Site) -> Site:
    """A site that has no KATA, whose store lies in a folder of its own."""
    site.changes = {
        "kata": {"urls": ["https://127.0.0.1:9"]},
        "verdicts": {"store": f"sqlite://{site.directory}/store/verdicts.db"},
        "notify": {"url": "http://127.0.0.1:9/hook"},
        "logs": {"syslog": {"url": "tcp://127.0.0.1:9"}},
    }
    return site


def program(site: Site, door: str) -> Program:
    """The door as somebody who may not do all, whoever runs the tests."""
    name, *arguments = DOORS[door]
    command: list[object] = [*module(name), *arguments, "--config", site.config]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        assert setpriv is not None, "it comes with every Linux (util-linux)"
        command = [setpriv, "--bounding-set=-dac_override,-dac_read_search", *command]
    return Program(command, site.directory / "out.txt")


def refusal(site: Site, door: str) -> str:
    running = program(site, door)
    try:
        assert running.process.wait(30) == 1, running.said()
    finally:
        running.process.kill()
    assert "Traceback" not in running.said()
    said = [line for line in running.said().splitlines() if line.startswith(f"{door}: ")]
    assert said == running.said().splitlines()[-1:]
    return said[0]


def put(path: Path, is_folder: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        path.mkdir()
    else:
        path.touch()


@pytest.mark.sample(5)
@pytest.mark.parametrize(("door", "place"), PLACES, ids=[" ".join(each) for each in PLACES])
def test_what_may_not_be_used_is_named_with_what_to_do(own: Site, door: str, place: str) -> None:
    path = own.directory / place.format(INSTANCES[door])
    is_folder = place.endswith("/")
    put(path, is_folder)
    path.chmod(0)
    try:
        said = refusal(own, door)
    finally:
        path.chmod(0o700)
    assert f"{path} may not be " in said
    assert f"chmod u+rwX {path}" in said
    path.rmdir() if is_folder else path.unlink()
    put(path, not is_folder)
    kind, wanted = ("file", "folder") if is_folder else ("folder", "file")
    assert f"{path} is a {kind} where a {wanted} belongs: move it away" in refusal(own, door)


@pytest.mark.parametrize("place", ["spool/test.icap.1.kept", "spool/test.icap.0.journal"])
def test_workers_are_not_started_again_and_again(own: Site, place: str) -> None:
    own.changes["icap"] = {"workers": 2}
    path = own.directory / place
    put(path, is_folder=place.endswith("kept"))
    path.chmod(0)
    try:
        assert f"{path} may not be used by " in refusal(own, "icapd")
    finally:
        path.chmod(0o700)


@pytest.mark.parametrize("door", DOORS)
def test_what_lies_among_kept_bodies_is_named(own: Site, door: str) -> None:
    path = own.directory / "spool" / f"{INSTANCES[door]}.kept" / "odd"
    put(path, is_folder=True)
    assert f"{path}: Is a directory; move it away" in refusal(own, door)


@pytest.mark.parametrize("key", ["spool", "logs"])
def test_the_way_to_it_counts(own: Site, key: str) -> None:
    own.changes = deep_merge(own.changes, {key: {"dir": "above/own"}})
    above = own.directory / "above"
    above.mkdir()
    for mode, words in ((0, "may not be entered by "), (0o500, "may not be written by ")):
        above.chmod(mode)
        said = refusal(own, "icapd")
        assert f"{above} {words}" in said
        assert said.endswith(f" (chmod u+rwX {above}) ({key}.dir).")
    above.chmod(0o700)
    above.rmdir()
    above.touch()
    assert f"{above} is a file where a folder belongs: move it away" in refusal(own, "icapd")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_to_change_hands(own: Site) -> None:
    path = own.directory / "spool" / "test.icap.0.journal"
    put(path, is_folder=False)
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    assert f"{path} may not be used by the user root: have him own it (chown)" in (
        refusal(own, "icapd")
    )


def test_what_it_can_do_without_is_said_and_no_fault(own: Site) -> None:
    names = ["spool/bypass.json", "spool/status-icapd.json", "spool/capture.json"]
    names += [f"log/.log-events.test.icap.0.{kind}" for kind in ("open", "alive")]
    for name in names:
        put(own.directory / name, is_folder=False)
        (own.directory / name).chmod(0)
    running = program(own, "icapd")
    try:
        wait_until(lambda: "icapd listens" in running.said(), "it serves", 30)
        assert running.stop() == 0
    finally:
        running.process.kill()
    assert f"{own.directory}/spool/bypass.json cannot be read" in running.said()
    assert "Traceback" not in running.said()
