"""A little CEF parser, written from the standard and not from our formatter."""

from __future__ import annotations

import re

_HEADER_FIELD = r"((?:[^|\\\r\n]|\\[|\\])*)\|"
_LINE = re.compile(r"CEF:0\|" + _HEADER_FIELD * 6 + r"([^\r\n]*)")
_KEY = re.compile(r"(?:^| )([A-Za-z0-9]+)=")
_UNESCAPED = re.compile(r"\\(.)")
_EXTENSION_SIGNS = {"\\": "\\", "=": "=", "n": "\n", "r": "\r"}


def parse(line: str) -> tuple[list[str], dict[str, str]]:
    """The six fields after `CEF:0`, and the extension; AssertionError where it is no CEF."""
    match = _LINE.fullmatch(line)
    assert match is not None, line
    *header, extension = match.groups()
    keys = list(_KEY.finditer(extension))
    ends = [each.start() for each in keys[1:]] + [len(extension)]
    values = [extension[key.end() : end] for key, end in zip(keys, ends, strict=True)]
    assert not keys or keys[0].start() == 0
    names = [key[1] for key in keys]
    assert len(set(names)) == len(names), names
    return (
        [_UNESCAPED.sub(r"\1", each) for each in header],
        dict(zip(names, map(_value, values), strict=True)),
    )


def _value(text: str) -> str:
    assert re.fullmatch(r"(?:[^\\=]|\\[\\=nr])*", text) is not None, text
    return _UNESCAPED.sub(lambda match: _EXTENSION_SIGNS[match[1]], text)
