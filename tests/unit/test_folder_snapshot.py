"""A snapshot has all bytes of a file: in the end its source is removed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.core import Spool, SpoolError, SpoolSettings
from bridge.folder.claim import Claims
from bridge.folder.listing import look_of
from bridge.folder.snapshot import take_snapshot

SMALL, LARGE = 1000, 1_000_000


class Cut(FileIO):
    """A file whose last bytes the file system does not give."""

    def read(self, _: int | None = -1, /) -> bytes:
        return b"" if self.tell() else super().read(10)


class Opened:
    """Claims of one file."""

    def __init__(self, kind: type[FileIO], path: Path) -> None:
        self._kind, self._path = kind, path

    def open(self, *_: object) -> FileIO:
        return self._kind(self._path)


def snapshot(
    tmp_path: Path, kind: type[FileIO], spoil: Callable[[Path], object] = lambda _: None
) -> int:
    """Take one of the file `a`, after `spoil` of the spool's folder: how many bytes it has."""

    async def in_thread(work: Callable[..., Any], *arguments: object) -> Any:
        return work(*arguments)

    async def main() -> int:
        path = tmp_path / "a"
        settings = {"dir": str(tmp_path / "spool"), "min_free": "1MiB"}
        spool = Spool(SpoolSettings.model_validate(settings), "test")
        writer = spool.writer()
        spoil(spool.dir)
        claims = cast("Claims", Opened(kind, path))
        try:
            await take_snapshot(claims, "case", look_of("a", path.stat()), writer, in_thread)
            return writer.size
        finally:
            writer.discard()
            spool.close()

    return asyncio.run(main())


@pytest.mark.parametrize("size", [0, SMALL, 1 << 18, LARGE])
def test_a_file_that_keeps_still_is_copied_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"x" * size)
    assert snapshot(tmp_path, FileIO) == size


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_file_that_ends_too_early_is_not_taken_for_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(b"x" * size)

    with pytest.raises(
        OSError, match=f"10 bytes of it could be read, and it says that it has {size}"
    ):
        snapshot(tmp_path, Cut)


def test_a_spool_that_is_gone_is_no_fault_of_the_input(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * LARGE)
    with pytest.raises(SpoolError, match=f"the spool {tmp_path}/spool/test fails: No such file"):
        snapshot(tmp_path, FileIO, shutil.rmtree)
