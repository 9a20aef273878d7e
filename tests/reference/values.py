"""Defaults and limits of keys, written as people write them: `20s`, `1MiB`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, get_args

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from bridge.core.units import parse_duration, parse_size

_Units: TypeAlias = Mapping[str, int]  # largest first, in the smallest of them

_TIMES: _Units = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_SIZES: _Units = {"TiB": 1 << 40, "GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
_UNITS: Mapping[object, _Units] = {parse_duration: _TIMES, parse_size: _SIZES}


def default_of(field: FieldInfo, needed_in: str) -> str:
    """The cell of a key's default."""
    if field.is_required():
        return f"needed in {needed_in}" if needed_in else "needed"
    if field.default is None or field.default in ({}, []):
        return "none"
    text = _written(field.default, _units(field))
    return text if text.isdigit() else f"`{text}`"


def limits_of(field: FieldInfo) -> str:
    """A sentence, or nothing: what the key's type checks."""
    checks = [*field.metadata, *_metadata(field.annotation)]
    for check in checks:
        if isinstance(check, AfterValidator) and inspect.isfunction(check.func):
            words = inspect.getclosurevars(check.func).nonlocals.get("words")
            if words is not None:
                least, _, most = str(words).partition(" to ")
                return _range(least, most)
    ge = next((each.ge for each in checks if isinstance(each, Ge)), None)
    le = next((each.le for each in checks if isinstance(each, Le)), None)
    return _range(str(ge), str(le)) if ge is not None and le is not None else ""


def _range(least: str, most: str) -> str:
    words = [each if each.isdigit() else f"`{each}`" for each in (least, most) if each]
    return f"From {' to '.join(words)}." if most else f"At least {words[0]}."


def _units(field: FieldInfo) -> _Units | None:
    """The units in which a key is written; None for what is no time or size."""
    for check in (*field.metadata, *_metadata(field.annotation)):
        if isinstance(check, BeforeValidator) and check.func in _UNITS:
            return _UNITS[check.func]
    return None


def _metadata(annotation: Any) -> Iterator[Any]:
    """What stands in `Annotated` anywhere in a type."""
    for each in (*getattr(annotation, "__metadata__", ()), *get_args(annotation)):
        yield each
        yield from _metadata(each)


def _written(value: Any, units: _Units | None) -> str:
    """A value as YAML has it on one line."""
    if isinstance(value, BaseModel):
        return _written(value.model_dump(exclude_unset=True), units)
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {_written(each, units)}" for key, each in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return json.dumps([str(each) for each in value])
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and units is not None:
        return _with_unit(round(value * units["s"]) if units is _TIMES else int(value), units)
    return str(value)


def _with_unit(value: int, units: _Units) -> str:
    unit = next(each for each, size in units.items() if value >= size and not value % size)
    return f"{value // units[unit]}{unit}"
