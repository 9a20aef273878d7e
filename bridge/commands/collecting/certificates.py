"""What certificates say of themselves; keys are never opened here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from bridge.commands.collecting.patience import looks, read_start
from bridge.commands.terminal import reason

_LARGEST = 1 << 20


def certificates(files: Mapping[str, Path]) -> str:
    """Subject, issuer, validity and sha256 of each, by the key that names its file."""
    lines = []
    for key, found in looks(_facts, files):
        lines.append(f"{key}: {files[key]}")
        if isinstance(found, OSError):
            lines.append(f"  {reason(found)}")
        elif isinstance(found, Exception):
            lines.append("  it is no certificate in PEM")
        else:
            lines += [f"  {fact}" for fact in found]
    return "\n".join(lines) + "\n"


def owners(files: Mapping[str, Path]) -> str:
    """Owner and mode of each file, and nothing else of it."""
    lines = []
    for key, status in looks(Path.stat, files):
        if isinstance(status, os.stat_result):
            mode = status.st_mode & 0o7777
            words = f"mode {mode:04o}, owner {status.st_uid}:{status.st_gid}"
        else:
            words = reason(status) if isinstance(status, OSError) else str(status)
        lines.append(f"{key}: {files[key]}: {words}")
    return "\n".join(lines) + "\n"


def _facts(path: Path) -> list[str]:
    return list(_said(x509.load_pem_x509_certificates(read_start(path, _LARGEST))))


def _said(certificates: Iterable[x509.Certificate]) -> Iterator[str]:
    for each in certificates:
        yield f"subject {each.subject.rfc4514_string()}"
        yield f"  issuer {each.issuer.rfc4514_string()}, serial {each.serial_number:x}"
        yield f"  valid {each.not_valid_before_utc:%Y-%m-%d} to {each.not_valid_after_utc:%Y-%m-%d}"
        yield f"  sha256:{each.fingerprint(hashes.SHA256()).hex()}"
