"""Changes one value in somebody's YAML file and leaves every other byte as it is.

Only what is plainly written is edited (block mappings, one-line values), and the result is read
again: where it does not say the old data with that one change, nothing is changed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")
_LINE_END = re.compile(r"\r\n|[\r\n]")
_STEP = 2  # columns of a section that is new


class EditError(Exception):
    """The value must be written by hand; `line` (from 1) is where, the text says what."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


def set_value(text: str, path: Sequence[str], value: str) -> str:
    """`text` with the scalar under the keys of `path` changed, or added where it is missing.

    Line ends must be those of the file (no newline translation). EditError where that cannot be
    done safely.
    """
    by_hand = f"write {_dotted(path, value)} there by hand"
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        before = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise EditError(mark.line + 1 if mark else 1, f"this is no plain YAML; {by_hand}") from None
    changed, line = _Edit(text, by_hand).set(root, path, value)
    if not _says(changed, before, path, value):
        raise EditError(line, f"this cannot be changed without changing more; {by_hand}")
    return changed


class _Edit:
    def __init__(self, text: str, by_hand: str) -> None:
        self._text = text
        self._by_hand = by_hand
        found = _LINE_END.search(text)
        self._newline = found[0] if found else "\n"

    def set(self, root: yaml.Node | None, path: Sequence[str], value: str) -> tuple[str, int]:
        """The new text, and the line (from 1) that was changed."""
        if root is None:
            return self._insert(len(self._text), path, value, 0)
        node, parent_indent = root, -_STEP
        for depth, key in enumerate(path):
            if isinstance(node, yaml.ScalarNode) and _is_empty(node):  # `kata:` and nothing more
                at = self._line_end(node.end_mark.index)
                return self._insert(at, path[depth:], value, parent_indent + _STEP)
            if not isinstance(node, yaml.MappingNode) or node.flow_style or not node.value:
                raise self._refusal(node, "this is not written as one key a line")
            found = [pair for pair in node.value if pair[0].value == key]
            parent_indent = node.value[0][0].start_mark.column
            if not found:
                at = len(self._text) if depth == 0 else self._line_end(_end(node))
                return self._insert(at, path[depth:], value, parent_indent)
            if len(found) > 1:
                raise self._refusal(found[1][0], f"{key} stands twice")
            node = found[0][1]
        return self._replace(node, value)

    def _replace(self, node: yaml.Node, value: str) -> tuple[str, int]:
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.ScalarNode) or node.style in ("|", ">"):
            raise self._refusal(node, "this is no value on one line")
        start, end = node.start_mark.index, node.end_mark.index
        if node.tag == "tag:yaml.org,2002:str" and node.value == value:
            return self._text, line
        space = " " if self._text[start - 1 : start] == ":" else ""
        return f"{self._text[:start]}{space}{_scalar(value)}{self._text[end:]}", line

    def _insert(self, at: int, path: Sequence[str], value: str, indent: int) -> tuple[str, int]:
        """Add lines at the start of a line, or behind the last one."""
        head, tail = self._text[:at], self._text[at:]
        lines = [f"{' ' * (indent + _STEP * i)}{key}:" for i, key in enumerate(path)]
        new = f"{self._newline.join(lines)} {_scalar(value)}"
        line = len(_LINE_END.findall(head)) + 1
        if head and not _ends_line(head):
            return f"{head}{self._newline}{new}{tail}", line + 1
        return f"{head}{new}{self._newline}{tail}", line

    def _line_end(self, at: int) -> int:
        """Where the next line begins, or the end of the text."""
        if at and _ends_line(self._text[:at]):
            return at  # a block scalar ends behind its last line
        found = _LINE_END.search(self._text, at)
        return found.end() if found else len(self._text)

    def _refusal(self, node: yaml.Node, reason: str) -> EditError:
        return EditError(node.start_mark.line + 1, f"{reason}; {self._by_hand}")


def _is_empty(node: yaml.ScalarNode) -> bool:
    return node.style is None and node.start_mark.index == node.end_mark.index


def _end(node: yaml.Node) -> int:
    """Where the last word of a node ends; the node's own mark is behind the comments after it."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style and node.value:
        return _end(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    index: int = node.end_mark.index
    return index


def _ends_line(text: str) -> bool:
    return text[-1] in "\r\n"


def _scalar(value: str) -> str:
    """The value as YAML on one line: plain where that is read as the same string, else quoted."""
    if _PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    quoted: str = yaml.safe_dump(value, default_style='"', width=float("inf"))
    return quoted.removesuffix("\n")


def _dotted(path: Sequence[str], value: str) -> str:
    section = f" under {'.'.join(path[:-1])}" if path[:-1] else ""
    return f"`{path[-1]}: {_scalar(value)}`{section}"


def _says(text: str, before: Any, path: Sequence[str], value: str) -> bool:
    """Whether the text reads as the data before, but for this one value."""
    try:
        after = yaml.safe_load(text)
        return bool(after == _with(before, path, value))
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError):
        return False


def _with(data: Any, path: Sequence[str], value: str) -> Any:
    if not path:
        return value
    # copied on the way, not changed: what an alias shares must not seem to follow
    inner = data or {}
    return {**inner, path[0]: _with(inner.get(path[0]), path[1:], value)}


def write_atomically(path: Path, text: str) -> None:
    """Replace the file's content, keeping mode and owner; OSError: the file is as it was.

    A link stays, and what it leads to is replaced. Blocks: disk.
    """
    path = path.resolve()
    state = path.stat()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if (state.st_uid, state.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, state.st_uid, state.st_gid)
            os.fchmod(descriptor, state.st_mode & 0o7777)
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
