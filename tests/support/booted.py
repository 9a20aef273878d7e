"""A system that was booted for a test: this machine's own, with a real systemd as process 1.

Only root can have one, with systemd-nspawn, and with control groups that may be written.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

import pytest

from tests.conftest import need
from tests.support.mounts import need_mounts
from tests.support.processes import wait_until

_BOOT = Path(__file__).with_name("boot.sh")
_CHECKOUT = Path(__file__).parents[2]
_SECONDS = 60.0


class Booted:
    """A context manager: booted, and gone after it. Its network is this machine's, and `/checkout`
    is this checkout."""

    def __init__(self, folder: Path, root: Path) -> None:
        """`folder`: empty, for what the system needs; `root`: files that are laid over it."""
        self._nspawn = need("systemd-nspawn")
        need_mounts(folder)
        if not os.access("/sys/fs/cgroup", os.W_OK):
            pytest.skip("no control groups can be made here")
        self._log = folder / "console"
        (folder / "system").mkdir()
        boot = [_BOOT, self._nspawn, folder / "system", root, _CHECKOUT]
        self._command = ["unshare", "--mount", "sh", *boot]
        self._process: subprocess.Popen[bytes]
        self._first = 0

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(word) for word in self._command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            wait_until(self._is_up, "the system is up", _SECONDS)
        except AssertionError as error:
            self.__exit__()
            raise AssertionError(self._log.read_text(errors="replace")) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_up(self) -> bool:
        assert self._process.poll() is None, "it has ended"
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for word in children.split():
            if Path(f"/proc/{word}/comm").read_text() == "systemd\n":
                self._first = int(word)
                return self.run("systemctl", "is-active", "basic.target").returncode == 0
        return False

    def run(self, *command: str, seconds: float = _SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its root."""
        words = ["nsenter", f"--target={self._first}", "--all", *command]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds)

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--property", name, "--value", unit).stdout.strip()

    def path(self, path: str) -> Path:
        """Where one of its files is for us."""
        return Path(f"/proc/{self._first}/root{path}")
