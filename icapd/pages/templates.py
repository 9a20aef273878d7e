"""The templates of pages: read once, ours and own ones that go before ours."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from bridge.core import StartError


def environment(*folders: Path) -> jinja2.Environment:
    """The templates of some folders; of two with the same name, the one in the later folder.

    Raises StartError where a file cannot be read, or is no template.
    """
    sources: dict[str, tuple[Path, str]] = {}
    for folder in folders:
        sources |= {path.name: (path, _text(path)) for path in sorted(folder.glob("*.html"))}

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
    for name in sources:
        _compile(made, name)
    return made


def try_out(made: jinja2.Environment, name: str, context: Mapping[str, Any]) -> None:
    """Render a template once. Raises StartError, which names the file and line at fault."""
    try:
        made.get_template(name).render(context)
    except Exception as error:  # a template may raise whatever its expressions do
        raise StartError(_sentence(made, name, error)) from None


def _compile(made: jinja2.Environment, name: str) -> None:
    try:
        made.get_template(name)
    except jinja2.TemplateSyntaxError as error:
        raise StartError(f"{error.filename}, line {error.lineno}: {error.message}") from None


def _sentence(made: jinja2.Environment, name: str, error: Exception) -> str:
    """Where in a template it happened: jinja puts templates' own lines into tracebacks."""
    steps = [step for step in traceback.extract_tb(error.__traceback__) if _is_template(step)]
    if steps:
        return f"{steps[-1].filename}, line {steps[-1].lineno}: {error}"
    return f"{made.get_template(name).filename}: {error}"


def _is_template(step: traceback.FrameSummary) -> bool:
    return step.filename.endswith(".html")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path} cannot be read: {error}") from None
