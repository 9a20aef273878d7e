"""The nodes of a YAML text, or the one error that says why there are none. Pure."""

from __future__ import annotations

import re

import yaml
from yaml.reader import ReaderError

# of what YAML could not read: an alias or a tag, which a password may look like
_NAMES = re.compile(r" '(?!<)[^']{2,}'")


class NotYamlError(Exception):
    """A text is no YAML: `line`, from 1, and the problem as part of a sentence.

    It quotes no name of the text's: that may be a password.
    """

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


def compose_yaml(text: str) -> yaml.Node | None:
    """The root of the one document in `text`; None where there is none. NotYamlError, no other."""
    try:
        loader = yaml.SafeLoader(text)
    except ReaderError as error:  # of the whole text at once
        line = text.count("\n", 0, error.position) + 1
        sign = f"U+{ord(text[error.position]):04X}"
        raise NotYamlError(line, f"the sign {sign} must not stand there") from None
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else loader.line
        raise NotYamlError(line + 1, _NAMES.sub("", error.problem or "it cannot be read")) from None
    except RecursionError:
        raise NotYamlError(loader.line + 1, "it is nested too deeply") from None
    except (ValueError, ArithmeticError):  # an escape, or a version of YAML, beyond all bounds
        raise NotYamlError(loader.line + 1, "a number there is too large") from None
    finally:
        loader.dispose()
