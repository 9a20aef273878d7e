"""A request for a capture: who may make one, when it counts, and what it leaves behind."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bridge.core import (
    CaptureError,
    CapturePart,
    CaptureRequest,
    CaptureState,
    begin_capture,
    capture_states,
    captured_bytes,
    read_capture,
    remove_leftovers,
)

MIB = 1 << 20


def request(seconds: float = 60.0) -> CaptureRequest:
    return CaptureRequest(time.time() + seconds, MIB, 100, "10.0.0.0/8", "a.exe")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_request_counts_as_long_as_somebody_holds_it(tmp_path: Path) -> None:
    wanted = request()
    switch = begin_capture(tmp_path, wanted)
    assert names(tmp_path) == ["capture.json"]
    assert (tmp_path / "capture.json").stat().st_mode & 0o777 == 0o600
    assert read_capture(tmp_path) == wanted
    switch.end()
    ended = read_capture(tmp_path)
    assert ended is not None
    assert (ended.id, ended.until) == (wanted.id, 0.0)
    switch.close()
    switch.close()
    assert names(tmp_path) == []
    assert read_capture(tmp_path) is None


def test_whoever_reads_at_any_moment_of_its_end_finds_a_whole_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not understood counts as none, and takes what was captured away."""
    switch, seen = begin_capture(tmp_path, request()), []

    def seen_after(call: str) -> None:
        real = getattr(os, call)

        def work(*arguments: Any) -> Any:
            result = real(*arguments)
            with monkeypatch.context() as patch:
                patch.setattr(os, call, real)
                seen.append(read_capture(tmp_path))
            return result

        monkeypatch.setattr(os, call, work)

    seen_after("pwrite")
    seen_after("ftruncate")
    switch.end()
    assert [each.until for each in seen if each is not None] == [0.0] * len(seen)
    assert seen
    switch.close()


def test_a_second_one_is_refused(tmp_path: Path) -> None:
    first = begin_capture(tmp_path, request())
    with pytest.raises(CaptureError, match="another capture is under way"):
        begin_capture(tmp_path, request())
    assert names(tmp_path) == ["capture.json"]
    assert read_capture(tmp_path) == first.request
    first.close()


def abandon(folder: Path, wanted: CaptureRequest) -> None:
    """As a command does that is killed: its lock is gone, its file is not."""
    switch = begin_capture(folder, wanted)
    os.close(switch._descriptor)
    for name in ("a-1.part", "a-1.state", "b-2.part"):
        (folder / f"capture-{wanted.id}-{name}").touch()
    (folder / "capture-0123-a-1.part").touch()


def test_what_a_killed_command_left_is_removed_by_whoever_sees_it(tmp_path: Path) -> None:
    abandon(tmp_path, request())
    assert read_capture(tmp_path) is None
    assert names(tmp_path) == ["capture-0123-a-1.part"]
    abandon(tmp_path, request())
    second = begin_capture(tmp_path, request())
    assert names(tmp_path) == ["capture-0123-a-1.part", "capture.json"]
    second.close()


def test_a_start_removes_what_no_capture_waits_for(tmp_path: Path) -> None:
    switch = begin_capture(tmp_path, request())
    kept = f"capture-{switch.request.id}-a-1.part"
    for name in (kept, "capture-0123-a-1.part", "capture-0123-a-1.state", "capture-45.new"):
        (tmp_path / name).touch()
    (tmp_path / "capture-44.new").touch()
    os.utime(tmp_path / "capture-44.new", (1, 1))
    (tmp_path / "gw.icap.0.journal").touch()
    remove_leftovers(tmp_path)
    left = [kept, "capture-45.new", "capture.json", "gw.icap.0.journal"]
    assert names(tmp_path) == sorted(left)
    switch.close()
    assert names(tmp_path) == ["capture-45.new", "gw.icap.0.journal"]


def test_a_start_leaves_a_capture_alone_that_begins_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[CapturePart] = []

    def begins(folder: Path) -> None:
        """Of what was asked for after the start had looked."""
        parts.append(CapturePart(folder, "77", "gw.icap.1"))

    monkeypatch.setattr("bridge.core.capture.request.read_capture", begins)
    remove_leftovers(tmp_path)
    assert len(names(tmp_path)) == 2
    parts[0].close()


WRONG: dict[str, Any] = {
    "no JSON": b"{",
    "no object": b"[]",
    "a key is missing": {"url": ...},
    "a key too many": {"user": "x"},
    "an id that is a path": {"id": "../../x"},
    "an id that is none": {"id": 5},
    "a time that is none": {"until": "now"},
    "a time far ahead": {"until": 1e12},
    "no size": {"max_bytes": -1},
    "a size that is none": {"bodies": 1.5},
    "no network": {"client": "10.0.0.0/33"},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_request_that_is_not_understood_asks_for_nothing(tmp_path: Path, wrong: Any) -> None:
    switch = begin_capture(tmp_path, request())
    text = wrong
    if isinstance(wrong, dict):
        changed = {**asdict(switch.request), **wrong}
        text = json.dumps({k: v for k, v in changed.items() if v is not ...}).encode()
    (tmp_path / "capture.json").write_bytes(text)
    with pytest.raises(CaptureError, match="is damaged"):
        read_capture(tmp_path)
    switch.close()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "capture.json").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CaptureError, match="cannot be read"):
        read_capture(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"spool\.dir\) does not exist"):
        begin_capture(tmp_path / "none", request())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_asks_for_can_be_read_by_whom_the_spool_belongs_to(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1235)
    switch = begin_capture(tmp_path, request())
    owner = (tmp_path / "capture.json").stat()
    assert (owner.st_uid, owner.st_gid) == (1234, 1235)
    switch.close()


def test_each_process_has_files_of_its_own_that_only_it_may_read(tmp_path: Path) -> None:
    parts = [CapturePart(tmp_path, "77", f"gw.icap.{number}") for number in range(2)]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    parts[0].write(b"x" * 10)
    parts[1].write(b"y" * 20)
    assert parts[0].size_of_all() == captured_bytes(tmp_path, "77") == 30
    long = "\N{CYRILLIC SMALL LETTER A}" * 5000
    assert capture_states(tmp_path, "77") == [], "they do not hear yet"
    parts[0].tell(CaptureState())
    parts[1].tell(CaptureState(5, long, is_fault=True))
    states = capture_states(tmp_path, "77")
    assert states == [CaptureState(), CaptureState(5, long[:300], is_fault=True)]
    for part, removes in zip(parts, (False, True), strict=True):
        part.close(remove=removes)
    assert len(names(tmp_path)) == 2


def test_a_state_that_is_just_being_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "capture-77-a-1.state").write_bytes(b"")
    assert capture_states(tmp_path, "77") == []
