"""The file that is made: nothing comes into it but through the scrubber."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from bridge.core import printable

MANIFEST = "MANIFEST.txt"

_CHUNK = 1 << 18
_KEY_LINES = 1 << 20  # a key that began is waited for so far
_RESERVE = 1 << 16  # for the manifest
_CUT = "\n[cut: --max-size]\n"

Change = Callable[[str], str]


class Archive:
    """`with Archive(…) as archive`: add, then `finish`; else nothing is left of it.

    OSError from anything here: the disk. `left`: how many bytes more may come in, unpacked.
    """

    def __init__(self, folder: Path, name: str, scrub: Change, max_bytes: int) -> None:
        """Begin `folder`/`name`.tar.gz under a hidden name, 0600."""
        self._folder = folder
        self._name = name
        self._scrub = scrub
        self.left = max_bytes - _RESERVE
        self._inside: list[str] = []
        self._outside: list[str] = []
        self._draft = folder / f".{name}.{secrets.token_hex(4)}.new"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(self._draft, flags, 0o600), "w+b")
        self._tar = tarfile.open(fileobj=self._file, mode="w:gz", compresslevel=6)  # noqa: SIM115

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # of a full disk, once more
            self._tar.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._draft.unlink(missing_ok=True)

    def add(self, path: str, text: str, what: str) -> None:
        """Put a text in; it is cut where no more may come in. `what`: for the manifest."""
        data = self._scrub(text).encode("utf-8", "backslashreplace")
        if len(data) > self.left:
            cut = _CUT.encode()
            kept = data[: max(0, self.left - len(cut))].decode("utf-8", "ignore")
            data = kept.encode() + cut
            self.leave_out(path, "its end, since --max-size is reached")
        self._put(path, io.BytesIO(data), len(data), what)

    def add_lines(self, path: str, lines: Iterable[bytes], change: Change, what: str) -> None:
        """Put the lines of a log in, each through `change`, which gets it without its end."""
        with tempfile.TemporaryFile(dir=self._folder) as kept:
            for text in _texts(lines, change):
                kept.write(self._scrub(text).encode("utf-8", "backslashreplace"))
            size = kept.tell()
            kept.seek(0)
            self._put(path, kept, size, what)

    def leave_out(self, what: str, why: str) -> None:
        """Say in the manifest that something is not inside."""
        self._outside.append(printable(f"{what}: {why}"))

    def finish(self, head: Iterable[str]) -> Path:
        """Write the manifest, `head` first, and give the file its name; the file."""
        text = "\n".join([*head, "", "Inside:", *self._inside, "", "Left out:"])
        text += "\n" + "\n".join(self._outside or ["nothing"]) + "\n"
        data = self._scrub(text).encode("utf-8", "backslashreplace")
        self._put(MANIFEST, io.BytesIO(data), len(data), "")
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        target = self._free_name()
        self._draft.rename(target)
        return target

    def _free_name(self) -> Path:
        """Two may be made in one second."""
        numbers = ["", *(f"-{number}" for number in range(2, 100))]
        names = (self._folder / f"{self._name}{number}.tar.gz" for number in numbers)
        return next(name for name in names if not name.exists())

    def _put(
        self,
        path: str,
        file: BinaryIO | tempfile._TemporaryFileWrapper[bytes],
        size: int,
        what: str,
    ) -> None:
        member = tarfile.TarInfo(f"{self._name}/{path}")
        member.size, member.mode, member.mtime = size, 0o600, int(time.time())
        self._tar.addfile(member, file)
        self.left -= size
        if what:
            self._inside.append(printable(f"{path} ({size} bytes): {what}"))


def _texts(lines: Iterable[bytes], change: Change) -> Iterator[str]:
    """Lines in larger pieces, for the scrubber; a private key never in two of them."""
    gathered: list[str] = []
    size, key = 0, False
    for line in lines:
        text = line.decode("utf-8", "backslashreplace")
        gathered.append(change(text.removesuffix("\n")))
        size += len(text)
        key = _in_key(text, key)
        if size >= (_KEY_LINES if key else _CHUNK):
            yield "\n".join([*gathered, ""])
            gathered, size = [], 0
    if gathered:
        yield "\n".join([*gathered, ""])


def _in_key(line: str, before: bool) -> bool:
    """Whether a private key has begun and not ended behind this line."""
    begins = line.rfind("-----BEGIN")
    if begins < 0:
        return before and "-----END" not in line
    return line.rfind("-----END") < begins
