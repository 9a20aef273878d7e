"""Settings as a test gives them, made of what a YAML file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from os import PathLike, fspath
from typing import cast

from bridge.testing.processes import HarnessError

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
_SCALARS = (type(None), bool, int, float, str)  # and no classes made of them: YAML has none


def plain(value: object, key: str) -> Plain:
    """Paths and enumerations as text and numbers, tuples as lists, any mapping as one.

    HarnessError, which names the key, for all else.
    """
    if isinstance(value, Mapping):
        return plain_mapping(value, key)
    if isinstance(value, (list, tuple)):
        return [plain(each, f"{key}[{number}]") for number, each in enumerate(value)]
    if isinstance(value, PathLike):
        return plain(fspath(value), key)
    if isinstance(value, Enum):
        return plain(value.value, key)
    if type(value) in _SCALARS:
        return cast("Plain", value)
    raise HarnessError(
        f"{key} cannot be set to a {type(value).__name__} in a test: "
        "a setting is text, a number, a path, a list or a mapping."
    )


def plain_mapping(value: Mapping[str, object], key: str = "") -> dict[str, Plain]:
    """The same for a section, or all of them."""
    above = f"{key}." if key else ""
    for name in value:
        if type(name) is not str:
            raise HarnessError(f"{above}{name!r} is no name of a setting: names are text.")
    return {name: plain(each, f"{above}{name}") for name, each in value.items()}
