"""Reads the configuration file and refuses what it does not know, with file, line and key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.core.keynames import Location, dotted, unknown_key
from bridge.core.plainfiles import read_plain
from bridge.core.quoting import in_sentence
from bridge.core.settings import Settings
from bridge.core.yamlnodes import NotYamlError, compose_yaml

DEFAULT_PATH = Path("/etc/katabridge/katabridge.yaml")
ENVIRONMENT = "KATABRIDGE_CONFIG"

_LEAST_VALUES = 10_000  # a file may hold; else one for each of its signs
_NOT_PLAIN = (
    yaml.YAMLError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    TypeError,
)


class ConfigError(Exception):
    """The configuration cannot be used; the text is for people, one sentence a line."""


def find_config(argument: Path | None) -> Path:
    """The file to read: `--config`, else $KATABRIDGE_CONFIG, else the system's."""
    if argument is not None:
        return argument
    return Path(os.environ.get(ENVIRONMENT) or DEFAULT_PATH)


def load_config(path: Path) -> Settings:
    """Read and check the file; ConfigError names file, line and key of every fault."""
    text = _read(path)
    lines = _Lines(path, max(_LEAST_VALUES, len(text)))
    try:
        data = lines.read(_compose(path, text))
    except RecursionError:
        raise ConfigError(f"{path}: not plain YAML: it refers to itself.") from None
    if lines.faults:
        raise ConfigError("\n".join(lines.faults))
    try:
        return Settings.model_validate(data, context={"base": path.absolute().parent})
    except ValidationError as error:
        faults = [_fault(path, lines, detail) for detail in error.errors()]
        raise ConfigError("\n".join(text for _, text in sorted(faults))) from None


def _read(path: Path) -> str:
    try:
        return read_plain(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"{path}: the configuration cannot be read: {reason}. "
            f"Name another with --config or ${ENVIRONMENT}."
        ) from None


def _compose(path: Path, text: str) -> yaml.Node:
    try:
        root = compose_yaml(text)
    except NotYamlError as error:
        raise ConfigError(f"{path}:{error.line}: not YAML: {error.problem}.") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}:1: the file must hold keys, such as `kata:`.")
    return root


class _Lines:
    """Turns YAML nodes into plain data and remembers the line of every key."""

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._left = most
        self._lines: dict[Location, int] = {}
        self.faults: list[str] = []

    def of(self, location: Location) -> int:
        """The line of a key, or of the nearest one around it."""
        while location and location not in self._lines:
            location = location[:-1]
        return self._lines.get(location, 1)

    def read(self, node: yaml.Node, at: Location = ()) -> Any:
        """Plain data; a key that stands twice becomes a fault. ConfigError: it is without end."""
        self._left -= 1
        if self._left < 0:  # aliases of aliases: memory would end before they do
            raise ConfigError(f"{self._path}: not plain YAML: its aliases stand for too much.")
        self._lines.setdefault(at, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, at))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*at, i)) for i, item in enumerate(node.value)]
        try:
            return yaml.SafeLoader("").construct_object(node)
        except _NOT_PLAIN:
            line = node.start_mark.line + 1
            self.faults.append(f"{self._path}:{line}: {dotted(at)}: not a plain value.")
            return None

    def _pairs(self, node: yaml.MappingNode, at: Location) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.faults.append(
                    f"{self._path}:{line}: {dotted(at) or 'the file'}: a key must be a word."
                )
                continue
            key = str(key_node.value)
            here = (*at, key)
            if key in seen:
                self.faults.append(f"{self._path}:{line}: {dotted(here)} stands twice.")
            seen.add(key)
            self._lines[here] = line
            yield key, self.read(value_node, here)


def _fault(path: Path, lines: _Lines, detail: ErrorDetails) -> tuple[int, str]:
    # pydantic marks a fault in a mapping's key by a last part that is no key of ours
    location = tuple(part for part in detail["loc"] if part != "[key]")
    if detail["type"] == "extra_forbidden" or len(location) < len(detail["loc"]):
        sentence = unknown_key(location)
    elif detail["type"] == "missing":
        sentence = "this key is missing."
    elif detail["type"] in ("model_type", "dict_type"):
        sentence = "keys are expected below it; take it out where there are none."
    elif detail["type"] == "too_short":
        sentence = "it must not be empty."
    else:
        sentence = detail["msg"].removeprefix("Value error, ").removesuffix(".") + "."
        sentence = in_sentence(sentence, detail["input"])
    line = lines.of(location)
    return line, f"{path}:{line}: {dotted(location) or 'the file'}: {sentence}"
