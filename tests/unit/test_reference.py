"""docs/configuration.md has each key of the settings as it is, and no page names another."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import pytest
import yaml
from pydantic import AfterValidator, BaseModel, Field

from bridge.core import load_config
from bridge.core.exclusions import Rule
from bridge.core.fields import Count, Duration, Size, at_least, between
from bridge.core.model import OutcomeKind
from bridge.core.reloading import RESTART_KEYS
from bridge.core.settings import Settings
from tests.reference.keys import Key, all_keys
from tests.reference.page import PAGE, PageError, filled
from tests.reference.values import default_of, limits_of
from tests.support.certificates import put_certificate

ROOT = PAGE.parents[1]
TEXT = PAGE.read_text()
KEYS = list(all_keys(Settings))
NAMES = {key.name for key in KEYS}
SECTIONS = {name[: dot.start()] for name in NAMES for dot in re.finditer(r"\.|\[", name)}
PAGES = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")]


def test_the_page_is_what_the_settings_say() -> None:
    assert filled(TEXT) == TEXT, "run `make docs`"


@pytest.mark.parametrize("key", KEYS, ids=[key.name for key in KEYS])
def test_a_key_says_what_it_means(key: Key) -> None:
    assert len(key.text) > 7, "write a text below it"
    assert key.text.endswith((".", "`"))
    assert key.text.count("`") % 2 == 0
    for choice in choices(key.field.annotation):
        assert f"`{choice}`" in key.text or default_of(key.field, "") == f"`{choice}`", choice


def choices(annotation: object) -> set[object]:
    if get_origin(annotation) is Literal:
        return {*get_args(annotation)}
    return set().union(*(choices(each) for each in get_args(annotation)))


@pytest.mark.parametrize("name", RESTART_KEYS)
def test_what_takes_a_restart_is_a_key(name: str) -> None:
    assert name in NAMES | SECTIONS
    rows = re.findall(rf"^\| `({re.escape(name)}(?:\.[^`]+)?)` \|.*$", TEXT, re.MULTILINE)
    assert rows
    assert all(
        re.search(rf"^\| `{re.escape(row)}` \| .* \| restart \| ", TEXT, re.M) for row in rows
    )


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_no_page_names_a_key_that_there_is_not(page: Path) -> None:
    sections = "|".join(name for name in Settings.model_fields)
    named = set(re.findall(rf"`((?:{sections})(?:\[\])?\.[\w.*]+)(?:: [^`]*)?`", page.read_text()))
    named = {name for name in named if not name.startswith("verdicts.db")}  # a file
    assert named <= NAMES | SECTIONS


class Inner(BaseModel):
    """A section that may be left out."""

    path: str
    """Where."""


class Example(BaseModel):
    """Keys of all looks."""

    time: Duration = 90
    """A time."""
    short: Annotated[Duration, AfterValidator(at_least(0.05, "50ms"))] = 0.25
    size: Annotated[Size, AfterValidator(between(1, 1 << 20, "1B to 1MiB"))] = 3 << 10
    """A size,
    over two lines."""
    count: Count | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 1
    on: bool = True
    lives: dict[OutcomeKind, Duration] = {OutcomeKind.DETECT: 7200}
    names: list[str] = ["*.part"]
    inner: Inner | None = None
    inners: list[Inner] = []


EXAMPLE = {key.name: key for key in all_keys(Example)}


@pytest.mark.parametrize(
    ("name", "default", "limits"),
    [
        ("time", "`90s`", ""),
        ("short", "`250ms`", "At least `50ms`."),
        ("size", "`3KiB`", "From `1B` to `1MiB`."),
        ("count", "none", ""),
        ("port", "1", "From 1 to 65535."),
        ("on", "`true`", ""),
        ("lives", "`{detect: 2h}`", ""),
        ("names", '`["*.part"]`', ""),
        ("inner.path", "needed in inner", ""),
        ("inners", "none", ""),
        ("inners[].path", "needed", ""),
    ],
)
def test_values_are_written_as_people_write_them(name: str, default: str, limits: str) -> None:
    key = EXAMPLE[name]
    assert default_of(key.field, key.needed_in) == default
    assert limits_of(key.field) == limits


def test_texts_are_those_below_the_keys() -> None:
    assert EXAMPLE["time"].text == "A time."
    assert EXAMPLE["short"].text == ""
    assert EXAMPLE["size"].text == "A size, over two lines."
    assert EXAMPLE["inner.path"].text == EXAMPLE["inners[].path"].text == "Where."
    assert set(EXAMPLE) == {*Example.model_fields} - {"inner"} | {"inner.path", "inners[].path"}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("<!-- keys: spool -->", "<!-- keys: logs.syslog -->", "no table of .* has spool.dir"),
        ("<!-- keys: spool -->", "<!-- keys: spool, spol -->", "a table of spol, and no key"),
        ("<!-- keys: spool -->", "<!-- keys: spool, icap -->", "a table of icap, and no key"),
    ],
)
def test_a_page_with_wrong_tables_is_refused(old: str, new: str, fault: str) -> None:
    with pytest.raises(PageError, match=fault):
        filled(TEXT.replace(old, new))


def test_what_is_written_into_a_table_by_hand_goes() -> None:
    row = "| `spool.min_free` | `1GiB` |"
    assert TEXT.count(row) == 1
    assert filled(TEXT.replace(row, "| `spool.min_free` | `2GiB` |")) == TEXT


def test_what_is_commented_in_the_file_to_start_from_is_good_too(tmp_path: Path) -> None:
    text = (ROOT / "conf" / "katabridge.yaml").read_text()
    text, count = re.subn(r"^( *)# ( *(?:[\w/]+:(?: |$)|- \{))", r"\1\2", text, flags=re.MULTILINE)
    assert count >= 8
    for name in ("client", "icapd"):
        put_certificate(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
    path = tmp_path / "katabridge.yaml"
    path.write_text(text.replace("token: …", "token: 0123456789abcdef"))
    settings = load_config(path)
    assert settings.notify is not None
    assert settings.exclusions
    for service in settings.icap.services.values():  # the comments show the defaults
        assert (
            service.hold_seconds == type(service)(method="REQMOD", mode=service.mode).hold_seconds
        )


def test_the_examples_of_exclusions_are_rules() -> None:
    block = TEXT.partition("    exclusions:\n")[2].partition("\n\n")[0]
    rules = [Rule.model_validate(each) for each in yaml.safe_load(block)]
    assert len(rules) >= 3
