"""The configuration as it may be shown, and the secrets that it holds. Pure.

Every line keeps its number. Comments go, since they may hold anything, and so do values of keys
that no setting has: a secret may stand there by a slip.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import yaml

from bridge.commands.collecting.places import KEY, Path, Place, place_of
from bridge.core import (
    REMOVED,
    SHORTEST_SECRET,
    is_secret_name,
    store_secrets,
    url_secrets,
    webhook_secrets,
)

_HOST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(?:.*@)?([^/?#@]*)", re.S)
_USERINFO = re.compile(r"\A([A-Za-z][A-Za-z0-9+.-]*:/+|/*).*@", re.S)
_BY_LINE = re.compile(
    r"\b(?:token|store|url|password|secret|key)\b[\"']?\s*[:=][\s\[{&*!-]*([^\s,}\]#]+)", re.I
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'}]+")
_TOKEN_LIKE = re.compile(r"[!-.0-~][!-~]{15,199}")  # no path
_NAME = re.compile(r"[A-Za-z0-9_.*/-]{0,63}")
_NO_SPACE = re.compile(r"[^ \n]+")
_PLAIN_TAG = "tag:yaml.org,2002:"
_LEAST_ANCHOR = 8  # a shorter one that nobody refers to is no secret
_DEEPEST = 20
_LEAST_SCALARS = 10_000  # that a file may hold; else one for each of its signs


@dataclass(frozen=True, slots=True)
class Masked:
    """`text`: None where it is no YAML. `secrets`: to be taken out of everything else, too;
    `short`: how many are too short for that. `data`: by path what stands there."""

    text: str | None
    secrets: frozenset[str]
    short: int
    data: dict[Path, str]


def mask(text: str, more: Iterable[str] = ()) -> Masked:
    """What may be shown of a configuration file, be it valid or not. `more`: further secrets."""
    try:
        roots = yaml.compose_all(text, Loader=yaml.SafeLoader)
        scalars = _bounded(
            (each for root in roots for each in _scalars(root, ())), max(_LEAST_SCALARS, len(text))
        )
        changed = ((node.end_mark.index, _shown(path, node)) for path, node in scalars)
        masked = _sheet(text, {end: new for end, new in changed if new is not None})
        secrets = {*more, *_unused_anchors(text)}
    except (yaml.YAMLError, RecursionError, ValueError, ArithmeticError):
        return _masked(None, {*more, *_by_slip(text)}, {})
    for path, node in scalars:
        secrets.update(_secrets(path, node.value))
        if node.tag and not node.tag.startswith(_PLAIN_TAG):  # `!abc` is a tag, and no value
            secrets.update(_secrets(path, node.tag), _secrets(path, node.tag.lstrip("!")))
    return _masked(masked, secrets, {path: node.value for path, node in scalars})


def _masked(text: str | None, secrets: Iterable[str], data: dict[Path, str]) -> Masked:
    every = {secret for secret in secrets if secret}
    long = frozenset(secret for secret in every if len(secret) >= SHORTEST_SECRET)
    return Masked(text, long, len(every - long), data)


def _bounded(
    scalars: Iterator[tuple[Path, yaml.ScalarNode]], most: int
) -> list[tuple[Path, yaml.ScalarNode]]:
    """All of them; ValueError where aliases of aliases make too many."""
    found = list(islice(scalars, most + 1))
    if len(found) > most:
        raise ValueError("its aliases stand for too much")
    return found


def _scalars(node: yaml.Node | None, at: Path) -> Iterator[tuple[Path, yaml.ScalarNode]]:
    """Every value with its path; one that stands twice comes twice."""
    if len(at) > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(node, yaml.ScalarNode):
        yield at, node
    elif isinstance(node, yaml.MappingNode):
        hidden = place_of(at) in _HIDDEN
        for key, value in node.value:
            yield from _scalars(value, (*at, str(key.value)))
            if hidden or not isinstance(key, yaml.ScalarNode) or not _NAME.fullmatch(key.value):
                yield from _scalars(key, (*at, KEY))  # `{token:abc}`, say, is a key as a whole
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _scalars(item, (*at, number))


_HIDDEN = (Place.TOKEN, Place.STORE, Place.WEBHOOK)


def _secrets(path: Path, value: str) -> Iterator[str]:
    place = place_of(path)
    if place is Place.TOKEN:
        yield value
    elif place is Place.STORE:
        yield from store_secrets(value)
    elif place is Place.WEBHOOK:
        yield from webhook_secrets(value)
    elif place is Place.UNKNOWN:
        if any(is_secret_name(str(part)) for part in path):
            yield value
        yield from _by_slip(value)
    elif place is Place.URL or "://" in value:
        yield from url_secrets(value)


def _by_slip(text: str) -> Iterator[str]:
    """What may be a secret where none belongs."""
    if _TOKEN_LIKE.fullmatch(text):
        yield text
    for found in _BY_LINE.findall(text):
        yield found.strip("\"'")
    for url in _URL.findall(text):
        yield from store_secrets(url)
        yield from webhook_secrets(url)


def _unused_anchors(text: str) -> Iterator[str]:
    """`&abc` is an anchor, and no value: one that nobody refers to was meant as one."""
    tokens = list(yaml.scan(text, Loader=yaml.SafeLoader))
    used = {token.value for token in tokens if isinstance(token, yaml.AliasToken)}
    for token in tokens:
        if isinstance(token, yaml.AnchorToken) and token.value not in used:
            yield from (each for each in (token.value,) if len(each) >= _LEAST_ANCHOR)


def _shown(path: Path, node: yaml.ScalarNode) -> str | None:
    """What stands in the place of a value; None: the value itself."""
    place, value = place_of(path), node.value
    if place is Place.TOKEN or place is Place.UNKNOWN:
        return REMOVED if value else None
    if place is Place.WEBHOOK:
        host = _HOST.match(value)
        return f"{host[1]}{host[2]}/{REMOVED}" if host else REMOVED
    if "@" in value and (place is not Place.SETTING or "://" in value):
        return _USERINFO.sub(rf"\1{REMOVED}@", value)
    return None


def _sheet(text: str, instead: dict[int, str]) -> str:
    """A text of which only what YAML sees stays, on its line.

    `instead`: what stands in the place of scalars, by the index of their end.
    """
    shown: list[str] = []
    anchors: dict[str, str] = {}
    before = 0
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        start, end = token.start_mark.index, token.end_mark.index
        shown.append(_NO_SPACE.sub("", text[before:start]))  # else it is a comment
        shown.append(_word(token, text[start:end], instead.get(end), anchors))
        before = max(before, end)
    shown.append(_NO_SPACE.sub("", text[before:]))
    return "\n".join(line.rstrip() for line in "".join(shown).split("\n"))


def _word(token: yaml.Token, written: str, new: str | None, anchors: dict[str, str]) -> str:
    """`anchors`: numbers in the place of their names, which may be anything, too."""
    if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
        return written[0] + anchors.setdefault(token.value, str(len(anchors) + 1))
    if isinstance(token, yaml.TagToken):
        return written if written.startswith("!!") else "!removed"
    if isinstance(token, yaml.DirectiveToken):
        return ""
    if not isinstance(token, yaml.ScalarToken):
        return written
    if new is None and token.value not in written:  # escapes would hide a secret from scrubbing
        new = token.value
    if new is None and token.style in ("|", ">"):  # whose head may end in a comment
        new = token.value
    if new is None:
        return written
    return json.dumps(new, ensure_ascii=False) + "\n" * written.count("\n")
