"""The `exclude_list.txt` of Kaspersky's kata-dir-scanner (KDS): a file name or `*.ext` a line.

KDS ran on Linux, so case counts. A wildcard elsewhere is refused, since nobody knows what KDS made
of it, and an over-wide mask would let everything pass.
"""

from __future__ import annotations

import codecs
import errno
import re
from pathlib import Path

from bridge.core.exclusions.rules import Rule
from bridge.core.plainfiles import read_plain
from bridge.core.printable import printable
from bridge.core.quoting import named, quoted

_MAX_BYTES = 1 << 20
_LINE_END = re.compile(r"\r\n|\n|\r")
_EXTENSION = re.compile(r"\*(?:\.[^.*?]*\w[^.*?]*)+")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class KdsListError(ValueError):
    """The list cannot be used; one sentence a line, with file and line."""


def read_kds_list(path: Path) -> list[Rule]:
    """The rules of the list at `path`; KdsListError says what is wrong with it."""
    try:
        data = read_plain(path, _MAX_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise KdsListError(f"{named(path)}: the list is larger than a mebibyte.") from None
        raise KdsListError(f"{named(path)}: the list cannot be read: {error.strerror}.") from None
    return parse_kds_list(data, path)


def parse_kds_list(data: bytes, path: Path) -> list[Rule]:
    """The rules of a list: UTF-8, UTF-16 with its mark, or else Windows' Cyrillic (cp1251)."""
    if b"-----BEGIN" in data:
        raise KdsListError(f"{path}: a key or certificate, and no list of names.")
    rules: list[Rule] = []
    faults: list[str] = []
    for number, line in enumerate(_LINE_END.split(_decoded(data, path)), start=1):
        name = line.strip(" \t")
        fault = _fault(name) if name else None
        if fault is not None:
            faults.append(f"{path}:{number}: {quoted(name)} {fault}.")
        elif name:
            rules.append(Rule(name=name, label=f"{printable(path.name)}:{number}: {name}"))
    if faults:
        raise KdsListError("\n".join(faults))
    return rules


def _decoded(data: bytes, path: Path) -> str:
    encodings = [encoding for bom, encoding in _BOMS if data.startswith(bom)]
    for encoding in encodings or ("utf-8", "cp1251"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise KdsListError(f"{path}: the list is no text in UTF-8, UTF-16 or cp1251.")


def _fault(name: str) -> str | None:
    if not name.isprintable():
        return "holds control signs"
    if "/" in name or "\\" in name or name in (".", ".."):
        return "is a path; write a file name or *.ext"
    if re.search(r"[*?]", name) and _EXTENSION.fullmatch(name) is None:
        return "has a wildcard where KDS knows none; write a file name or *.ext"
    return None
