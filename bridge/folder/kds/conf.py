"""Reads `kata_dir_scanner.conf` and refuses what it does not know, with file, line and key."""

from __future__ import annotations

import codecs
import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.core import (
    ConfigError,
    fault_of_path,
    named,
    quoted,
    real_path,
    write_atomically,
)
from bridge.folder.kds.address import parse_kata_cn_addr
from bridge.folder.kds.jsontext import JsonError, Member, read_members

FOLDERS = ("in_dir", "out_dir", "qrnt_dir")
FILES = ("cert_pem", "cert_key")
KEYS = (*FOLDERS, *FILES, "kata_cn_addr", "system_id")
NO_ID = "00000000-0000-0000-0000-000000000000"

_MAX_BYTES = 1 << 20
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NAME = re.compile(r"[A-Za-z_]{1,40}")
_EXAMPLES = {
    "in_dir": "/mnt/in",
    "out_dir": "/mnt/out",
    "qrnt_dir": "/mnt/qrnt",
    "cert_pem": "/opt/kata-dir-scanner/cert.pem",
    "cert_key": "/opt/kata-dir-scanner/server.key",
    "kata_cn_addr": "cn.example",
    "system_id": "",
}
_KINDS = {str: "a text", float: "a number", bool: "true or false", list: "a list", dict: "keys"}


@dataclass(frozen=True, slots=True)
class KdsConf:
    """What the file says. Paths are absolute; `path` is the file as it was named.

    `folder` is where the file lies (links followed): relative paths and the exclude list are
    looked for there. `url` is the Central Node's; `system_id` is None where it is empty.
    """

    path: Path
    folder: Path
    node: str
    paths: Mapping[str, Path]
    url: str
    system_id: str | None
    lines: Mapping[str, int]

    def at(self, key: str) -> str:
        """File, line and key, as a sentence about it begins."""
        return f"{self.path}:{self.lines[key]}: {key}"

    @property
    def exclude_list(self) -> Path | None:
        """The list beside the file, if there is one."""
        path = self.folder / "exclude_list.txt"
        return path if os.path.lexists(path) else None


def read_conf(path: Path) -> KdsConf:
    """Read and check the file; ConfigError names file, line and key of every fault."""
    members = _read_members(path, _read_text(path).removeprefix("\ufeff"))
    faults = sorted(_key_faults(members))
    found = {member.key: member for member in members}
    resolved = Path(os.path.realpath(path))
    values: dict[str, Any] = {}
    for key in KEYS:
        if key not in found:
            line = members[-1].line if members else 1
            example = f'write "{key}": "{_EXAMPLES[key]}" there'
            faults.append((line, f"{key}: this key is missing; {example}"))
            continue
        try:
            values[key] = _value(key, found[key].value, resolved.parent)
        except ValueError as error:
            faults.append((found[key].line, f"{key}: {error}"))
    faults += _same_folders(found, values)
    if faults:
        raise ConfigError("\n".join(_sentence(path, *fault) for fault in sorted(faults)))
    return KdsConf(
        path=path,
        folder=resolved.parent,
        node=f"kds-{hashlib.sha256(os.fsencode(resolved)).hexdigest()[:8]}",
        paths={key: values[key] for key in (*FOLDERS, *FILES)},
        url=values["kata_cn_addr"],
        system_id=values["system_id"],
        lines={key: found[key].line for key in KEYS},
    )


def is_taken(member: Member) -> bool:
    """Whether the key is KDS's, and takes its value; false also for what may be a secret there."""
    if member.key not in KEYS:
        return False
    try:
        _value(member.key, member.value, Path())
    except ValueError:
        return False
    path = Path(str(member.value))
    return named(path) == str(path)


def fill_system_id(path: Path, system_id: str) -> None:
    """Write the id into a file that `read_conf` takes; every other byte, mode and owner stay.

    ConfigError where it cannot be done; the file is then as it was.
    """
    text = _read_text(path)
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    body = text.removeprefix(bom)
    (member,) = (each for each in _read_members(path, body) if each.key == "system_id")
    try:
        filled = f"{bom}{body[: member.start]}{json.dumps(system_id)}{body[member.end :]}"
        write_atomically(path, filled)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be written: {error.strerror}; write the system_id {system_id} there."
        ) from None


def _sentence(path: Path, line: int, text: str) -> str:
    return f"{path}:{line}: {text}{'' if text.endswith('?') else '.'}"


def _read_text(path: Path) -> str:
    """The file, its mark of UTF-8 (BOM) included."""
    try:
        if path.is_dir():
            reason = "it is a folder"
        elif path.exists() and not path.is_file():  # a pipe would be waited for without end
            reason = "it is no regular file"
        elif path.stat().st_size > _MAX_BYTES:
            reason = "it is larger than a mebibyte"
        else:
            return path.read_bytes().decode("utf-8")
    except OSError as error:
        reason = str(error.strerror)
    except UnicodeDecodeError as error:
        start = bytes(error.object[:2])
        utf_16 = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        reason = f"it is {'UTF-16, not UTF-8' if utf_16 else 'not UTF-8'}; save it as UTF-8"
    raise ConfigError(
        f"{path}: KDS's configuration cannot be read: {reason}. "
        "Name kata_dir_scanner.conf with --kds-config."
    )


def _read_members(path: Path, text: str) -> list[Member]:
    try:
        return read_members(text)
    except JsonError as error:
        raise ConfigError(
            f"{path}:{error.line}: {error}. KDS's configuration is JSON, "
            '{"in_dir": "/mnt/in", …}; a katabridge.yaml is named with --config.'
        ) from None


def _key_faults(members: list[Member]) -> Iterator[tuple[int, str]]:
    seen: set[str] = set()
    for member in members:
        if member.key not in KEYS:
            shown = member.key if _NAME.fullmatch(member.key) else "…"  # it may be a secret
            yield member.line, f"{shown}: {_unknown(member.key)}"
        elif member.key in seen:
            yield member.line, f"{member.key} stands twice; leave one of them"
        seen.add(member.key)


def _unknown(key: str) -> str:
    close = difflib.get_close_matches(key.lower(), KEYS, n=1, cutoff=0.6)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key; take it out: KDS knows {', '.join(KEYS)}"


def _value(key: str, value: object, folder: Path) -> Any:
    """The value as it is used; ValueError says what is wrong with it and what to do."""
    if not isinstance(value, str):
        kind = _KINDS.get(type(value), "null")
        raise ValueError(f'{kind} where a text is expected; write "{_EXAMPLES[key]}"')  # noqa: TRY004
    if key == "kata_cn_addr":
        return parse_kata_cn_addr(value)
    if key == "system_id":
        return _system_id(value)
    if not value.strip():
        raise ValueError(f'it is empty; write a path, as in "{_EXAMPLES[key]}"')
    if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ValueError(f"{quoted(value)} is not a path")
    fault = fault_of_path(value)
    if fault is not None:
        raise ValueError(fault)
    return folder / value


def _system_id(value: str) -> str | None:
    if value.strip() in ("", NO_ID):
        return None
    if _UUID.fullmatch(value) is None:
        raise ValueError(
            "it is no UUID (as in 4f6dbb4e-76ae-4b7d-9b0d-1a2b3c4d5e6f); write "
            "the id that KATA has accepted, or leave it empty and call "
            "`kata-bridge enrol --kds-config`"
        )
    return value


def _same_folders(
    found: Mapping[str, Member], values: Mapping[str, Any]
) -> Iterator[tuple[int, str]]:
    seen: dict[Path, str] = {}
    for key in FOLDERS:
        if key not in values:
            continue
        other = seen.setdefault(real_path(values[key]), key)
        if other != key:
            same = f"{named(values[key])} is the folder of {other}, too"
            yield found[key].line, f"{key}: {same}; write three different folders"
