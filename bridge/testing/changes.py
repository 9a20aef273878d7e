"""What a test may change of a site's settings, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.testing.plain import plain_mapping
from bridge.testing.processes import HarnessError
from bridge.testing.site import Site, deep_merge

# Keys that the harness needs for itself, with the reason.
_OWN = {
    ("icap", "listen"): "the harness finds a free port",
    ("logs", "dir"): "the harness reads the records there",
    ("spool", "dir"): "it is the site's own",
}


def changed(site: Site, changes: Mapping[str, Any]) -> dict[str, Any]:
    """`site.changes` with these as well, both checked.

    Mappings are merged, all else is replaced. What the first of `folders` does not say is as in
    the site's own. HarnessError where the harness needs a key itself, or a file cannot hold a
    value.
    """
    merged: dict[str, Any] = deep_merge(plain_mapping(site.changes), plain_mapping(changes))
    _check(merged)
    folders = merged.get("folders")
    if isinstance(folders, list) and folders and isinstance(folders[0], dict):
        merged["folders"] = [deep_merge(site.folder, folders[0]), *folders[1:]]
    return merged


def _check(changes: Mapping[str, Any]) -> None:
    for (name, key), why in _OWN.items():
        section = changes.get(name, {})
        if not isinstance(section, Mapping):
            raise HarnessError(f"{name} cannot be set as a whole in a test: {why} ({name}.{key}).")
        if key in section:
            raise HarnessError(f"{name}.{key} cannot be set in a test: {why}.")
    if changes.get("logs", {}).get("level") == "error":
        raise HarnessError(
            "logs.level cannot be set to `error` in a test: the log says when a door has started."
        )
