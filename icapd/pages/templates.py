"""The templates of pages: read once, ours and own ones that go before ours."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from bridge.core import StartError, printable
from icapd.pages.ownfiles import own_text

_LONGEST_RANGE = 1000
_LINES = re.compile(r"^debug_info = '([0-9=&]+)'", re.M)  # as `3=14&4=20`: ours, the program's


def environment(*folders: Path) -> jinja2.Environment:
    """The templates of some folders; of two with the same name, the one in the later folder.

    Raises StartError where a file cannot be read, or is no template.
    """
    sources: dict[str, tuple[Path, str]] = {}
    for folder in folders:
        sources |= {path.name: (path, own_text(path)) for path in sorted(folder.glob("*.html"))}

    def load(name: str) -> tuple[str, str, None] | None:
        if name not in sources:
            return None
        path, text = sources[name]
        return text, str(path), None

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(load),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.globals["range"] = _range
    for name, (path, text) in sources.items():
        _compile(made, name, path, text)
    return made


def try_out(made: jinja2.Environment, name: str, context: Mapping[str, Any]) -> None:
    """Render a template once. Raises StartError, which names the file and line at fault."""
    try:
        made.get_template(name).render(context)
    except Exception as error:  # a template may raise whatever its expressions do
        raise StartError(_sentence(made, name, error)) from None


def _compile(made: jinja2.Environment, name: str, path: Path, text: str) -> None:
    try:
        # before it is compiled, which computes what is constant
        power = made.parse(text).find(jinja2.nodes.Pow)
        if power is None:
            made.get_template(name)
    except jinja2.TemplateSyntaxError as error:
        raise StartError(f"{path}, line {error.lineno}: {_words(error)}") from None
    except SyntaxError as error:  # of the program that a template becomes
        line = _template_line(made.compile(text, raw=True), error.lineno or 1)
        raise StartError(f"{path}, line {line}: {error.msg}") from None
    except Exception as error:  # what is too deep or too large for a program
        raise StartError(f"{path} cannot be used: {_words(error)}") from None
    if power is not None:
        why = "** is not for pages, since it may compute without end"
        raise StartError(f"{path}, line {power.lineno}: {why}")


def _range(*numbers: int) -> range:
    """Jinja's own, bounded: whoever wants a page would wait for it."""
    found = range(*numbers)
    if found[_LONGEST_RANGE:]:  # its length may be more than `len` can say
        raise ValueError(f"range gives {_LONGEST_RANGE} numbers at most")
    return found


def _template_line(program: str, number: int) -> int:
    """The template's line of one of the program's, as jinja notes where its lines begin."""
    noted = _LINES.search(program)
    pairs = (pair.split("=") for pair in (noted[1].split("&") if noted else []))
    lines = [int(ours) for ours, theirs in pairs if int(theirs) <= number]
    return lines[-1] if lines else 1


def _sentence(made: jinja2.Environment, name: str, error: Exception) -> str:
    """Where in a template it happened: jinja puts templates' own lines into tracebacks."""
    steps = [step for step in traceback.extract_tb(error.__traceback__) if _is_template(step)]
    if steps:
        return f"{steps[-1].filename}, line {steps[-1].lineno}: {_words(error)}"
    return f"{made.get_template(name).filename}: {_words(error)}"


def _words(error: Exception) -> str:
    return printable(" ".join(str(error).split())) or type(error).__name__


def _is_template(step: traceback.FrameSummary) -> bool:
    return step.filename.endswith(".html")
