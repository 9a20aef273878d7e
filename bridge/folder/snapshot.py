"""Copies a claimed file into the spool, where nobody can change it."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from io import FileIO
from typing import Any

from bridge.core import BodyWriter
from bridge.folder.claim import Claims
from bridge.folder.metadata import Metadata, read_metadata
from bridge.folder.opened import NotStillError, check_still
from bridge.folder.settle import Look

_BLOCK = 1 << 18

InThread = Callable[..., Awaitable[Any]]


async def take_snapshot(
    claims: Claims, case_id: str, look: Look, writer: BodyWriter, in_thread: InThread
) -> Metadata:
    """Copy the file into `writer`; what is to be kept of it beside its content.

    NotStillError where it changed while it was copied; OSError, SpoolError where a disk fails, or
    where it is not as long as it says.
    """
    kept: Metadata
    if look.size <= _BLOCK:
        data, kept = await in_thread(_read_whole, claims, case_id, look)
        await writer.write(data)
        _check_whole(writer.size, look)
        return kept
    opening = claims.open(case_id, look)
    file: FileIO = await in_thread(opening.__enter__)
    try:
        kept, is_beside = await in_thread(_known, file.fileno(), writer)
        if not (is_beside and await writer.clone(file.fileno(), look.size)):
            await _copy(file, look, writer, in_thread)
        await in_thread(check_still, file, look)
    finally:
        await in_thread(file.close)
    _check_whole(writer.size, look)
    return kept


def _read_whole(claims: Claims, case_id: str, look: Look) -> tuple[bytes, Metadata]:
    with claims.open(case_id, look) as file:
        kept = read_metadata(file.fileno())
        data = b""
        while len(data) <= look.size and (block := file.read(_BLOCK)):
            data += block
        check_still(file, look)
    return data, kept


def _known(source: int, writer: BodyWriter) -> tuple[Metadata, bool]:
    """What is to be kept of an open file, and whether it lies on the disk of the spool."""
    return read_metadata(source), writer.is_beside(source)


async def _copy(file: FileIO, look: Look, writer: BodyWriter, in_thread: InThread) -> None:
    while block := await in_thread(file.read, _BLOCK):
        await writer.write(block)
        if writer.size > look.size:
            raise NotStillError


def _check_whole(size: int, look: Look) -> None:
    """Where the source looks the same in the end it is removed unread: a part will not do."""
    if size != look.size:
        said = f"{size} bytes of it could be read, and it says that it has {look.size}"
        raise OSError(errno.EBADMSG, said)
