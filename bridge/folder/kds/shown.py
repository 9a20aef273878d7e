"""KDS's configuration as others may see it. Pure."""

from __future__ import annotations

import json

from bridge.core import REMOVED
from bridge.folder.kds.conf import KEYS
from bridge.folder.kds.jsontext import JsonError, read_members


def shown_conf(text: str) -> str | None:
    """A line for each key, with its number; None where it is no JSON.

    What no key of KDS's has is taken out: a secret may stand there by a slip.
    """
    try:
        members = read_members(text.removeprefix("\ufeff"))
    except JsonError:
        return None
    return "".join(
        f"{member.line}: {member.key}: {json.dumps(member.value)}\n"
        if member.key in KEYS and isinstance(member.value, str)
        else f"{member.line}: {member.key if member.key in KEYS else REMOVED}: {REMOVED}\n"
        for member in members
    )
