"""The pages for proxies and shares name what there is, and say the same in both languages."""

from __future__ import annotations

import argparse
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.cli import _parser
from bridge.core.model import Decision, Mode, OutcomeKind, Source
from bridge.core.settings import Settings
from tests.support.markdown import Page

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DEVICES = {"usergate", "checkpoint", "kontinent", "fortigate"}  # that nobody here has had
PROXIES = DEVICES | {"squid", "c-icap-client", "samba"}
RUSSIAN = sorted(path for path in ROOT.glob("**/README.ru.md") if ".venv" not in path.parts)
PAGES = sorted({path.with_name("README.md") for path in RUSSIAN} | set(RUSSIAN))
KEY = rf"(?:{'|'.join(Settings.model_fields)})(?:\[\])?\.[a-z_.*]+"
# all of them: another test holds that page against the settings
KEYS = set(re.findall(rf"`({KEY})`", (ROOT / "docs" / "configuration.md").read_text()))
# a line of the service log as `Services.log_verdict` writes it
VERDICT = re.compile(
    rf"\S+ info (?:{'|'.join(mode.value for mode in Mode)}) mode: "
    rf"verdict (?:{'|'.join(OutcomeKind)}) \((?:{'|'.join(Source)})\), (?:{'|'.join(Decision)}), "
    r"case [a-z0-9]{16}, ICAP av/(?:reqmod|respmod), proxy \S+, client \S+, "
    r"user [^,]+, \S+ \S+(?:, .+)?"
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def english(path: Path) -> Page:
    return Page.of(path.with_name("README.md"))


# -- two languages -------------------------------------------------------------------------------


def test_every_proxy_has_a_page_in_both_languages() -> None:
    wanted = {EXAMPLES / proxy / "README.ru.md" for proxy in PROXIES}
    assert wanted <= set(RUSSIAN)
    for path in PAGES:
        twin = "README.md" if path.name == "README.ru.md" else "README.ru.md"
        assert twin in Page.of(path).links, f"{name(path)} does not lead to {twin}"


@pytest.mark.parametrize("path", RUSSIAN, ids=name)
def test_both_languages_have_the_same_parts(path: Path) -> None:
    here, there = Page.of(path), english(path)
    assert [level for level, _ in here.headings] == [level for level, _ in there.headings]
    assert here.code == there.code
    assert here.rows == there.rows


@pytest.mark.parametrize("path", RUSSIAN, ids=name)
def test_both_languages_name_the_same_things(path: Path) -> None:
    here, there = Page.of(path), english(path)
    assert differing(here.spans, there.spans) == set()
    assert differing(here.numbers, there.numbers) == set()
    assert differing(Counter(targets(here)), Counter(targets(there))) == set()


@pytest.mark.parametrize("path", RUSSIAN, ids=name)
def test_the_russian_page_is_in_russian(path: Path) -> None:
    prose = re.sub(r"`[^`]*`", "", Page.of(path).prose)
    assert len(re.findall("[а-яё]", prose)) > len(re.findall("[a-z]", prose))


def differing(one: Counter[str], other: Counter[str]) -> set[str]:
    return set((one - other) + (other - one))


def targets(page: Page) -> Iterator[str]:
    """Where links lead to, in whatever language, without the way to the other language."""
    for link in page.links:
        file = link.partition("#")[0].replace("README.ru.md", "README.md")
        if file != "README.md":
            yield file


# -- what is named exists --------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_link_leads_to_a_heading(path: Path) -> None:
    page = Page.of(path)
    for link in page.links:
        file, _, fragment = link.partition("#")
        if fragment and "://" not in link:
            target = Page.of(path.parent / file) if file else page
            assert fragment in target.anchors, f"{name(path)} links to {link}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_key_exists(path: Path) -> None:
    page = Page.of(path)
    found = set()
    for span in page.spans:
        key = re.sub(r"[: ].*$", "", span)
        if re.fullmatch(KEY, key):
            found.add(key)
    for block in page.blocks("# katabridge.yaml"):
        found |= set(named(yaml.safe_load(block)))
    wrong = {key for key in found if not any(k == key or k.startswith(f"{key}.") for k in KEYS)}
    assert wrong == set(), f"{name(path)} names keys that there are not"


def named(value: Any, prefix: str = "") -> Iterator[str]:
    """The keys of a piece of configuration as the documentation writes them."""
    if isinstance(value, list):
        for each in value:
            if isinstance(each, dict):
                yield from named(each, f"{prefix[:-1]}[].")
    elif isinstance(value, dict):
        for key, inner in value.items():
            own = "*" if prefix == "icap.services." else key
            below = (f"{prefix}{own}.", f"{prefix}{own}[]")
            if isinstance(inner, dict | list) and any(k.startswith(below) for k in KEYS):
                yield from named(inner, f"{prefix}{own}.")
            else:
                yield f"{prefix}{own}"


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_command_is_taken(path: Path) -> None:
    page = Page.of(path)
    for line in [*page.code, *page.spans]:
        found = re.match(r"(?:sudo -u \w+ )?(?:\S*/)?kata-bridge ([a-z-]+)( .*)?$", line)
        if found is None:
            continue
        parser = commands().get(found[1])
        assert parser is not None, f"{name(path)}: there is no kata-bridge {found[1]}"
        words = shlex.split((found[2] or "").partition(" | ")[0])
        for word in words:
            if word.startswith("--"):
                assert word in options(parser), f"{name(path)}: kata-bridge {found[1]} {word}"


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands."""
    (action,) = (a for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Its options and those of what stands below it."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found |= options(below)
    return found


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_lines_of_the_log_are_as_the_log_has_them(path: Path) -> None:
    for line in Page.of(path).code:
        if " mode: verdict " in line and not line.startswith("grep"):
            assert VERDICT.fullmatch(line), f"{name(path)}: {line}"


# -- what nobody has seen --------------------------------------------------------------------------


@pytest.mark.parametrize("device", sorted(DEVICES))
def test_who_had_no_device_says_so_first(device: str) -> None:
    page = Page.of(EXAMPLES / device / "README.md")
    before_settings = page.text.partition("\n## ")[0]
    assert re.search(r"\*\*No real .+ was at hand", before_settings)
    assert page.headings[-1] == (2, "Unconfirmed")


@pytest.mark.parametrize("device", sorted(DEVICES))
def test_nothing_that_only_this_machine_reaches_is_to_be_tried_with_a_device(device: str) -> None:
    for page in (EXAMPLES / device / "README.md", EXAMPLES / device / "README.ru.md"):
        assert "`make run`" not in page.read_text()


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_what_the_account_of_the_service_writes_goes_where_it_may(path: Path) -> None:
    for line in Page.of(path).code:
        output = re.search(r"sudo -u katabridge .*--output (\S+)", line)
        assert output is None or output[1].startswith("/tmp/"), f"{name(path)}: {line}"
