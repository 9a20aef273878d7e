"""docs/configuration.md: prose by hand, and between markers the tables that are made here."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.core.settings import Settings
from tests.reference.keys import Key, all_keys
from tests.reference.values import default_of, limits_of

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"

_TABLE = re.compile(r"(<!-- keys: ([^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HEAD = "| key | default | change | meaning |\n|---|---|---|---|\n"


class PageError(Exception):
    """The page's markers leave keys out, or name what there is not."""


def filled(text: str) -> str:
    """The page with each table made anew. PageError.

    `<!-- keys: A, B -->` has the keys `A` and `B` and what is below them, but for what another
    marker names more closely.
    """
    names = [name for found in _TABLE.finditer(text) for name in _names(found[2])]
    by_name: dict[str, list[Key]] = {name: [] for name in names}
    for key in all_keys(Settings):
        closest = max((name for name in names if _is_below(key.name, name)), key=len, default=None)
        if closest is None:
            raise PageError(f"no table of docs/configuration.md has {key.name}")
        by_name[closest].append(key)
    for name, keys in by_name.items():
        if not keys or names.count(name) > 1:
            raise PageError(f"docs/configuration.md has a table of {name}, and no key is left")

    def table(found: re.Match[str]) -> str:
        rows = (row(key) for name in _names(found[2]) for key in by_name[name])
        return "".join((found[1], _HEAD, *rows, found[3]))

    return _TABLE.sub(table, text)


def row(key: Key) -> str:
    """One line of a table."""
    cells = (
        f"`{key.name}`",
        default_of(key.field, key.needed_in),
        "restart" if key.restarts else "reload",
        " ".join(each for each in (key.text, limits_of(key.field)) if each),
    )
    return f"| {' | '.join(each.replace('|', '&#124;') for each in cells)} |\n"


def _names(marker: str) -> list[str]:
    return [each.strip() for each in marker.split(",")]


def _is_below(key: str, name: str) -> bool:
    return key == name or key.startswith((f"{name}.", f"{name}["))
