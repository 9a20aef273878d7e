"""`submit.types`: which formats are worth a sandbox."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from bridge.core.formats import Format, Group
from bridge.core.quoting import quoted

TYPES_RULE = "submit.types"


def _types(value: object) -> object:
    if value == "all":
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(
            f"{quoted(value)} is neither all nor a list of groups ({', '.join(Group)})"
        )
    for each in value:
        if each not in list(Group):
            raise ValueError(f"{quoted(each)} is no group of formats; known are {', '.join(Group)}")
    return tuple(Group(each) for each in value)


Types = Annotated[Literal["all"] | tuple[Group, ...], BeforeValidator(_types)]


def left_out(types: Literal["all"] | tuple[Group, ...], found: Format) -> str | None:
    """The rule that keeps an object of this format from KATA, or None where it is sent.

    What is not listed is left out, and so is `unknown`: whoever writes a list should name it, since
    it holds all that is not recognised, PowerShell and JavaScript among it.
    """
    return None if types == "all" or found.group in types else TYPES_RULE
