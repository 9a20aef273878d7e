"""One value changes, every other byte stays, and what cannot be edited safely is refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.configedit import EditError, set_value, write_atomically

PIN = ("kata", "server_fingerprint")
NEW = "sha256:" + "ab" * 32
LINE = f'server_fingerprint: "{NEW}"'

GOOD = {
    "changed, with the comment behind it": (
        "# head\nkata:\n  urls: [a]\n  server_fingerprint: old   # why\n  # end\nicap: {}\n",
        f"# head\nkata:\n  urls: [a]\n  {LINE}   # why\n  # end\nicap: {{}}\n",
    ),
    "changed, in quotes before": (
        "kata:\n  server_fingerprint: 'o''ld'\n",
        f"kata:\n  {LINE}\n",
    ),
    "changed, on two lines before": (
        "kata:\n  server_fingerprint: a\n    b\n  node: x\n",
        f"kata:\n  {LINE}\n  node: x\n",
    ),
    "empty before": ("kata:\n  server_fingerprint:\n", f"kata:\n  {LINE}\n"),
    "empty before, with a comment": (
        "kata:\n  server_fingerprint:   # none\n  node: x\n",
        f"kata:\n  {LINE}   # none\n  node: x\n",
    ),
    "added behind the last key, before comments and the next section": (
        "kata:\n    urls: [a]   # one\n    node: x\n\n# the door\nicap: {}\n",
        f"kata:\n    urls: [a]   # one\n    node: x\n    {LINE}\n\n# the door\nicap: {{}}\n",
    ),
    "added behind a nested block": (
        "kata:\n  urls:\n  - a\n  - b  # two\nicap: {}\n",
        f"kata:\n  urls:\n  - a\n  - b  # two\n  {LINE}\nicap: {{}}\n",
    ),
    "added behind an indented list, before comments": (
        "kata:\n  urls:\n    - a  # one\n\n# the door\nicap: {}\n",
        f"kata:\n  urls:\n    - a  # one\n  {LINE}\n\n# the door\nicap: {{}}\n",
    ),
    "added behind a block scalar": (
        "kata:\n  note: |\n    a\n    b\nicap: {}\n",
        f"kata:\n  note: |\n    a\n    b\n  {LINE}\nicap: {{}}\n",
    ),
    "added behind an empty value": (
        "kata:\n  node:  # x\nicap: {}\n",
        f"kata:\n  node:  # x\n  {LINE}\nicap: {{}}\n",
    ),
    "no line end at the end": ("kata:\n  node: x", f"kata:\n  node: x\n  {LINE}"),
    "CRLF": (
        "kata:\r\n  node: x\r\nicap: {}\r\n",
        f"kata:\r\n  node: x\r\n  {LINE}\r\nicap: {{}}\r\n",
    ),
    "CRLF, changed": (
        "a: 1\r\nkata:\r\n  server_fingerprint: x\r\n",
        f"a: 1\r\nkata:\r\n  {LINE}\r\n",
    ),
    "CRLF, section absent, no end": ("a: 1\r\nb: 2", f"a: 1\r\nb: 2\r\nkata:\r\n  {LINE}"),
    "section absent": ("icap: {}\n# end\n", f"icap: {{}}\n# end\nkata:\n  {LINE}\n"),
    "section empty": ("kata:  # later\nicap: {}\n", f"kata:  # later\n  {LINE}\nicap: {{}}\n"),
    "section empty at the end": ("icap: {}\nkata:", f"icap: {{}}\nkata:\n  {LINE}"),
    "file empty": ("", f"kata:\n  {LINE}\n"),
    "comments only": ("# nothing\n", f"# nothing\nkata:\n  {LINE}\n"),
    "all indented": ("  a: 1\n  kata:\n   node: x\n", f"  a: 1\n  kata:\n   node: x\n   {LINE}\n"),
    "an accent before it": ("a: é😀\nkata:\n  server_fingerprint: x # é\n",
                            f"a: é😀\nkata:\n  {LINE} # é\n"),
    "a byte order mark": ("\ufeffkata:\n  server_fingerprint: x\n", f"\ufeffkata:\n  {LINE}\n"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), GOOD.values(), ids=GOOD.keys())
def test_one_value_changes(text: str, expected: str) -> None:
    assert set_value(text, PIN, NEW) == expected


@pytest.mark.parametrize("text", [text for text, _ in GOOD.values()], ids=GOOD.keys())
def test_the_second_time_changes_nothing(text: str) -> None:
    once = set_value(text, PIN, NEW)
    assert set_value(once, PIN, NEW) is once


BAD = {
    "a flow mapping": ("a: 1\nkata: {node: x}\n", 2),
    "an empty flow mapping": ("kata: {}\n", 1),
    "a file in braces": ("{kata: {}}\n", 1),
    "a list": ("- kata\n", 1),
    "a section that is a word": ("kata: yes\n", 1),
    "a section that says null": ("kata: null\n", 1),
    "a value that is a list": ("kata:\n  server_fingerprint: [a]\n", 2),
    "a block scalar": ("kata:\n  server_fingerprint: |\n    a\n", 2),
    "a key that stands twice": ("kata:\n  server_fingerprint: a\n  server_fingerprint: b\n", 3),
    "an alias that shares the section": ("x: &k\n  node: x\nkata: *k\n", 3),
    "an anchor that others use": ("kata:\n  server_fingerprint: &f a\nx: *f\n", 2),
    "an end mark behind which nothing may stand": ("a: 1\n...\n", 3),
    "no YAML": ("a: 1\nkata: [\n", 3),
    "a sign beyond all numbers": ('x: "\\UFFFFFFFF"\n', 1),
    "no date": ("x: 2026-13-45\n", 1),
    "nested without end": ("x: " + "[" * 3000, 1),
    "two documents": ("a: 1\n---\nb: 1\n", 2),
}


@pytest.mark.parametrize(("text", "line"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_edited_names_the_line_to_write(text: str, line: int) -> None:
    with pytest.raises(EditError) as caught:
        set_value(text, PIN, NEW)
    assert f"write `{LINE}` under kata there by hand" in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("client.pem", "client.pem"),
        ("4f6dbb4e-0000-4000-8000-000000000000", "4f6dbb4e-0000-4000-8000-000000000000"),
        ("123", '"123"'),
        ("1e5", "1e5"),
        ("yes", '"yes"'),
        ("~", '"~"'),
        ("", '""'),
        ("a #b: c", '"a #b: c"'),
        ('"\\\n', '"\\"\\\\\\n"'),
        ("x" * 300 + " y", f'"{"x" * 300} y"'),
    ],
)
def test_a_value_is_quoted_where_it_must_be(value: str, written: str) -> None:
    assert set_value("", ("a",), value) == f"a: {written}\n"


KEYS = st.sampled_from(["kata", "node", "server_fingerprint", "a", "b c", "é"])
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=12)
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(
    data=st.dictionaries(KEYS, TREES, min_size=1, max_size=5),
    indent=st.integers(2, 6),
    newline=st.sampled_from(["\n", "\r\n"]),
    cut=st.booleans(),
    value=st.text(max_size=40),
)
def test_the_new_text_says_the_old_data_with_that_one_change(
    data: dict[str, Any], indent: int, newline: str, cut: bool, value: str
) -> None:
    text = yaml.safe_dump(data, indent=indent, default_flow_style=False, allow_unicode=True)
    text = "\n".join(f"{line}  # c" if line.endswith(":") else line for line in text.split("\n"))
    text = text.replace("\n", newline)
    if cut:
        text = text.removesuffix(newline)
    before = yaml.safe_load(text)
    try:
        changed = set_value(text, PIN, value)
    except EditError:
        section = before.get("kata")
        editable = section is None or (isinstance(section, dict) and section)
        if editable and isinstance((section or {}).get(PIN[1], ""), str):
            assert "kata: null" in text or "|" in text or ">" in text or "{}" in text
        return
    section = before["kata"] if before.get("kata") else {}
    assert yaml.safe_load(changed) == {**before, "kata": {**section, PIN[1]: value}}


def test_writing_keeps_mode_and_link_and_leaves_no_draft(tmp_path: Path) -> None:
    path, link = tmp_path / "a" / "real.yaml", tmp_path / "link.yaml"
    path.parent.mkdir()
    path.write_bytes(b"old\r\n")
    path.chmod(0o604)
    link.symlink_to(path)
    inode = path.stat().st_ino
    write_atomically(link, "new\r\n")
    assert path.read_bytes() == b"new\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o604
    assert path.stat().st_ino != inode, "it was written in place: a crash would leave a half"
    assert link.is_symlink()
    assert os.listdir(path.parent) == ["real.yaml"]  # noqa: PTH208 - names, not paths


def test_writing_keeps_the_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    write_atomically(path, "ours")
    assert given == []
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    write_atomically(path, "somebody else's")
    assert given == [(path.stat().st_uid, path.stat().st_gid)]


def test_a_write_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.yaml"]  # noqa: PTH208 - names, not paths
