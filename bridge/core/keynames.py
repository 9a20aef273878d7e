"""Names keys of the configuration in sentences; what is no key of ours may be a secret. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from bridge.core.settings import Settings

Location = tuple[int | str, ...]
"""The keys, and the places in lists, that lead to a value."""

_HIDDEN = "…"
_KEY = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,40}")  # that of a service, which its owner gave it
_NEAR = 0.75  # of the signs are the same: a slip, not a key with something behind it
_ALIKE = 0.6


def dotted(location: Location) -> str:
    """The location as `icap.services.av/reqmod.hold`; `…` for a key that may be anything."""
    text, kind = "", Settings
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if _may_be_shown(part, _known(kind)) else _HIDDEN
            text += f".{shown}" if text else shown
            if shown is _HIDDEN:
                break
        kind = _below(kind, part)
    return text


def unknown_key(location: Location) -> str:
    """What is to be said of a key that is not known."""
    known = _known_at(location) or []
    name = str(location[-1])
    words = "unknown key" if _may_be_shown(name, known) else "a key that is not known here"
    close = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
    if close:
        return f"{words}; did you mean {close[0]}?"
    return f"{words}; known here are {', '.join(sorted(known))}."


def _may_be_shown(key: str, known: list[str] | None) -> bool:
    if known is None:
        return _NAME.fullmatch(key) is not None
    if key in known:
        return True
    near = _KEY.fullmatch(key) and difflib.get_close_matches(key, known, n=1, cutoff=_NEAR)
    return bool(near)


def _known_at(location: Location) -> list[str] | None:
    kind: Any = Settings
    for part in location[:-1]:
        kind = _below(kind, part)
    return _known(kind)


def _known(annotation: Any) -> list[str] | None:
    """The keys below such a setting; None where its owner chooses them."""
    for kind in _kinds(annotation):
        if _is_model(kind):
            return list(kind.model_fields)
        if get_origin(kind) is dict:
            key = get_args(kind)[0]
            return [str(each.value) for each in key] if issubclass(key, Enum) else None
    return []


def _below(annotation: Any, part: int | str) -> Any:
    for kind in _kinds(annotation):
        if _is_model(kind) and part in kind.model_fields:
            return kind.model_fields[part].annotation
        if get_origin(kind) in (dict, list):
            return get_args(kind)[-1]
    return None


def _kinds(annotation: Any) -> Iterator[Any]:
    """A type, or those that it is made of by Annotated and `|`."""
    if annotation is None or _is_model(annotation) or get_origin(annotation) in (dict, list):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _kinds(argument)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
