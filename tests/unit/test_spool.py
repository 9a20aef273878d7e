"""Bodies are held still, within limits, and freed exactly once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bridge.core.body import Body, BodyWriter, SpoolError, Storage
from bridge.core.settings import SpoolSettings
from bridge.core.spool import Spool

Check = Callable[[Spool], Coroutine[Any, Any, None]]


def run(directory: Path, check: Check, **settings: Any) -> Spool:
    values = {"memory": 1000, "memory_total": 3000, "min_free": 0, **settings}
    spool = Spool(SpoolSettings.model_construct(**{**_defaults(directory), **values}), "test")

    async def main() -> None:
        await check(spool)
        async with asyncio.timeout(30):
            while spool.memory_used:  # freed by a thread that tells nobody
                await asyncio.sleep(0.01)

    try:
        asyncio.run(main())
    finally:
        spool.close()
    return spool


def _defaults(directory: Path) -> dict[str, Any]:
    return {"dir": directory, "max_bytes": 1 << 30}


async def write(writer: BodyWriter, data: bytes, piece: int = 300) -> Body:
    for start in range(0, len(data), piece):
        await writer.write(data[start : start + piece])
    return await writer.finish()


async def read(body: Body, offset: int = 0) -> bytes:
    return b"".join([piece async for piece in body.chunks(offset)])


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 300_000, 900_001])
def test_what_goes_in_comes_out_with_its_hash(tmp_path: Path, size: int) -> None:
    data = bytes(n % 251 for n in range(size))

    async def check(spool: Spool) -> None:
        body = await write(spool.writer(), data, 70_000)
        assert body.size == size
        assert body.sha256 == hashlib.sha256(data).hexdigest()
        assert await read(body) == data
        assert await read(body, size // 2) == data[size // 2 :]
        with body.open() as file:
            assert file.read() == data
        body.release()

    spool = run(tmp_path, check)
    assert (spool.memory_used, spool.disk_used) == (0, 0)
    assert list(spool.dir.iterdir()) == []


def test_small_bodies_stay_in_memory_and_large_ones_go_to_private_files(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        small = await write(spool.writer(), b"x" * 1000)
        assert list(spool.dir.iterdir()) == []
        assert spool.memory_used == 1000
        large = await write(spool.writer(), b"x" * 1001)
        (file,) = spool.dir.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.stat().st_size == 1001
        assert (spool.memory_used, spool.disk_used) == (1000, 1001)
        small.release()
        large.release()

    run(tmp_path, check)


def test_memory_of_all_bodies_is_bounded(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        bodies = [await write(spool.writer(), b"x" * 900) for _ in range(10)]
        assert spool.memory_used <= 3000
        assert spool.disk_used == 9000 - spool.memory_used
        for body in bodies:
            body.release()

    run(tmp_path, check)


def test_bodies_on_disk_write_what_they_gather_when_memory_is_short(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        writers = [spool.writer() for _ in range(20)]
        for writer in writers:
            await writer.write(b"x" * 2000)
        for _ in range(10):
            for writer in writers:
                await writer.write(b"x" * 500)
            assert spool.memory_used <= 3000 + 500
        for writer in writers:
            writer.discard()

    run(tmp_path, check)


def test_a_body_is_in_memory_once_while_it_is_written(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        writer, size = spool.writer(), 4 << 20
        await writer.write(b"x")
        data = bytes(size)
        tracemalloc.start()
        try:
            await writer.write(data)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert spool.disk_used == size + 1
        assert peak < size // 8
        writer.discard()

    run(tmp_path, check)


@pytest.mark.parametrize("most", [1, 7, 100_000])
def test_a_disk_that_takes_little_at_once_gets_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    def take_little(descriptor: int, views: list[memoryview], offset: int) -> int:
        assert 0 < len(views) <= 512
        return os.pwrite(descriptor, b"".join(views)[:most], offset)

    monkeypatch.setattr(os, "pwritev", take_little)
    data = bytes(n % 251 for n in range(9_000))

    async def check(spool: Spool) -> None:
        body = await write(spool.writer(), data, 5)
        assert body.sha256 == hashlib.sha256(data).hexdigest()
        assert await read(body) == data
        body.release()

    run(tmp_path, check, memory=5_000, memory_total=100_000)


def test_an_error_of_the_disk_holds_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_a_full_disk(self: Storage) -> None:
        self.fd, self.path = os.open("/dev/full", os.O_WRONLY), tmp_path / "none"

    monkeypatch.setattr(Storage, "_make_file", on_a_full_disk)

    async def check(spool: Spool) -> None:
        writer = spool.writer()
        await writer.write(b"a" * 10)
        with pytest.raises(SpoolError) as caught:
            await writer.write(b"b" * 1200)
        storage = writer._storage
        storage.memory.parts[0].__iadd__(b"c")  # type: ignore[union-attr]
        assert caught.value.__cause__ is not None
        writer.discard()

    run(tmp_path, check)


def test_a_body_of_many_parts_is_written_whole(tmp_path: Path) -> None:
    part, small = b"p" * 4096, b"s"

    async def check(spool: Spool) -> None:
        writer, whole = spool.writer(), hashlib.sha256()
        for _ in range(1_500):
            for data in (part, small):
                await writer.write(data)
                whole.update(data)
        body = await writer.finish()
        assert body.sha256 == whole.hexdigest()
        assert hashlib.sha256(await read(body)).hexdigest() == whole.hexdigest()
        body.release()

    run(tmp_path, check, memory=6_000_000, memory_total=1 << 30)


def test_past_max_bytes_a_body_is_refused_and_what_came_stays_readable(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        writer = spool.writer()
        await writer.write(b"a" * 900)
        with pytest.raises(SpoolError, match=r"spool\.max_bytes"):
            await writer.write(b"b" * 1200)
        assert b"".join([piece async for piece in writer.chunks()]) == b"a" * 900 + b"b" * 1200
        writer.discard()

    spool = run(tmp_path, check, max_bytes=2000)
    assert (spool.memory_used, spool.disk_used) == (0, 0)


def test_a_disk_with_too_little_room_is_left_alone(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        writer = spool.writer()
        with pytest.raises(SpoolError, match=r"spool\.min_free"):
            await writer.write(b"x" * 5000)
        assert list(spool.dir.iterdir()) == []
        writer.discard()

    run(tmp_path, check, min_free=1 << 60)


def test_a_failing_disk_is_a_sentence(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        spool.dir.rmdir()
        spool.dir.parent.joinpath("test").write_text("in the way")
        writer = spool.writer()
        with pytest.raises(SpoolError, match="fails: Not a directory"):
            await writer.write(b"x" * 5000)
        writer.discard()

    run(tmp_path, check)


def test_the_last_holder_frees_a_body(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        body = await write(spool.writer(), b"x" * 5000)
        body.retain()
        body.release()
        assert await read(body) == b"x" * 5000
        body.release()
        assert list(spool.dir.iterdir()) == []
        with pytest.raises(RuntimeError, match="after its last holder"):
            body.open()

    run(tmp_path, check)


def test_a_freed_body_in_memory_is_not_read_as_an_empty_file(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        body = await write(spool.writer(), b"secret")
        body.release()
        with pytest.raises(RuntimeError, match="after its last holder"):
            body.open()

    run(tmp_path, check)


def test_a_cancelled_write_does_not_free_the_file_under_its_thread(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        writer = spool.writer()
        task = asyncio.create_task(writer.write(b"x" * 5_000_000))
        await asyncio.sleep(0)  # the thread has the block now
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        writer.discard()
        assert spool.memory_used, "freed while the thread still wrote"

    spool = run(tmp_path, check)
    assert (spool.memory_used, spool.disk_used) == (0, 0)
    assert list(spool.dir.iterdir()) == []


def test_files_of_a_process_that_died_are_removed_at_start(tmp_path: Path) -> None:
    leftover = tmp_path / "test" / "old"
    leftover.parent.mkdir()
    leftover.write_bytes(b"x")

    async def check(spool: Spool) -> None:
        assert list(spool.dir.iterdir()) == []

    run(tmp_path, check)


# -- clones ----------------------------------------------------------------------------------------


def copying_clone(source: int, target: int) -> bool:
    """What a disk that can clone does, seen from outside."""
    os.pwrite(target, os.pread(source, 1 << 30, 0), 0)
    return True


def test_a_clone_is_a_body_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.core.body.clone", copying_clone)
    data = os.urandom(1_000_000)
    (tmp_path / "a").write_bytes(data)

    async def check(spool: Spool) -> None:
        writer = spool.writer()
        with (tmp_path / "a").open("rb") as file:
            assert await writer.clone(file.fileno(), len(data))
        body = await writer.finish()
        assert (body.size, body.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert spool.disk_used == len(data)
        (tmp_path / "a").write_bytes(b"changed")
        with body.open() as content:
            assert content.read() == data
        body.release()
        assert spool.disk_used == 0
        assert list(spool.dir.iterdir()) == []

    run(tmp_path / "spool", check)


@pytest.mark.parametrize("kind", ["no clones", "another size"])
def test_where_there_is_no_clone_the_body_is_still_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "another size":  # it grew while it was cloned
        monkeypatch.setattr("bridge.core.body.clone", copying_clone)
    (tmp_path / "a").write_bytes(b"x" * 1000)

    async def check(spool: Spool) -> None:
        writer = spool.writer()
        size = 1000 if kind == "no clones" else 999
        with (tmp_path / "a").open("rb") as file:
            assert not await writer.clone(file.fileno(), size)
        assert (spool.disk_used, list(spool.dir.iterdir())) == (0, [])
        await writer.write(b"y")
        body = await writer.finish()
        assert body.sha256 == hashlib.sha256(b"y").hexdigest()
        body.release()

    run(tmp_path / "spool", check)


def test_a_clone_counts_against_the_limit_of_the_spool(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")

    async def check(spool: Spool) -> None:
        writer = spool.writer()
        with (tmp_path / "a").open("rb") as file, pytest.raises(SpoolError, match="max_bytes"):
            await writer.clone(file.fileno(), (1 << 30) + 1)
        assert spool.disk_used == 0
        writer.discard()

    run(tmp_path / "spool", check)


def test_whether_there_is_room_is_known_before_a_body_comes(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        spool.look()
        assert spool.has_room
        spool.reserve_disk(5000)
        assert not spool.has_room
        spool.disk_used = 0
        assert spool.has_room

    run(tmp_path / "a", check, max_bytes=5000)

    async def check_disk(spool: Spool) -> None:
        spool.look()
        assert not spool.has_room

    run(tmp_path / "b", check_disk, min_free=1 << 60)


def test_a_disk_that_is_gone_has_no_room(tmp_path: Path) -> None:
    async def check(spool: Spool) -> None:
        spool.dir.rmdir()
        spool.look()
        assert not spool.has_room

    run(tmp_path, check)
