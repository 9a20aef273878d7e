"""The katabridge.yaml that says what a KDS installation's configuration says, with comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from bridge.core import printable
from bridge.folder.kds.installation import Installation
from bridge.folder.kds.pin import Pin

_HEAD = """\
Written by `kata-bridge migrate` from {path}.
Start it with `kata-bridge watch --config` and this file. Every key: docs/configuration.md.
Not in here: the service's own log. It is kata-bridge-watch.log in logs.dir now."""

_COMMENTS = {
    "kata.node": "Owns journal and scans; under another name what is under way begins anew.",
    "kata.server_fingerprint": "The Central Node's certificate, from {where}. Compare it once.",
    "kata.max_object_size": "KDS left larger files in input, too.",
    "folder_policy": "As with KDS, detect, error and timeout go to quarantine. Said besides:",
    "folder_policy.excluded": "skip: stays in input; pass: to output; block: to quarantine.",
    "exclude_lists": "KDS's own list; it may go on being edited there.",
    "verdicts.store": "As `watch --kds-config` has them: what is known stays known.",
    "folders": "Further folders may follow: one service takes several.",
    "logs.dir": "log-history.log (every case), log-detects.log (every detection).",
}


def katabridge_yaml(installation: Installation, pin: Pin) -> str:
    """The text of the file. Loaded, it equals `installation.settings(pin.digits)`."""
    words = {"path": printable(str(installation.conf.path)), "where": printable(pin.where)}
    lines = [f"# {line.format(**words)}" for line in _HEAD.splitlines()]
    for key, value in installation.as_katabridge(pin.digits).items():
        lines += ["", *_lines(key, value, words)]
    return "\n".join(lines) + "\n"


def _lines(path: str, value: Any, words: Mapping[str, str], indent: str = "") -> Iterator[str]:
    """A key with what is below it, each with its comment above."""
    if path in _COMMENTS:
        yield f"{indent}# {_COMMENTS[path].format(**words)}"
    key = path.rpartition(".")[2]
    if isinstance(value, dict):
        yield f"{indent}{key}:"
        for inner, below in value.items():
            yield from _lines(f"{path}.{inner}", below, words, f"{indent}  ")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield f"{indent}{key}:"
        for entry in value:
            for number, (inner, below) in enumerate(entry.items()):
                yield f"{indent}  {'  ' if number else '- '}{inner}: {_scalar(below)}"
    elif isinstance(value, list):
        yield f"{indent}{key}: [{', '.join(_scalar(each) for each in value)}]"
    else:
        yield f"{indent}{key}: {_scalar(value)}"


def _scalar(value: str | bool) -> str:
    """A value on one line; texts in quotes, so that none is read as something else."""
    style = '"' if isinstance(value, str) else None
    text: str = yaml.safe_dump(value, default_style=style, allow_unicode=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")
