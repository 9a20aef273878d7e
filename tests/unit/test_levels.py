"""What the parts of a core say of themselves when they fail, and when they work again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core.body import BLOCK, SpoolError
from bridge.core.bypass import Bypass, set_bypass
from bridge.core.model import Door, OutcomeKind
from bridge.core.notify import Webhook
from bridge.core.settings import NotifySettings, SpoolSettings
from bridge.core.siem import SyslogSender, SyslogTarget
from bridge.core.spool import Spool
from bridge.core.verdicts import StoreError, VerdictFront
from bridge.core.verdicts.memory import MemoryVerdicts
from tests.support.collector import Collector
from tests.support.hooks import Receiver, status
from tests.support.processes import free_port, wait_until

MIB = 1 << 20


def new_spool(directory: Path, **settings: Any) -> Spool:
    values = {"dir": directory, "memory": 0, "memory_total": 0, "min_free": 0, "max_bytes": MIB}
    return Spool(SpoolSettings.model_construct(**{**values, **settings}), "test")


# -- the spool ---------------------------------------------------------------------------------


def test_a_full_spool_has_room_when_an_ordinary_body_fits(tmp_path: Path) -> None:
    spool = new_spool(tmp_path, max_bytes=10 * MIB)
    spool.look()
    spool.reserve_disk(10 * MIB - 100)
    assert spool.why_full() == ""
    with pytest.raises(SpoolError):
        spool.reserve_disk(500)
    assert "spool.max_bytes" in spool.why_full()
    spool.disk_used = 9 * MIB + 1
    assert "spool.max_bytes" in spool.why_full()
    assert not spool.has_room
    spool.disk_used -= 1
    assert spool.why_full() == ""
    assert spool.has_room
    spool.close()


@pytest.mark.parametrize("size", [95 * MIB, 5 << 30])
def test_a_body_too_large_for_what_is_left_makes_no_spool_full(tmp_path: Path, size: int) -> None:
    spool = new_spool(tmp_path, max_bytes=100 * MIB)
    spool.look()
    spool.reserve_disk(10 * MIB)
    for _ in range(2):  # a folder tries again and again
        with pytest.raises(SpoolError, match="max_bytes"):
            spool.reserve_disk(size)
        assert spool.has_room
        assert spool.why_full() == ""
    spool.reserve_disk(MIB)
    assert spool.disk_used == 11 * MIB
    spool.close()


def test_a_spool_smaller_than_an_ordinary_body_has_room_when_half_of_it_is_left(
    tmp_path: Path,
) -> None:
    spool = new_spool(tmp_path, max_bytes=1000)
    spool.look()
    spool.reserve_disk(500)
    assert spool.has_room
    spool.reserve_disk(1)
    assert not spool.has_room
    spool.close()
    none = new_spool(tmp_path, max_bytes=0)
    none.look()
    assert not none.has_room
    none.close()


def test_a_disk_below_min_free_is_full_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, statvfs, free = new_spool(tmp_path, min_free=MIB), os.statvfs, MIB

    def little(path: Path) -> os.statvfs_result:
        state = list(statvfs(path))
        state[1], state[4] = 1, free
        return os.statvfs_result(state)

    monkeypatch.setattr(os, "statvfs", little)
    with pytest.raises(SpoolError):
        spool.check_free()
    assert "spool.min_free" in spool.why_full()
    free = MIB + BLOCK
    assert spool.why_full() == ""
    with monkeypatch.context() as patch:
        free = 0
        with pytest.raises(SpoolError):
            spool.check_free()
        patch.setattr(os, "statvfs", _fails)
        assert "spool.min_free" in spool.why_full(), "a disk that fails has no room"
    spool.close()


FILES, FILES_LEFT, FLAGS = 5, 7, 8  # where os.statvfs_result has them


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({FILES: 9, FILES_LEFT: 0}, "has no inodes left"),
        ({FLAGS: os.ST_RDONLY}, "is mounted read-only"),
    ],
)
def test_a_disk_that_takes_no_new_file_has_no_room_before_a_body_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[int, int], why: str
) -> None:
    spool = new_spool(tmp_path)
    assert spool.why_full() == ""
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", disk_that_says(said))
        spool.check_free()  # what is being written has its file
        assert spool.why_full() == f"the disk of the spool {spool.dir} {why}"
        assert not spool.has_room
    assert spool.why_full() == ""
    assert spool.has_room
    spool.close()


def test_a_disk_that_counts_no_files_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = new_spool(tmp_path)
    monkeypatch.setattr(os, "statvfs", disk_that_says({FILES: 0, FILES_LEFT: 0}))
    assert spool.why_full() == ""
    spool.close()


def disk_that_says(said: dict[int, int]) -> Callable[[Path], os.statvfs_result]:
    statvfs = os.statvfs

    def look(path: Path) -> os.statvfs_result:
        return os.statvfs_result(said.get(i, value) for i, value in enumerate(statvfs(path)))

    return look


def test_the_page_and_the_outage_say_the_same_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a body was refused, and as soon as there is room again."""
    spool = new_spool(tmp_path, min_free=1 << 60)
    assert "spool.min_free" in spool.why_full()
    assert not spool.has_room
    spool.use(SpoolSettings.model_construct(max_bytes=MIB << 4, min_free=0))
    assert spool.why_full() == ""
    assert spool.has_room
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", _fails)
        assert spool.why_full() == f"the spool {spool.dir} fails: Input/output error"
        assert not spool.has_room
    assert spool.why_full() == ""
    assert spool.has_room
    spool.close()


def _fails(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_write_that_finds_no_space_is_a_full_spool_until_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    spool = new_spool(tmp_path)

    def full(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    async def write() -> None:
        writer = spool.writer()
        with pytest.raises(SpoolError):
            await writer.write(b"x" * 1000)
        writer.discard()

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", full)
        patch.setattr(Path, "write_bytes", full)
        asyncio.run(write())
        assert os.strerror(number) in spool.why_full()
    assert spool.why_full() == ""
    assert list(spool.dir.iterdir()) == []
    spool.close()


# -- the verdict store -------------------------------------------------------------------------


ME = "gw1.icap.0"


class Store(MemoryVerdicts):
    """Fails on demand."""

    fails = False

    async def get(self, sha256: str) -> Any:
        if self.fails:
            raise StoreError("the store is locked")
        return await super().get(sha256)


def test_a_store_is_known_once_it_was_asked_and_works_again_without_a_user() -> None:
    async def main() -> None:
        store = Store()
        front = VerdictFront(store, {OutcomeKind.NOT_DETECTED: 60.0})
        assert front.trouble is None
        await front.probe(ME)
        assert front.trouble == ""
        store.fails = True
        assert front.trouble == "", "nobody has asked since"
        await front.get("a" * 64)
        assert front.trouble == "the store is locked"
        await front.probe(ME)
        assert front.trouble == "the store is locked"
        store.fails = False
        await front.probe(ME)
        assert front.trouble == ""
        await front.close()

    asyncio.run(main())


# -- receivers ---------------------------------------------------------------------------------


def test_a_collector_is_known_once_it_was_tried(tmp_path: Path) -> None:
    port = free_port()
    sender = SyslogSender(SyslogTarget("tcp", "127.0.0.1", port), tmp_path)
    sender.send("a")
    wait_until(lambda: sender.away, "it is away")
    assert sender.away == "Connection refused"
    collector = Collector(port)
    wait_until(lambda: sender.away == "", "it is there", 30)
    sender.close(0.1)
    collector.kill()


def test_a_collector_that_never_answered_is_not_known(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        host, port = silent.getsockname()
        sender = SyslogSender(SyslogTarget("tls", host, port), tmp_path)
        assert sender.away is None
        sender.close(0.1)


def test_a_webhook_is_known_once_it_was_tried(tmp_path: Path) -> None:
    with contextlib.closing(Receiver()) as receiver:
        receiver.script = [status(500)]
        settings = NotifySettings(url=f"http://127.0.0.1:{receiver.port}/x?token=secret")
        webhook = Webhook(settings, tmp_path)
        assert webhook.away == "", "nothing waits for it"
        webhook._buffer.add(b"{}")
        assert webhook.away is None
        webhook.start()
        wait_until(lambda: webhook.away, "it is away")
        assert "500" in (webhook.away or "")
        wait_until(lambda: webhook.away == "", "it is there")
        assert webhook.target == f"http://127.0.0.1:{receiver.port}"
        webhook.close(0.1)


# -- the bypass --------------------------------------------------------------------------------


def test_a_bypass_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bypass = Bypass(tmp_path)
    assert bypass.until(Door.ICAP) is None
    monkeypatch.setattr("time.time", lambda: 1000.0)
    set_bypass(tmp_path, {Door.ICAP: 1600.0})
    bypass.refresh(Door.ICAP)
    assert (bypass.until(Door.ICAP), bypass.until(Door.FOLDER)) == (1600.0, None)
    assert bypass.ended(Door.ICAP) is None
    monkeypatch.setattr("time.time", lambda: 1600.0)
    assert bypass.until(Door.ICAP) is None
    assert (bypass.ended(Door.ICAP), bypass.ended(Door.FOLDER)) == (1600.0, None)


def test_no_clock_that_is_set_back_opens_a_door_again_that_was_closed_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 10_000.0)
    set_bypass(tmp_path, {Door.ICAP: 10_600.0})
    set_bypass(tmp_path, {})
    monkeypatch.setattr("time.time", lambda: 5000.0)
    bypass = Bypass(tmp_path)
    bypass.refresh(Door.ICAP)
    assert not bypass.active(Door.ICAP)
    assert bypass.ended(Door.ICAP) is None
