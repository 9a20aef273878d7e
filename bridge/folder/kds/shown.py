"""KDS's configuration as others may see it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bridge.core import REMOVED, url_secrets
from bridge.folder.kds.conf import KEYS, is_taken
from bridge.folder.kds.jsontext import JsonError, Member, read_members

_LEAST_REFUSED = 8  # signs; a shorter one may be a word of everybody's


def shown_conf(text: str) -> str | None:
    """A line for each key, with its number; None where it is no JSON.

    What no key of KDS's has or takes is left out: a secret may stand there by a slip.
    """
    try:
        members = _members(text)
    except JsonError:
        return None
    return "".join(
        f"{member.line}: {member.key if member.key in KEYS else REMOVED}: "
        f"{json.dumps(member.value) if is_taken(member) else REMOVED}\n"
        for member in members
    )


def refused_values(text: str) -> frozenset[str]:
    """What is left out of that and may be said elsewhere: as it stands, and as a path."""
    try:
        members = _members(text)
    except JsonError:
        return frozenset()
    refused = (each.value for each in members if not is_taken(each))
    return frozenset(each for value in refused for each in _forms(value))


def _forms(value: object) -> Iterator[str]:
    text = value.strip() if isinstance(value, str) else ""
    if len(text) >= _LEAST_REFUSED:
        yield text
        yield str(Path(text))  # of `//`, which Base64 may hold, one slash stays
    yield from url_secrets(text if "://" in text else f"https://{text}")


def _members(text: str) -> list[Member]:
    return read_members(text.removeprefix("\ufeff"))
