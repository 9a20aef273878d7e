"""Instances of workers that there are no longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core import Door, InstanceTakenError, Settings
from bridge.core.opening import lock_instance
from bridge.core.orphans import orphans, remove_instance
from bridge.core.siem.queue import DiskQueue
from tests.support.katabridge import Site


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    site = Site(tmp_path / "site", "https://cn.example", tmp_path / "site" / "client.pem")
    site.changes = {
        "kata": {"server_ca": "client.pem", "node": "a-1"},
        "logs": {"syslog": {"url": "udp://siem.example:514"}},
        "notify": {"url": "http://hook.example/"},
    }
    return site.settings()


def touch(settings: Settings, *names: str) -> None:
    settings.spool.dir.mkdir(exist_ok=True)
    for name in names:
        (settings.spool.dir / name).touch()


def test_only_journals_of_this_node_and_door_from_that_number_on(settings: Settings) -> None:
    touch(
        settings,
        *(f"a-1.icap.{number}.journal" for number in (0, 1, 2, 10, 3)),
        *("a-1.folder.0.journal", "a-1.folder.7.journal", "a-1.icap.4.lock", "a-1.scan.9.journal"),
        *("b.icap.5.journal", "a-11.icap.6.journal", "xa-1.icap.7.journal"),
        *("a-1.icap.8.journal-wal", "a-1.icap.9.journal.damaged-1", "a-1.icap.x.journal"),
    )
    assert orphans(settings, Door.ICAP, 2) == [2, 3, 10]
    assert orphans(settings, Door.ICAP, 1) == [1, 2, 3, 10]
    assert orphans(settings, Door.FOLDER, 1) == [7]


def test_where_there_is_no_spool_yet_there_are_none(settings: Settings) -> None:
    assert orphans(settings, Door.ICAP, 1) == []


def test_what_is_removed(settings: Settings) -> None:
    touch(settings, "a-1.icap.3.journal", "a-1.icap.3.journal-wal", "a-1.icap.30.journal")
    for suffix in ("", ".kept", ".syslog", ".notify"):
        (settings.spool.dir / f"a-1.icap.3{suffix}").mkdir()
    (settings.spool.dir / "a-1.icap.3" / "body").touch()
    assert remove_instance(settings, "a-1.icap.3")
    left = sorted(path.name for path in settings.spool.dir.iterdir())
    assert left == ["a-1.icap.3.lock", "a-1.icap.30.journal"]


@pytest.mark.parametrize("queue", ["syslog", "notify"])
def test_lines_that_wait_stay(settings: Settings, queue: str) -> None:
    touch(settings, "a-1.icap.3.journal")
    lines = DiskQueue(settings.spool.dir / f"a-1.icap.3.{queue}", 1 << 20)
    lines.put([b"a line"])
    lines.close()
    assert not remove_instance(settings, "a-1.icap.3")
    assert orphans(settings, Door.ICAP, 1) == [3]
    again = DiskQueue(settings.spool.dir / f"a-1.icap.3.{queue}", 1 << 20)
    batch = again.peek()
    assert batch is not None
    assert batch.lines == [b"a line"]
    again.remove(batch)
    again.close()
    assert remove_instance(settings, "a-1.icap.3")


def test_what_somebody_has_is_left_alone(settings: Settings) -> None:
    touch(settings, "a-1.icap.3.journal")
    held = lock_instance(settings.spool.dir, "a-1.icap.3")
    assert held > 0
    with pytest.raises(InstanceTakenError):
        remove_instance(settings, "a-1.icap.3")
    assert orphans(settings, Door.ICAP, 1) == [3]
