"""Every key of the settings, with the text that stands below it in the source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bridge.core.reloading import RESTART_KEYS

_MARKS = {list: "[]", dict: ".*"}  # between a key and those of each of its sections


class Key(NamedTuple):
    """One key: `name` in full, as in `icap.tls.cert`, `folders[].name` or `icap.services.*.mode`.

    `text`: what it means, on one line, empty where nothing is written. `needed_in`: of a key that
    must be written where a section is that may be left out, the section's name.
    """

    name: str
    field: FieldInfo
    text: str
    needed_in: str

    @property
    def restarts(self) -> bool:
        """Whether a change of it takes a restart."""
        return any(
            self.name == each or self.name.startswith((f"{each}.", f"{each}["))
            for each in RESTART_KEYS
        )


def all_keys(model: type[BaseModel], prefix: str = "", needed_in: str = "") -> Iterator[Key]:
    """The keys below a section, in the order of the source.

    A section has no row, unless it may stand there several times (in a list, or under names).
    """
    texts = _texts(model)
    for name, field in model.model_fields.items():
        inner, mark = _section(field.annotation)
        full = f"{prefix}{name}"
        if inner is None or mark:
            yield Key(full, field, texts.get(name, ""), needed_in)
        if inner is not None:
            optional = not mark and not field.is_required() and field.default is None
            yield from all_keys(inner, f"{full}{mark}.", full if optional else "")


def _section(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The section that a type holds, and the mark of the list or mapping around it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    for argument in getattr(annotation, "__args__", ()):
        inner, _ = _section(argument)
        if inner is not None:
            return inner, _MARKS.get(get_origin(annotation), "")
    return None, ""


@cache
def _texts(model: type[BaseModel]) -> dict[str, str]:
    """By field the string below it. Read here, not by pydantic: that would cost each start."""
    found: dict[str, str] = {}
    body = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(body, ast.ClassDef)
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            match after:
                case ast.Expr(ast.Constant(str(text))):
                    found[field.target.id] = " ".join(text.split())
    return found
