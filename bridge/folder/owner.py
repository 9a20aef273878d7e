"""Who we are on a share that several bridges use. Blocks: disk."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from bridge.core import Core, Settings, StartError

_DIGITS = 8


def owner_of(core: Core) -> str:
    """This instance's name with a mark of its own: two machines may bear one name by mistake.

    The mark is kept beside the spool, so that a restart finds its claims again. StartError.
    """
    path = core.spool.dir.parent / f"{core.instance}.owner"
    try:
        mark = path.read_text() if path.exists() else ""
        if len(mark) != _DIGITS or not mark.isalnum():
            mark = secrets.token_hex(_DIGITS // 2)
            path.write_text(mark)
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path} cannot be used: {error}", "spool.dir") from None
    return f"{core.instance}-{mark}"


def rules_of(settings: Settings) -> str:
    """A mark of everything by which a file may be left in input: another mark, another rule."""
    digest = hashlib.sha256()
    parts = {"submit", "policy", "folder_policy", "exclusions"}
    digest.update(settings.model_dump_json(include=parts).encode())
    digest.update(str(settings.kata.max_object_size).encode())
    for each in settings.exclude_lists:
        digest.update(_content(each))
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it was read a moment ago; whatever it holds now is another rule
        return b""
