"""Self-signed certificates for tests, made once a run."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from bridge.core import make_certificate


@functools.cache
def _made(name: str) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        made, key = Path(folder, "c.pem"), Path(folder, "c.key")
        make_certificate(made, key, name, ["127.0.0.1", "localhost"])
        return made.read_bytes(), key.read_bytes()


def put_certificate(certificate: Path, key: Path, name: str = "katabridge-test") -> None:
    """Put a self-signed certificate for 127.0.0.1 and its key there; one for each name."""
    certificate.parent.mkdir(parents=True, exist_ok=True)
    certificate.write_bytes(_made(name)[0])
    key.write_bytes(_made(name)[1])
