"""What was left in input by rules that have changed is looked at again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.folder.left import LeftFiles
from bridge.folder.notes import Note, Why, format_note, parse_note
from bridge.folder.settle import Lasting, Look

FILE, OTHER = Lasting("a", 1, 1), Lasting("b", 1, 1)


def test_other_rules_forget_and_the_same_ones_do_not(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    left = LeftFiles(path, "old", 60)
    left.add(FILE, "1")
    assert not left.go_by("old")
    assert FILE in left
    assert left.go_by("new")
    assert FILE not in left
    assert left.save() == ["1"], "its note is not needed any more"
    left.add(OTHER, "2")
    assert left.save() == ["2"]
    assert OTHER in LeftFiles(path, "new", 60)
    assert OTHER not in LeftFiles(path, "old", 60)


def test_what_was_decided_by_the_old_rules_is_looked_at_again(tmp_path: Path) -> None:
    """Its case began before they changed, and has its record now."""
    left = LeftFiles(tmp_path / "left.json", "old", 60)
    left.go_by("new")
    left.add(FILE, "1", "old")
    left.add(OTHER, "2", "new")
    assert FILE not in left
    assert OTHER in left
    assert left.save() == ["1", "2"]


@pytest.mark.parametrize("rules", [None, "a mark"])
@pytest.mark.parametrize("mounted_on", ["", "/mnt/share"])
def test_a_note_is_read_again_also_one_without_rules(rules: str | None, mounted_on: str) -> None:
    note = Note("share", Look("a", 1, 2, 3, 4), Why.LEFT, "", rules, mounted_on)
    assert parse_note(format_note(note)) == note
    assert parse_note('["share", ["a", 1, 2, 3, 4], "left", ""]').rules is None


def test_a_note_of_a_local_folder_is_one_for_older_versions_as_well() -> None:
    note = Note("share", Look("a", 1, 2, 3, 4), Why.DELIVERED, "hash")
    assert format_note(note) == '["share", ["a", 1, 2, 3, 4], "delivered", "hash"]'


@pytest.mark.parametrize(
    "text", ['["share"]', '["s", [1], "left"]', '[1, [1, 2, 3, 4, 5], "x", ""]']
)
def test_what_is_no_note_is_no_fault(text: str) -> None:
    with pytest.raises(ValueError):
        parse_note(text)
