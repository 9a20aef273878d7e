"""The Central Node's certificate, pinned: KDS knew no trust in servers, so it is kept beside us."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from bridge.core import ConfigError, parse_fingerprint

_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Pin:
    """A fingerprint (lower hex) and who says so: the option, or the pin file."""

    digits: str
    where: str


def read_pin(path: Path) -> Pin | None:
    """What the file holds, or None where there is no file; ConfigError where it is damaged."""
    way_out = (
        "write sha256: and the 64 hex digits of the Central Node's certificate there, or delete "
        "the file: then the next start trusts the certificate it is shown"
    )
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: the pin file is no regular file; {way_out}.")
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8").strip()
        return Pin(parse_fingerprint(text), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: the pin file cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ConfigError(f"{path}: the pin file holds no fingerprint; {way_out}.") from None


def write_pin(path: Path, digits: str) -> None:
    """Put the fingerprint there, 0600, whole or not at all; OSError. Blocks: disk."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"sha256:{digits}\n".encode("ascii"))
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
