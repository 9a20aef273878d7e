"""What a place in a configuration holds: a setting, a secret, or nothing that the settings know.

Pure.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, get_origin

from pydantic import BaseModel

from bridge.core import Settings

Path = tuple[str | int, ...]

KEY = "?"  # the last part of a path of what is a key itself

_NO_NAMES = ("<<", KEY)


class Place(Enum):
    """What stands there, or below it."""

    TOKEN = auto()
    STORE = auto()
    WEBHOOK = auto()
    URL = auto()
    SETTING = auto()
    UNKNOWN = auto()


_SECRET: dict[tuple[str, ...], Place] = {
    ("status", "token"): Place.TOKEN,
    ("verdicts", "store"): Place.STORE,
    ("notify", "url"): Place.WEBHOOK,
}
_URLS = (("kata", "urls"), ("logs", "syslog", "url"))


def place_of(path: Path) -> Place:
    """By its names alone, so that no list, mapping or merged key hides a secret."""
    every = (part.strip().lower() for part in path if isinstance(part, str))
    names = tuple(name for name in every if name not in _NO_NAMES)
    secret = _SECRET.get(names[:2])
    if secret is not None:
        return secret
    if not _is_setting(path):
        return Place.UNKNOWN
    return Place.URL if names in _URLS else Place.SETTING


def _is_setting(path: Path) -> bool:
    """Whether the settings have a plain value there."""
    here: Any = Settings
    for part in path:
        if _is_section(here):
            field = here.model_fields.get(str(part))
            if field is None:
                return False
            here = _section(field.annotation)
        elif get_origin(here) in (list, tuple, dict):
            if isinstance(part, int) == (get_origin(here) is dict):
                return False
            here = _section(here.__args__[1 if get_origin(here) is dict else 0])
        else:
            return False
    return not _is_section(here)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _section(annotation: Any) -> Any:
    """The section, list or mapping in an annotation; else the annotation itself."""
    if _is_section(annotation) or get_origin(annotation) in (list, tuple, dict):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _section(argument)
        if _is_section(inner) or get_origin(inner) in (list, tuple, dict):
            return inner
    return annotation
