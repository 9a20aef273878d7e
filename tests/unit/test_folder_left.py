"""What was left in input by rules that have changed is looked at again."""

from __future__ import annotations

from pathlib import Path

from bridge.folder.left import LeftFiles
from bridge.folder.settle import Lasting

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
