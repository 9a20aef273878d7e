"""Where a path leads is looked at each time, and remembered while a share does not answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core import ConfigError, FolderSettings, StartError
from bridge.core.realpaths import RealPaths
from bridge.folder import usable
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site


class Share:
    """Below `folder` nothing answers between `hang` and `answer`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._below = f"{folder}/"
        self._answers = threading.Event()
        self._answers.set()
        self.asked: list[str] = []
        self._waiting: list[threading.Thread] = []
        for name in ("lstat", "open"):
            monkeypatch.setattr(os, name, self._slow(getattr(os, name)))

    def _slow(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: object, *arguments: Any, **options: Any) -> Any:
            if not self._answers.is_set() and f"{path}/".startswith(self._below):
                self.asked.append(str(path))
                self._waiting.append(threading.current_thread())
                self._answers.wait(30)
            return real(path, *arguments, **options)

        return call

    def hang(self) -> None:
        self._answers.clear()

    def answer(self) -> None:
        self._answers.set()
        for thread in self._waiting:
            thread.join(30)


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Share]:
    (tmp_path / "share").mkdir()
    share = Share(tmp_path / "share", monkeypatch)
    yield share
    share.answer()


def test_links_are_followed_as_they_are_now(tmp_path: Path) -> None:
    real = RealPaths()
    for name in ("a", "b", "a/inner"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    for name in ("a", "b", "a/inner"):
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / name)
        assert real.of(link) == tmp_path / name
    assert real.of(link / "..") == tmp_path / "a"
    link.unlink()
    link.symlink_to(link)
    assert real.of(link) == link


def test_what_hangs_leads_where_it_led(tmp_path: Path, share: Share) -> None:
    real = RealPaths(patience=0.05)
    place, link, new = (tmp_path / "share" / name for name in ("place", "link", "new"))
    place.mkdir()
    link.symlink_to(place)
    assert real.of(link) == place
    share.hang()
    for _ in range(3):
        assert real.of(link) == place
        assert real.of(new / ".." / "new") == new
    # each has one thread that waits, not one for each time that somebody asks
    assert share.asked == [str(tmp_path / "share")] * 2
    assert real.of(tmp_path) == tmp_path
    share.answer()
    link.unlink()
    link.symlink_to(new)
    assert real.of(link) == new


@pytest.fixture
def plain(tmp_path: Path) -> Site:
    put_certificate(tmp_path / "kata.pem", tmp_path / "kata.key")
    return Site(tmp_path / "site", "https://127.0.0.1:9443", tmp_path / "kata.pem")


def test_a_share_that_hangs_keeps_no_configuration_from_being_read(
    plain: Site, share: Share, tmp_path: Path
) -> None:
    """And what is checked of its folder is checked by where that led before."""
    (tmp_path / "share" / "link").symlink_to(plain.directory / "out")
    plain.folder["input"] = str(tmp_path / "share")
    plain.settings()
    plain.changes = {"folders": [{**plain.folder, "input": str(tmp_path / "share" / "link")}]}
    different = "input, output and quarantine must be three different folders"
    with pytest.raises(ConfigError, match=different):
        plain.settings()
    share.hang()
    with pytest.raises(ConfigError, match=different):
        plain.settings()
    plain.changes = {"policy": {"oversize": "pass"}}
    assert str(plain.settings().folders[0].input) == str(tmp_path / "share")


def test_a_share_that_hangs_is_waited_for_and_the_rest_is_checked(
    tmp_path: Path, share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usable, "PATIENCE_SECONDS", 0.5)
    for name in ("out", "q"):
        (tmp_path / name).mkdir()

    def folder(place: Path) -> FolderSettings:
        data = {"name": place.name, "input": place, "output": "out", "quarantine": "q"}
        return FolderSettings.model_validate(
            {key: str(value) for key, value in data.items()}, context={"base": tmp_path}
        )

    hanging, missing = folder(tmp_path / "share"), folder(tmp_path / "missing")
    share.hang()
    usable.check_usable([hanging])
    with pytest.raises(StartError, match="missing is no folder"):
        usable.check_usable([hanging, missing])
