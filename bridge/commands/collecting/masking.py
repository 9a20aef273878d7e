"""The configuration as it may be shown, and the secrets that it holds. Pure.

Every line keeps its number. Comments go, since they may hold anything, and so do values of keys
that no setting has: a secret may stand there by a slip.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, get_origin

import yaml
from pydantic import BaseModel

from bridge.core import (
    REMOVED,
    SHORTEST_SECRET,
    Settings,
    store_secrets,
    url_secrets,
    webhook_secrets,
)

Path = tuple[str | int, ...]

_TOKEN = ("status", "token")
_STORE = ("verdicts", "store")
_WEBHOOK = ("notify", "url")
_HOST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:[^/?#]*@)?([^/?#@]*)")
_BY_LINE = re.compile(r"\b(token|store|url|password|secret|key)\b[\"']?\s*[:=]\s*([^\s,}#]+)", re.I)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'}]+")
_TOKEN_LIKE = re.compile(r"[!-.0-~][!-~]{15,199}")  # no path
_NAME = re.compile(r"[A-Za-z0-9_.*/-]{0,63}")
_NO_SPACE = re.compile(r"[^ \n]+")
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Masked:
    """`text`: None where it is no YAML. `secrets`: to be taken out of everything else, too;
    `short`: how many are too short for that. `data`: by path what stands there."""

    text: str | None
    secrets: frozenset[str]
    short: int
    data: dict[Path, str]


def mask(text: str) -> Masked:
    """What may be shown of a configuration file, be it valid or not."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        scalars = list(_scalars(root, ()))
        changed = ((node.end_mark.index, _shown(path, node)) for path, node in scalars)
        masked = _sheet(text, {end: new for end, new in changed if new is not None})
    except (yaml.YAMLError, RecursionError, ValueError):
        return _masked(None, _by_slip(text), {})
    secrets = [secret for path, node in scalars for secret in _secrets(path, node.value)]
    return _masked(masked, secrets, {path: node.value for path, node in scalars})


def _masked(text: str | None, secrets: Iterable[str], data: dict[Path, str]) -> Masked:
    every = {secret for secret in secrets if secret}
    long = frozenset(secret for secret in every if len(secret) >= SHORTEST_SECRET)
    return Masked(text, long, len(every - long), data)


def _scalars(node: yaml.Node | None, at: Path) -> Iterator[tuple[Path, yaml.ScalarNode]]:
    """Every value with its path; one that stands twice comes twice."""
    if len(at) > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(node, yaml.ScalarNode):
        yield at, node
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(value, (*at, str(key.value)))
            if not isinstance(key, yaml.ScalarNode) or not _NAME.fullmatch(key.value):
                yield from _scalars(key, (*at, "?"))  # `{token:abc}`, say, is a key as a whole
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _scalars(item, (*at, number))


def _secrets(path: Path, value: str) -> Iterator[str]:
    if path == _TOKEN:
        yield value
    elif path == _STORE:
        yield from store_secrets(value)
    elif path == _WEBHOOK:
        yield from webhook_secrets(value)
    elif not _is_setting(path):
        yield from _by_slip(value)
    else:
        yield from url_secrets(value)


def _by_slip(text: str) -> Iterator[str]:
    """What may be a secret where none belongs."""
    if _TOKEN_LIKE.fullmatch(text):
        yield text
    for match in _BY_LINE.finditer(text):
        yield match[2].strip("\"'")
    for url in _URL.findall(text):
        yield from store_secrets(url)
        yield from webhook_secrets(url)


def _shown(path: Path, node: yaml.ScalarNode) -> str | None:
    """What stands in the place of a value; None: the value itself."""
    if path == _TOKEN or not _is_setting(path):
        return REMOVED if node.value else None
    if path == _WEBHOOK:
        host = _HOST.match(node.value)
        return f"{host[1]}{host[2]}/{REMOVED}" if host else REMOVED
    if path == _STORE:
        return re.sub(r"(?s)://.*@", f"://{REMOVED}@", node.value)
    return None


def _is_setting(path: Path) -> bool:
    """Whether the settings have a plain value there."""
    here: Any = Settings
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(part))
            if field is None:
                return False
            here = _section(field.annotation)
        elif get_origin(here) in (list, dict):
            here = _section(here.__args__[-1])
        else:  # a list of plain values, or a value that may be a list
            return isinstance(part, int)
    return not (isinstance(here, type) and issubclass(here, BaseModel))


def _section(annotation: Any) -> Any:
    """The section, list or mapping in an annotation; else the annotation itself."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (list, dict):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        inner = _section(argument)
        if inner is not argument or (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return inner
    return annotation


def _sheet(text: str, instead: dict[int, str]) -> str:
    """A text of which only what YAML sees stays, on its line.

    `instead`: what stands in the place of scalars, by the index of their end.
    """
    shown, before = [], 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        start, end = token.start_mark.index, token.end_mark.index
        shown.append(_NO_SPACE.sub("", text[before:start]))  # else it is a comment
        shown.append(_word(token, text[start:end], instead.get(end)))
        before = max(before, end)
    shown.append(_NO_SPACE.sub("", text[before:]))
    return "\n".join(line.rstrip() for line in "".join(shown).split("\n"))


def _word(token: yaml.Token, written: str, new: str | None) -> str:
    if not isinstance(token, yaml.ScalarToken):
        return written
    if new is None and token.style in ("|", ">"):  # whose head may end in a comment
        new = token.value
    if new is None:
        return written
    return json.dumps(new, ensure_ascii=False) + "\n" * written.count("\n")
