"""The texts of pages, a YAML file a language: ours, and own ones that go before ours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from bridge.core import NotYamlError, StartError, compose_yaml, printable
from icapd.pages.ownfiles import own_text

Texts = dict[str, dict[str, str]]
"""The texts of one language: section, key, text."""

FALLBACK = "en"
_NAME = re.compile(r"[a-z]{2,3}")


def load_texts(ours: Path, own: Path | None) -> dict[str, Texts]:
    """All languages, each complete: own text, else ours, else our English.

    Raises StartError, which names file and line.
    """
    shipped = {path.stem: _read(path) for path in sorted(ours.glob("*.yaml"))}
    languages = {name: _over(shipped[FALLBACK], texts) for name, texts in shipped.items()}
    for path in _own_files(own):
        base = languages.get(path.stem, shipped[FALLBACK])
        languages[path.stem] = _over(base, _read(path, known=shipped[FALLBACK]))
    return languages


def _own_files(own: Path | None) -> list[Path]:
    if own is None:
        return []
    files = sorted([*own.glob("*.yaml"), *own.glob("*.yml")])
    for path in files:
        if path.suffix != ".yaml" or not _NAME.fullmatch(path.stem):
            raise StartError(f"{path}: a file of texts is named by its language, as de.yaml")
    return files


def _over(base: Texts, texts: Texts) -> Texts:
    return {section: base[section] | texts.get(section, {}) for section in base}


def _read(path: Path, known: Texts | None = None) -> Texts:
    texts: Texts = {}
    for section, key, text, line in _lines(path):
        if known is not None and key not in known.get(section, {}):
            raise StartError(f"{path}, line {line}: {_unknown(section, key, known)}")
        if key in texts.setdefault(section, {}):
            raise StartError(f"{path}, line {line}: {section}.{key} is there twice")
        texts[section][key] = text
    return texts


def _unknown(section: str, key: str, known: Texts) -> str:
    names = [f"{one}.{two}" for one, keys in known.items() for two in keys]
    near = difflib.get_close_matches(f"{section}.{key}", names, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no page uses a text {section}.{key}{hint}"


def _lines(path: Path) -> Iterator[tuple[str, str, str, int]]:
    """(section, key, text, line) of everything in a file."""
    root = _parsed(path)
    if root is None:
        return
    for section, keys, _ in _members(path, root):
        for key, value, line in _members(path, keys):
            if not isinstance(value, yaml.ScalarNode) or value.tag != "tag:yaml.org,2002:str":
                raise StartError(
                    f"{path}, line {line}: {section}.{key} is no text; put it in quotes"
                )
            yield section, key, value.value, line


def _members(path: Path, node: yaml.Node) -> Iterator[tuple[str, yaml.Node, int]]:
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise StartError(f"{path}, line {line}: here must be names with texts, as `title: Wait`")
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise StartError(f"{path}, line {line}: a name must be a word")
        yield printable(key.value), value, line


def _parsed(path: Path) -> yaml.Node | None:
    try:
        return compose_yaml(own_text(path))
    except NotYamlError as error:
        raise StartError(f"{path}, line {error.line}: {printable(error.problem)}") from None
