"""What certificates say of themselves; keys are never opened here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from bridge.commands.terminal import reason

_LARGEST = 1 << 20


def certificates(files: Mapping[str, Path]) -> str:
    """Subject, issuer, validity and sha256 of each, by the key that names its file."""
    lines = []
    for key, path in files.items():
        lines.append(f"{key}: {path}")
        try:
            lines += [f"  {fact}" for fact in _facts(path)]
        except OSError as error:
            lines.append(f"  {reason(error)}")
        except ValueError:
            lines.append("  it is no certificate in PEM")
    return "\n".join(lines) + "\n"


def owners(files: Mapping[str, Path]) -> str:
    """Owner and mode of each file, and nothing else of it."""
    lines = []
    for key, path in files.items():
        try:
            status = path.stat()
            mode = status.st_mode & 0o7777
            words = f"mode {mode:04o}, owner {status.st_uid}:{status.st_gid}"
        except OSError as error:
            words = reason(error)
        lines.append(f"{key}: {path}: {words}")
    return "\n".join(lines) + "\n"


def _facts(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        found = x509.load_pem_x509_certificates(file.read(_LARGEST))
    for each in found:
        yield f"subject {each.subject.rfc4514_string()}"
        yield f"  issuer {each.issuer.rfc4514_string()}, serial {each.serial_number:x}"
        yield f"  valid {each.not_valid_before_utc:%Y-%m-%d} to {each.not_valid_after_utc:%Y-%m-%d}"
        yield f"  sha256:{each.fingerprint(hashes.SHA256()).hex()}"
