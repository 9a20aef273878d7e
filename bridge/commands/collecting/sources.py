"""Where things lie, by a configuration that may be broken: that is when support is asked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bridge.commands.collecting.masking import Masked
from bridge.commands.collecting.patience import looks, read_start
from bridge.commands.terminal import reason
from bridge.core import (
    Address,
    IcapSettings,
    LogSettings,
    Settings,
    SpoolSettings,
    key_lines,
    parse_address,
)

_CERTIFICATES = (
    ("kata", "client_cert"),
    ("kata", "server_ca"),
    ("icap", "tls", "cert"),
    ("icap", "tls", "client_ca"),
    ("logs", "syslog", "ca"),
    ("notify", "ca"),
)
_KEYS = (  # a certificate's file may hold its key, too
    ("kata", "client_key"),
    ("kata", "client_cert"),
    ("icap", "tls", "key"),
    ("icap", "tls", "cert"),
)
_DAEMONS = ("icapd", "watch")
_STATUS = Settings.model_fields["status"].default
_LARGEST_KEY = 1 << 20


@dataclass(slots=True)
class Sources:
    """What is looked at. `secrets`: those of the key files, too; `unread`: those that could not be
    read, with the reason."""

    logs: Path
    spool: Path
    daemons: dict[str, Address] = field(default_factory=dict)
    folders: dict[str, Path] = field(default_factory=dict)
    certificates: dict[str, Path] = field(default_factory=dict)
    keys: dict[str, Path] = field(default_factory=dict)
    ports: dict[int, str] = field(default_factory=dict)
    service_log: Path | None = None  # of an installation of KDS, beside those in `logs`
    nodes: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()
    unread: dict[str, str] = field(default_factory=dict)


def find_sources(masked: Masked, base: Path) -> Sources:
    """By what a configuration says, and our defaults; `base`: its folder. Blocks: disk."""
    data = masked.data

    def path_at(*key: str | int) -> Path | None:
        value = data.get(key)
        return base / value if value and _is_path(value) else None

    found = Sources(
        path_at("logs", "dir") or LogSettings().dir, path_at("spool", "dir") or SpoolSettings().dir
    )
    for daemon in _DAEMONS:
        default: Address | None = getattr(_STATUS, daemon)
        with contextlib.suppress(ValueError):  # of null: nowhere
            found.daemons[daemon] = parse_address(data.get(("status", daemon), str(default)))
    for keys, into in ((_CERTIFICATES, found.certificates), (_KEYS, found.keys)):
        for names in keys:
            if (path := path_at(*names)) is not None:
                into[".".join(names)] = path
    found.nodes = tuple(value for key, value in data.items() if key[:2] == ("kata", "urls"))
    found.ports = _ports(masked, found)
    found.folders = {"logs.dir": found.logs, "spool.dir": found.spool}
    scheme, _, store = data.get(("verdicts", "store"), "").partition("://")
    if scheme == "sqlite" and store:
        found.folders["verdicts.store"] = Path(store).parent
    for key in data:
        if key[0] == "folders" and key[-1] in ("input", "output", "quarantine"):
            name = data.get((*key[:-1], "name"), key[1])
            found.folders[f"folder {name}, {key[-1]}"] = path_at(*key) or base
    found.secrets = masked.secrets | frozenset(_of_keys(found))
    return found


def _is_path(value: str) -> bool:
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _ports(masked: Masked, found: Sources) -> dict[int, str]:
    ports = {address.port: f"status.{name}" for name, address in found.daemons.items()}
    listens = [(key, value) for key, value in masked.data.items() if key[-2:-1] == ("listen",)]
    for key, value in listens:
        with contextlib.suppress(ValueError):
            ports[parse_address(value).port] = ".".join(str(part) for part in key[:-1])
    if not any(key[:2] == ("icap", "listen") for key, _ in listens):
        ports.update({address.port: "icap.listen" for address in IcapSettings().listen})
    return ports


def _of_keys(found: Sources) -> Iterator[str]:
    for name, data in looks(lambda path: read_start(path, _LARGEST_KEY), found.keys):
        if isinstance(data, bytes):
            yield from key_lines(data.decode("ascii", "replace"))
        else:
            found.unread[name] = reason(data) if isinstance(data, OSError) else str(data)
