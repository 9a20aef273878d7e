"""A JSON object's own keys, each with its line and with the place of its value in the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(parse_int=float)  # int refuses thousands of digits, and none is wanted


class JsonError(Exception):
    """The text is no JSON object; `line` (from 1) is where, the text says why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True, slots=True)
class Member:
    """A key of the object, its line (from 1), and its value at `text[start:end]`."""

    key: str
    line: int
    value: Any
    start: int
    end: int


def read_members(text: str) -> list[Member]:
    """All keys in their order, those that stand twice too; JsonError where it is no object."""
    try:
        whole = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        reason = f"{error.msg[:1].lower()}{error.msg[1:]}".removesuffix(" (char 0)")
        raise JsonError(error.lineno, f"not JSON: {reason} in column {error.colno}") from None
    except RecursionError:
        raise JsonError(1, "not JSON: brackets in brackets without end") from None
    if not isinstance(whole, dict):
        raise JsonError(_line(text, _after_space(text, 0)), "no keys in braces, `{…}`")
    return list(_members(text))


def _members(text: str) -> Iterator[Member]:
    """The keys of a text that is known to be an object."""
    at = _after_space(text, _after_space(text, 0) + 1)
    while text[at] != "}":
        line = _line(text, at)
        key, at = _DECODER.raw_decode(text, at)
        start = _after_space(text, _after_space(text, at) + 1)  # behind the colon
        value, end = _DECODER.raw_decode(text, start)
        yield Member(key, line, value, start, end)
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
