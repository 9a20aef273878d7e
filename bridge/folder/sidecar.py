"""What lies beside a file in quarantine: `<name>.katabridge.json`. Pure shapes, no I/O.

One JSON object, all of ASCII, so that no name does harm on a terminal. Names that are not UTF-8
come back as Python's file names do (surrogateescape).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import MISSING, asdict, dataclass, fields
from typing import get_type_hints

SUFFIX = ".katabridge.json"
NAME_MAX = 255  # bytes of a file name, on every file system that matters here
_MARK_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """Why a file is in quarantine, and where it came from.

    `file`: its name here. `time`: of the decision, with zone. `folder`: the name in the
    configuration; `path`: where it lay in that folder's input, relative to it. `size` in bytes,
    `mtime_ns` since the epoch, `mode` the permission bits it had, `uid` and `gid` its owner.
    """

    file: str
    case: str
    time: str
    folder: str
    path: str
    size: int
    sha256: str
    outcome: str
    source: str
    md5: str | None = None
    rule: str | None = None
    threat: str | None = None
    technology: str | None = None
    importance: str | None = None
    scan_id: str | None = None
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0


_KINDS = get_type_hints(Sidecar)


def sidecar_name(name: str) -> str:
    """The name beside `name`, at most 255 bytes: what is too long is cut and marked by its hash."""
    data = os.fsencode(name)
    room = NAME_MAX - len(SUFFIX)
    if len(data) <= room:
        return name + SUFFIX
    mark = "~" + hashlib.sha256(data).hexdigest()[:_MARK_BYTES]
    return cut_name(name, room - len(mark)) + mark + SUFFIX


def cut_name(name: str, room: int) -> str:
    """The beginning of a name that has at most `room` bytes, and no half of a character."""
    while len(os.fsencode(name)) > room:
        name = name[:-1]
    return name


def is_sidecar(name: str) -> bool:
    """Whether a name is a sidecar's; no quarantined file is given such a one."""
    return name.endswith(SUFFIX)


def format_sidecar(sidecar: Sidecar) -> bytes:
    """The file's content: indented, for people to read."""
    return json.dumps(asdict(sidecar), indent=1).encode("ascii") + b"\n"


def parse_sidecar(data: bytes) -> Sidecar:
    """The sidecar again; ValueError says what is wrong with it. Unknown keys are left out."""
    try:
        values = json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError("it holds no JSON object")  # noqa: TRY004 - one kind for the caller
    known = {field.name for field in fields(Sidecar)}
    try:
        sidecar = Sidecar(**{key: value for key, value in values.items() if key in known})
    except TypeError:
        missing = sorted(_required() - values.keys())
        raise ValueError(f"it lacks {', '.join(missing)}") from None
    _check(sidecar)
    return sidecar


def _required() -> set[str]:
    return {field.name for field in fields(Sidecar) if field.default is MISSING}


def _check(sidecar: Sidecar) -> None:
    for name, kind in _KINDS.items():
        value = getattr(sidecar, name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"its {name} is not what it should be")  # noqa: TRY004
    if sidecar.file in ("", ".", "..") or "/" in sidecar.file or "\0" in sidecar.file:
        raise ValueError("its file is no name in this folder")
    parts = sidecar.path.split("/")
    if "" in parts or ".." in parts or "." in parts or "\0" in sidecar.path:
        raise ValueError("its path is no place below an input")
