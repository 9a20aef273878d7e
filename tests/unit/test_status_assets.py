"""The status page's files: none makes markup of texts, and all that is named is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.core import Decision, Door, OutageKind, OutcomeKind

ASSETS = Path(__file__).parents[2] / "bridge" / "status" / "assets"
FILES = sorted(ASSETS.iterdir())
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser"
    r"|createContextualFragment|setHTML|srcdoc|\.cssText|javascript:"
)
IN_MARKUP = re.compile(r"\sstyle\s*=|\son[a-z]+\s*=|<style|<script(?![^>]*\ssrc=)", re.IGNORECASE)
ELSEWHERE = re.compile(
    r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9.-]+\.[a-z]{2,}", re.IGNORECASE
)


def words(name: str) -> str:
    """The source of one table of words.js."""
    match = re.search(
        rf"const {name} = {{(.*?)\n?}};", (ASSETS / "words.js").read_text(), re.DOTALL
    )
    assert match is not None
    return match[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_makes_markup_of_texts_or_fetches_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert FORBIDDEN.findall(text) == []
    assert ELSEWHERE.findall(text) == []
    if path.suffix in (".html", ".svg"):
        assert IN_MARKUP.findall(text) == []
    elif path.suffix == ".js":
        assert not re.search(r"\bstyle:|\.style\b|setAttribute\(\"(?:style|on)", text)


@pytest.mark.parametrize(
    ("planted", "pattern"),
    [
        ("node.innerHTML = name", FORBIDDEN),
        ("eval(name)", FORBIDDEN),
        ('<p style="color: red">', IN_MARKUP),
        ("<a onclick='go()'>", IN_MARKUP),
        ("<script>go()</script>", IN_MARKUP),
        ('import "https://cdn.example/x.js"', ELSEWHERE),
    ],
)
def test_what_is_forbidden_is_found(planted: str, pattern: re.Pattern[str]) -> None:
    assert pattern.search(planted)


def test_every_import_and_every_link_is_there_and_no_file_is_left_over() -> None:
    html = (ASSETS / "index.html").read_text()
    used = {"index.html", *re.findall(r'"assets/([^"]+)"', html)}
    for path in ASSETS.glob("*.js"):
        for names, module in re.findall(
            r'^import {([^}]+)} from "\./([^"]+)";', path.read_text(), re.M
        ):
            used.add(module)
            source = (ASSETS / module).read_text()
            for name in names.split(","):
                exported = rf"export (?:async )?(?:function|class|const) {name.strip()}\b"
                assert re.search(exported, source), f"{path.name}: {module} has no {name.strip()}"
                uses = len(re.findall(rf"\b{name.strip()}\b", path.read_text()))
                assert uses > 1, f"{path.name} does not use {name.strip()}"
    assert used == {path.name for path in FILES}


def test_there_are_words_for_each_code() -> None:
    outcomes = re.findall(r"^  (\w+): {", words("OUTCOMES"), re.M)
    assert sorted(outcomes) == sorted(OutcomeKind)
    assert sorted(re.findall(r"^  (\w+): {", words("DECISIONS"), re.M)) == sorted(Decision)
    assert sorted(re.findall(r"(\w+): \"", words("DOORS"))) == sorted(Door)
    assert sorted(re.findall(r"^  (\w+): {", words("OUTAGES"), re.M)) == sorted(OutageKind)
    css = (ASSETS / "style.css").read_text()
    assert all(css.count(f"--of-{kind}:") == 2 for kind in outcomes)  # in both themes
