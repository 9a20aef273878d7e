"""Where files are looked for and how they are named: links, folders, names that are taken."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.folder import rename
from bridge.folder.conflict import Conflict, Content, numbered, settle_name
from bridge.folder.listing import DEEPEST, ignoring, list_input
from bridge.folder.places import folder, remove_empty
from bridge.folder.rename import rename_new
from tests.support.folders import sha256


def nothing(_: str) -> bool:
    return False


def paths(root: Path, *, recursive: bool = True, ignored: list[str] | None = None) -> list[str]:
    listing = list_input(root, recursive=recursive, ignored=ignoring(ignored or []))
    return sorted(look.path for look in listing.looks)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


# -- folders ---------------------------------------------------------------------------------------


def test_a_link_below_the_root_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    for make in (None, 0o700):
        words = "is a link or a file, not a folder"
        with pytest.raises(OSError, match=words) as caught, folder(root, ["link"], make=make):
            pass
        assert caught.value.filename == str(root / "link")
    with pytest.raises(OSError, match="is a link or a file"), folder(root, ["link", "deeper"]):
        pass


def test_a_root_that_is_a_link_is_the_administrators_word(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    with folder(tmp_path / "root", ["a", "b"], make=0o700):
        pass
    assert (tmp_path / "real" / "a" / "b").is_dir()


def test_a_root_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), folder(tmp_path / "away", ["a"], make=0o700):
        pass
    assert list(tmp_path.iterdir()) == []


def test_emptied_folders_go_but_not_those_to_keep(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "a" / "b" / "other").touch()
    remove_empty(tmp_path, ["a", "b", "c"], 0)
    assert sorted(os.listdir(tmp_path / "a" / "b")) == ["other"]  # noqa: PTH208
    (tmp_path / "a" / "b" / "other").unlink()
    remove_empty(tmp_path, ["a", "b"], 1)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


# -- listing ---------------------------------------------------------------------------------------


def test_what_is_no_file_of_somebodys_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / ".katabridge").mkdir()
    (tmp_path / ".katabridge" / "claimed").touch()
    (tmp_path / ".katabridge-x.part").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(os.path.relpath(tmp_path / "s"))
        assert paths(tmp_path) == ["a", "sub/b"]
        assert paths(tmp_path, recursive=False) == ["a"]


def deep(tmp_path: Path, depth: int) -> str:
    """A file that many folders deep; its path, which no system call takes whole."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 60, dir_fd=here)
        here, above = os.open("d" * 60, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(os.open("a", os.O_CREAT, dir_fd=here))
    os.close(here)
    return "/".join([*["d" * 60] * depth, "a"])


def test_deep_folders_are_listed(tmp_path: Path) -> None:
    path = deep(tmp_path, DEEPEST)
    assert paths(tmp_path) == [path]


def test_a_tree_without_end_takes_no_time_without_end(tmp_path: Path) -> None:
    deep(tmp_path, DEEPEST + 5)
    (tmp_path / "b").touch()
    listing = list_input(tmp_path, recursive=True, ignored=nothing)
    assert [look.path for look in listing.looks] == ["b"]
    assert list(listing.left_out.values()) == [f"lies more than {DEEPEST} folders deep"]


@pytest.mark.parametrize(
    "name",
    ["~$report.docx", "x.part", "X.PART", "movie.mp4.crdownload", ".~lock.a.odt#", "a.filepart"],
)
def test_temporary_names_are_not_listed(tmp_path: Path, name: str) -> None:
    from bridge.core.settings.folders import TEMPORARY

    (tmp_path / name).touch()
    (tmp_path / "a.docx").touch()
    assert paths(tmp_path, ignored=TEMPORARY) == ["a.docx"]
    assert paths(tmp_path) == sorted(["a.docx", name])


def test_brackets_in_a_mask_are_themselves(tmp_path: Path) -> None:
    for name in ("[tmp]a", "ta", "a.b"):
        (tmp_path / name).touch()
    assert paths(tmp_path, ignored=["[tmp]*"]) == ["a.b", "ta"]
    assert paths(tmp_path, ignored=["?a"]) == ["[tmp]a", "a.b"]


def test_a_file_system_inside_the_input_is_left_out(tmp_path: Path) -> None:
    for name in ("a", "bound"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    listing = list_input(tmp_path, recursive=True, ignored=nothing, mounted={"bound"})
    assert [look.path for look in listing.looks] == ["a/file"]
    assert listing.left_out == {"bound": "is another file system: give it a folder of its own"}


def test_our_own_name_in_other_capitals_is_ours(tmp_path: Path) -> None:
    (tmp_path / ".KataBridge").mkdir()
    (tmp_path / ".KataBridge" / "file").touch()
    assert paths(tmp_path) == []


def test_a_folder_that_cannot_be_opened_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "shut"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    real = os.open

    def refuse(path: str, *arguments: object, **more: object) -> int:
        if path == "shut":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    listing = list_input(tmp_path, recursive=True, ignored=nothing)
    assert [look.path for look in listing.looks] == ["a/file"]
    assert listing.left_out == {"shut": "cannot be read: Permission denied"}


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("a.txt", 1, "a.txt"),
        ("a.txt", 2, "a (2).txt"),
        ("a", 12, "a (12)"),
        (".profile", 2, ".profile (2)"),
        ("a.tar.gz", 2, "a.tar (2).gz"),
        ("a." + "x" * 30, 2, "a." + "x" * 30 + " (2)"),
        ("x" * 255, 2, "x" * 251 + " (2)"),
        ("x" * 251 + ".txt", 2, "x" * 247 + " (2).txt"),
    ],
)
def test_numbers_in_names(name: str, number: int, expected: str) -> None:
    assert numbered(name, number) == expected


@pytest.mark.parametrize("name", ["ы" * 127, "ы" * 120 + ".документ", os.fsdecode(b"\xe9" * 255)])
def test_a_number_never_makes_a_name_too_long_or_half_a_character(name: str) -> None:
    made = os.fsencode(numbered(name, 999))
    assert len(made) <= 255
    if b"\xe9" * 9 not in made:
        made.decode()


def place(tmp_path: Path, here: int, name: str, rule: Conflict, data: bytes = b"new") -> str:
    (tmp_path / "draft").write_bytes(data)
    return settle_name(here, "draft", name, rule, Content(sha256(data), len(data)))[0]


def found(tmp_path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}


@pytest.mark.parametrize("rule", list(Conflict))
def test_a_free_name_is_given(tmp_path: Path, here: int, rule: Conflict) -> None:
    assert place(tmp_path, here, "a", rule) == "a"
    assert found(tmp_path) == {"a": b"new"}


def test_replace(tmp_path: Path, here: int) -> None:
    (tmp_path / "a").write_bytes(b"old")
    assert place(tmp_path, here, "a", Conflict.REPLACE) == "a"
    assert found(tmp_path) == {"a": b"new"}


def test_rename_leaves_what_is_there(tmp_path: Path, here: int) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a (2)").mkdir()
    assert place(tmp_path, here, "a", Conflict.RENAME) == "a (3)"
    assert found(tmp_path) == {"a": b"old", "a (3)": b"new"}


def test_keep_both_moves_what_is_there_aside(tmp_path: Path, here: int) -> None:
    (tmp_path / "a.txt").write_bytes(b"old")
    (tmp_path / "a (2).txt").write_bytes(b"older")
    assert place(tmp_path, here, "a.txt", Conflict.KEEP_BOTH) == "a.txt"
    assert found(tmp_path) == {"a.txt": b"new", "a (2).txt": b"older", "a (3).txt": b"old"}


@pytest.mark.parametrize("rule", [Conflict.RENAME, Conflict.KEEP_BOTH])
def test_a_delivery_that_is_repeated_leaves_no_second_file(
    tmp_path: Path, here: int, rule: Conflict
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    first = place(tmp_path, here, "a", rule)
    before = found(tmp_path)
    assert place(tmp_path, here, "a", rule) == first
    assert found(tmp_path) == before


@pytest.mark.parametrize("rule", list(Conflict))
def test_a_link_that_waits_there_is_not_written_through(
    tmp_path: Path, here: int, rule: Conflict
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"new")
    (tmp_path / "a").symlink_to(victim)
    name = place(tmp_path, here, "a", rule)
    assert not (tmp_path / name).is_symlink()
    assert (tmp_path / name).read_bytes() == victim.read_bytes() == b"new"
    assert (tmp_path / name).stat().st_ino != victim.stat().st_ino


@pytest.mark.parametrize("what", ["folder", "link"])
def test_keep_both_moves_no_folder_and_no_link_aside(tmp_path: Path, here: int, what: str) -> None:
    if what == "folder":
        (tmp_path / "a").mkdir()
    else:
        (tmp_path / "a").symlink_to("nowhere")
    assert place(tmp_path, here, "a", Conflict.KEEP_BOTH) == "a (2)"
    assert os.path.lexists(tmp_path / "a")


def test_a_name_that_is_taken_very_often_is_still_given(tmp_path: Path, here: int) -> None:
    for number in range(60):
        place(tmp_path, here, "a.txt", Conflict.RENAME, b"%d" % number)
    assert sorted(found(tmp_path).values(), key=int) == [b"%d" % n for n in range(60)]


# -- a rename that replaces nothing ----------------------------------------------------------------


def without(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    """As file systems are that lack the flag of renameat2, and hard links, too."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EINVAL if len(kinds) == 1 else errno.EPERM, "planted")

    def no_flag(*_: object) -> None:
        raise OSError(errno.EINVAL, "planted")

    monkeypatch.setattr(rename, "_renameat2", no_flag)
    if "links" in kinds:
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.parametrize("lacks", [(), ("flag",), ("flag", "links")], ids=["all", "nfs", "vfat"])
def test_a_rename_that_replaces_nothing(
    tmp_path: Path, here: int, monkeypatch: pytest.MonkeyPatch, lacks: tuple[str, ...]
) -> None:
    if lacks:
        without(monkeypatch, *lacks)
    (tmp_path / "a").write_bytes(b"a")
    rename_new("a", "b", above=here, below=here)
    assert found(tmp_path) == {"b": b"a"}
    (tmp_path / "a").write_bytes(b"other")
    with pytest.raises(FileExistsError):
        rename_new("a", "b", above=here, below=here)
    assert found(tmp_path) == {"a": b"other", "b": b"a"}
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        rename_new("a", "dangling", above=here, below=here)


def test_a_fault_of_the_disk_is_not_taken_for_a_lack(
    tmp_path: Path, here: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rename, "_renameat2", full)
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="No space left"):
        rename_new("a", "b", above=here, below=here)
    assert list(found(tmp_path)) == ["a"]
