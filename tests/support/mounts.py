"""File systems that a test mounts, where that is allowed, and that are gone after it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Self

import pytest

_LAYERS = ("lower", "upper", "work")


class Mounts:
    """Mounts of one test; a context manager that ends them all, the last one first."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the test's own, for what the mounts need."""
        self._folder = folder
        self._points: list[Path] = []
        self._backing: dict[Path, Path] = {}

    def tmpfs(self, point: Path, size: str = "64m", files: int = 0) -> None:
        """An empty file system of that size, for so many `files` and folders (0: any number)."""
        self._mount(point, "-t", "tmpfs", "-o", f"size={size},nr_inodes={files}", "kb-test")

    def share(self, point: Path) -> None:
        """What behaves as a network share: mounted again after `end` it has all its files, and
        another device number."""
        if point not in self._backing:
            self._backing[point] = self._made_backing()
        else:
            self.tmpfs(self._made("takes the free number"))
        backing = self._backing[point]
        layers = ",".join(f"{name}dir={backing / name}" for name in _LAYERS)
        self._mount(point, "-t", "overlay", "-o", layers, "kb-share")

    def remount(self, point: Path, option: str) -> None:
        """Change it: `ro` or `rw`."""
        _run("mount", "-o", f"remount,{option}", str(point))

    def end(self, point: Path) -> None:
        """Take it away, also from under a process that uses it."""
        _run("umount", "--lazy", str(point))
        self._points.remove(point)

    def _made_backing(self) -> Path:
        backing = self._made("backing")
        self.tmpfs(backing)
        for name in _LAYERS:
            (backing / name).mkdir()
        return backing

    def _made(self, name: str) -> Path:
        folder = self._folder / f"{name} {len(self._points)}"
        folder.mkdir()
        return folder

    def _mount(self, point: Path, *options: str) -> None:
        _run("mount", *options, str(point))
        self._points.append(point)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for point in reversed(self._points):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.end(point)


def need_mounts(folder: Path) -> Mounts:
    """Mounts, if this process may make any; skips the test where it may not."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount: run as root what needs a real file system")
    probe = folder / "probe"
    probe.mkdir()
    try:
        with Mounts(probe) as mounts:
            mounts.share(probe)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting is not allowed here: {error}")
    return Mounts(folder)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
