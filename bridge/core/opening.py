"""What a core needs before it can begin, each opened or refused with one sentence."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.core.belongings import fault_of_file, fault_of_spool
from bridge.core.events import EVENTS
from bridge.core.exclusions import KdsListError
from bridge.core.records import DETECTS, HISTORY
from bridge.core.settings import Settings
from bridge.core.units import Address
from bridge.core.verdicts import StoreError, VerdictStore, open_store

_NOT_HAD = {
    errno.EADDRINUSE: "it is taken by another program",
    errno.EADDRNOTAVAIL: "it is no address of this machine",
    errno.EACCES: "this user may not; below 1024 that takes the capability CAP_NET_BIND_SERVICE",
}
_OWN = "move it away, or have the user that this runs as own it"
_MENDS = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST), _OWN),
    errno.ENOSPC: "make room there: for bytes, or for more files (inodes)",
    errno.EDQUOT: "make room there, or have the user that this runs as keep more",
    errno.EMFILE: "let this service have more files open (LimitNOFILE)",
}


class StartError(Exception):
    """A daemon cannot start; the text is one sentence for people."""

    def __init__(self, sentence: str, key: str = "") -> None:
        """`key`: of the configuration, named at the end; `sentence` has no full stop then."""
        super().__init__(f"{sentence} ({key})." if key else sentence)
        self.sentence, self.key = sentence, key


class InstanceTakenError(StartError):
    """Somebody runs under this instance's name already."""


@contextmanager
def said(journal: Path) -> Iterator[None]:
    """Faults of files as a StartError."""
    try:
        yield
    except OSError as error:
        mend = _MENDS.get(error.errno or 0)
        sentence = f"{error.filename or journal}: {error.strerror}"
        raise StartError(f"{sentence}; {mend}." if mend else f"{sentence}.") from None
    except KdsListError as error:
        raise StartError(str(error)) from None
    except sqlite3.Error as error:
        raise StartError(f"the journal {journal} cannot be used: {error}.") from None


def refuse(fault: str | None, key: str) -> None:
    """StartError where there is a fault of something that we keep; `key`: of the configuration."""
    if fault is not None:
        raise StartError(fault, key)


def lock_instance(directory: Path, instance: str) -> int:
    """Make sure that nobody else runs as this instance; held until the process ends."""
    path = directory / f"{instance}.lock"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(f"{error.filename}: {error.strerror}", "spool.dir") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise InstanceTakenError(
            f"{path} is locked: this door of node {instance.partition('.')[0]!r} runs already. "
            "Stop it, or give this one a spool, or a node, of its own",
            "spool.dir, kata.node",
        ) from None
    return descriptor


def refuse_unusable(settings: Settings, instance: str) -> None:
    """StartError where this user may not use what an instance keeps. Blocks: disk."""
    refuse(fault_of_spool(settings.spool.dir, instance), "spool.dir")
    for name in (HISTORY, DETECTS, EVENTS):
        refuse(fault_of_file(settings.logs.dir / name), "logs.dir")
    scheme, _, path = settings.verdicts.store.partition("://")
    for suffix in ("", ".lock", "-wal", "-shm") if scheme == "sqlite" else ():
        refuse(fault_of_file(Path(f"{path}{suffix}")), "verdicts.store")


def open_verdicts(settings: Settings) -> VerdictStore:
    """The configured verdict store."""
    try:
        return open_store(settings.verdicts.store, max_entries=settings.verdicts.max_entries)
    except StoreError as error:
        raise StartError(str(error), "verdicts.store") from None


def bind(address: Address) -> socket.socket:
    """A socket that has the address, and does not listen; OSError where it cannot be had."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # for what a service that has just ended left in TIME_WAIT
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def cannot_listen(address: Address, key: str, error: OSError) -> StartError:
    """The sentence for an address that cannot be had; `key`: of the configuration."""
    reason = _NOT_HAD.get(error.errno or 0, os.strerror(error.errno or 0))  # its own words vary
    return StartError(f"cannot listen on {address} ({key}): {reason}.")
