"""The documentation says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.core import RESTART_KEYS, Door, load_config
from bridge.core.model import OutcomeKind
from bridge.core.policy import door_policy
from tests.support.certificates import put_certificate

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


def test_the_policy_table_is_the_shipped_policy() -> None:
    icap, folder = (door_policy(door, {}, {}) for door in (Door.ICAP, Door.FOLDER))
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\S+) \| (\S+) \|$", CONFIGURATION, re.MULTILINE)
    written = {kind: (one.strip("*"), two) for kind, one, two in rows if kind in set(OutcomeKind)}
    assert written == {kind: (icap[kind], folder[kind]) for kind in OutcomeKind}


def test_the_file_to_start_from_is_good(tmp_path: Path) -> None:
    path = tmp_path / "katabridge.yaml"
    path.write_text((ROOT / "conf" / "katabridge.yaml").read_text())
    put_certificate(tmp_path / "client.pem", tmp_path / "client.key")
    assert load_config(path).folders[0].name == "share"


def test_every_link_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")]
    assert len(pages) >= 5
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_link_to_a_heading_finds_it() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")]
    for page in pages:
        for target, place in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
            there = (page.parent / target if target else page).read_text()
            headings = re.findall(r"^#+ (.+)$", there, re.MULTILINE)
            places = {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings}
            assert place in places, f"{page.name} links to {target}#{place}"


def test_the_readmes_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z-]+)\b", (ROOT / "README.md").read_text())):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_dependencies_have_a_range_and_a_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    runtime = text.partition("dependencies = [")[2].partition("]\n")[0].strip().splitlines()
    assert len(runtime) >= 6
    for line in runtime:
        assert re.search(r">=[\d.]+,<\d", line), line
        assert "#" in line, line


def test_what_takes_a_restart_is_what_is_said_to() -> None:
    page = (ROOT / "docs" / "reload.md").read_text()
    table = page.partition("## What takes a restart")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"`([a-z_.]+)`", table)) == sorted(RESTART_KEYS)
