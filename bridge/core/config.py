"""Reads the configuration file and refuses what it does not know, with file, line and key."""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.core.quoting import in_sentence
from bridge.core.settings import Settings

DEFAULT_PATH = Path("/etc/katabridge/katabridge.yaml")
ENVIRONMENT = "KATABRIDGE_CONFIG"

# of what YAML could not read: an alias or a tag, which a password may look like
_NAMES = re.compile(r" '(?!<)[^']{2,}'")
_NO_KEY = re.compile(r"[:=@\s].*", re.S)  # `{token:abc}` is a key as a whole

Location = tuple[int | str, ...]


class ConfigError(Exception):
    """The configuration cannot be used; the text is for people, one sentence a line."""


def find_config(argument: Path | None) -> Path:
    """The file to read: `--config`, else $KATABRIDGE_CONFIG, else the system's."""
    if argument is not None:
        return argument
    return Path(os.environ.get(ENVIRONMENT) or DEFAULT_PATH)


def load_config(path: Path) -> Settings:
    """Read and check the file; ConfigError names file, line and key of every fault."""
    root = _compose(path)
    lines = _Lines(path)
    try:
        data = lines.read(root)
    except RecursionError:
        raise ConfigError(f"{path}: not plain YAML: it refers to itself.") from None
    if lines.faults:
        raise ConfigError("\n".join(lines.faults))
    try:
        return Settings.model_validate(data, context={"base": path.parent})
    except ValidationError as error:
        faults = [_fault(path, lines, detail) for detail in error.errors()]
        raise ConfigError("\n".join(text for _, text in sorted(faults))) from None


def _compose(path: Path) -> yaml.Node:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for without end
            raise OSError(errno.EINVAL, "it is no regular file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"{path}: the configuration cannot be read: {reason}. "
            f"Name another with --config or ${ENVIRONMENT}."
        ) from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = _NAMES.sub("", error.problem or "it cannot be read")
        raise ConfigError(f"{path}:{line}: not YAML: {problem}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise ConfigError(f"{path}: not plain YAML: it is nested too deeply.") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{path}:1: the file must hold keys, such as `kata:`.")
    return root


class _Lines:
    """Turns YAML nodes into plain data and remembers the line of every key."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[Location, int] = {}
        self.faults: list[str] = []

    def of(self, location: Location) -> int:
        """The line of a key, or of the nearest one around it."""
        while location and location not in self._lines:
            location = location[:-1]
        return self._lines.get(location, 1)

    def read(self, node: yaml.Node, at: Location = ()) -> Any:
        """Plain data; a key that stands twice becomes a fault."""
        self._lines.setdefault(at, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, at))
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*at, i)) for i, item in enumerate(node.value)]
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError):
            line = node.start_mark.line + 1
            self.faults.append(f"{self._path}:{line}: {_dotted(at)}: not a plain value.")
            return None

    def _pairs(self, node: yaml.MappingNode, at: Location) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = str(key_node.value)
            here = (*at, key)
            if key in seen:
                self.faults.append(f"{self._path}:{line}: {_dotted(here)} stands twice.")
            seen.add(key)
            self._lines[here] = line
            yield key, self.read(value_node, here)


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = _NO_KEY.sub("…", part)
            text += f".{name}" if text else name
    return text


def _fault(path: Path, lines: _Lines, detail: ErrorDetails) -> tuple[int, str]:
    # pydantic marks a fault in a mapping's key by a last part that is no key of ours
    location = tuple(part for part in detail["loc"] if part != "[key]")
    if detail["type"] == "extra_forbidden":
        sentence = _unknown(location)
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
    return line, f"{path}:{line}: {_dotted(location) or 'the file'}: {sentence}"


def _unknown(location: Location) -> str:
    known = _keys_beside(location)
    close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key; known here are {', '.join(sorted(known))}."


def _keys_beside(location: Location) -> list[str]:
    """The keys that the settings know in the place of `location`."""
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _inner_model(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
