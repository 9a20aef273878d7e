"""The configuration as `enrol` needs it: before it is valid, and before it exists."""

from __future__ import annotations

import os
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from bridge.commands.terminal import reason
from bridge.core import (
    DEFAULT_PATH,
    ConfigError,
    EditError,
    fault_of_path,
    parse_central_node,
    parse_fingerprint,
    quoted,
    read_plain,
    set_value,
    write_atomically,
)

_UNSET_PIN = "0" * 64  # the file to start from holds zeros where something must be filled in
_UNSET_ID = UUID(int=0)
_HEAD = "# Written by `kata-bridge enrol`. Every key: docs/configuration.md.\n"


@dataclass(frozen=True, slots=True)
class KataSection:
    """What is written under `kata`; None and no urls where nothing is. `pin` in lower hex."""

    urls: tuple[str, ...] = ()
    sensor_id: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    pin: str | None = None


def read_section(path: Path) -> KataSection:
    """Read leniently: only the values that enrolment uses must be right. ConfigError else."""
    data = _load(path).get("kata") or {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: kata: must hold keys, such as `urls:`.")
    read = _Reader(path, data)
    ca = read.file("server_ca")
    if ca is not None:
        _check_ca(path, ca)
    pin = read.value("server_fingerprint", parse_fingerprint)
    sensor = read.value("sensor_id", lambda value: UUID(str(value)))
    return KataSection(
        tuple(read.value("urls", _central_nodes) or ()),
        None if sensor in (None, _UNSET_ID) else str(sensor),
        read.file("client_cert"),
        read.file("client_key"),
        ca,
        None if pin == _UNSET_PIN else pin,
    )


def _load(path: Path) -> dict[Any, Any]:
    try:
        data = yaml.safe_load(read_plain(path).decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the configuration cannot be read: {reason(error)}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: the configuration cannot be read: it is not UTF-8.") from None
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not YAML.") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: the file must hold keys, such as `kata:`.")
    return data


class _Reader:
    def __init__(self, path: Path, data: dict[Any, Any]) -> None:
        self._path = path
        self._data = data

    def value(self, key: str, parse: Any) -> Any:
        value = self._data.get(key)
        if value is None:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise ConfigError(f"{self._path}: kata.{key}: {error}.") from None

    def file(self, key: str) -> Path | None:
        value = self._data.get(key)
        if value is None:
            return None
        if not (isinstance(value, str) and value):
            raise ConfigError(f"{self._path}: kata.{key}: {quoted(value)} is not a path.")
        fault = fault_of_path(value)
        if fault is not None:
            raise ConfigError(f"{self._path}: kata.{key}: {fault}.")
        return self._path.parent / value


def _central_nodes(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f"{quoted(value)} is no list (as in [https://cn.example])")  # noqa: TRY004
    return [parse_central_node(each) for each in value]


def _check_ca(path: Path, ca: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
    except OSError:
        raise ConfigError(f"{path}: kata.server_ca: {ca} holds no certificate in PEM.") from None


def put(path: Path, key: str, value: str) -> None:
    """Write one value under `kata`, every other byte stays; ConfigError names the line to write."""
    try:
        text = path.read_bytes().decode("utf-8")
        write_atomically(path, set_value(text, ("kata", key), value))
    except EditError as error:
        raise ConfigError(f"{path}:{error.line}: {error}.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {reason(error)}.") from None


def write_new(path: Path, section: KataSection) -> None:
    """Write a first configuration, mode 0640: it holds no secret. ConfigError where it cannot be.

    Away from the system's place all that the programs keep lies beside it, so that nobody needs
    to be root to try them.
    """
    data: dict[str, Any] = {
        "kata": {
            "urls": list(section.urls),
            "sensor_id": section.sensor_id,
            "node": _node(),
            "client_cert": written_path(section.certificate, path),
            "client_key": written_path(section.key, path),
            "server_fingerprint": f"sha256:{section.pin}",
        }
    }
    if path.absolute().parent != DEFAULT_PATH.parent:
        data["verdicts"] = {"store": f"sqlite://{path.absolute().parent}/verdicts.db"}
        data["spool"] = {"dir": "spool"}
        data["logs"] = {"dir": "log"}
    text = _HEAD + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o640)
            file.write(text.encode("utf-8"))
    except (OSError, UnicodeEncodeError) as error:
        said = reason(error) if isinstance(error, OSError) else "its path is not UTF-8"
        raise ConfigError(f"{path}: cannot be written: {said}.") from None


def written_path(file: Path | None, path: Path) -> str:
    """A file's path as the configuration in `path` names it."""
    if file is None:
        raise ValueError("a configuration without a certificate")
    return file.name if file.parent == path.parent else str(file.absolute())


def _node() -> str:
    """This machine's name as far as it can be a node's."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname().partition(".")[0])[:63].lstrip("-")
    return name or "node"
