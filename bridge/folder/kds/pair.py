"""Certificate and key as KDS wants them: `cert_pem` holds both, `cert_key` the key by itself.

Both files hold a private key, so both are 0600. They may be one and the same file.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bridge.core import make_certificate

_MODE = 0o600
Files = Mapping[Path, bytes]


def make_pair(certificate: Path, key: Path, name: str) -> None:
    """Write both. Never overwrites: FileExistsError, and then, or after any OSError, neither is
    there anew."""
    _put_new(_made(certificate, key, name))


def renew_pair(certificate: Path, key: Path, name: str) -> None:
    """Put a new pair in the place of an old one, which stays beside it as `.old`, `.old2`, ….

    OSError: the old pair is still in its place.
    """
    made = _made(certificate, key, name)
    drafts = {_beside(path, ".new"): data for path, data in made.items()}
    for draft in drafts:
        draft.unlink(missing_ok=True)
    _put_new(drafts)
    try:
        ending = _free_ending(made)
        _put_new({_beside(path, ending): path.read_bytes() for path in made if path.exists()})
    except BaseException:
        _remove(drafts)
        raise
    for path in made:  # the key first
        _beside(path, ".new").replace(path)


def _made(certificate: Path, key: Path, name: str) -> Files:
    """The contents of both files, the key's first."""
    with tempfile.TemporaryDirectory() as folder:  # 0700
        made, private = Path(folder, "certificate"), Path(folder, "key")
        make_certificate(made, private, name)
        secret = private.read_bytes()
        return {key: secret} | {certificate: made.read_bytes() + secret}


def _put_new(files: Files) -> None:
    """Write files that are not there yet; after an error none of them is there."""
    written: list[Path] = []
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
            written.append(path)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
    except BaseException:
        _remove(written)
        raise


def _remove(paths: Mapping[Path, bytes] | list[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _free_ending(paths: Files) -> str:
    endings = (f".old{number if number > 1 else ''}" for number in itertools.count(1))
    return next(e for e in endings if not any(_beside(path, e).exists() for path in paths))


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
