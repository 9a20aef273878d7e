"""Certificate and key as KDS has them: nothing is overwritten, lost, or readable for others."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

import pytest

from bridge.core import fingerprint
from bridge.folder.kds import make_pair, renew_pair


def fits(certificate: Path, key: Path | None = None) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(certificate, key)
    return True


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths


def all_private(folder: Path) -> bool:
    return all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


def test_the_certificate_holds_the_key_too_and_both_are_private(tmp_path: Path) -> None:
    home = tmp_path / "new"
    certificate, key = home / "cert.pem", home / "server.key"
    make_pair(certificate, key, "gateway")
    assert fits(certificate)
    assert fits(certificate, key)
    assert certificate.read_bytes().endswith(key.read_bytes())
    assert len(fingerprint(certificate)) == 64
    assert names(home) == ["cert.pem", "server.key"]
    assert all_private(home)


def test_one_file_for_both(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    make_pair(both, both, "gateway")
    assert fits(both)
    before = both.read_bytes()
    renew_pair(both, both, "gateway")
    assert fits(both)
    assert both.read_bytes() != before
    assert (tmp_path / "both.pem.old").read_bytes() == before
    assert names(tmp_path) == ["both.pem", "both.pem.old"]
    assert all_private(tmp_path)


@pytest.mark.parametrize("there", ["cert.pem", "server.key"])
def test_nothing_is_overwritten_and_no_half_pair_is_left(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(FileExistsError):
        make_pair(tmp_path / "cert.pem", tmp_path / "server.key", "gateway")
    assert names(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_renewed_pair_fits_and_the_old_ones_are_kept(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "server.key"
    make_pair(certificate, key, "gateway")
    for ending in (".old", ".old2"):
        before = certificate.read_bytes(), key.read_bytes()
        (tmp_path / "server.key.new").write_text("of a try that was cut off")
        renew_pair(certificate, key, "gateway")
        old = tmp_path / f"cert.pem{ending}", tmp_path / f"server.key{ending}"
        assert (old[0].read_bytes(), old[1].read_bytes()) == before
        assert before != (certificate.read_bytes(), key.read_bytes())
        assert fits(certificate)
        assert fits(certificate, key)
    assert len(names(tmp_path)) == 6
    assert all_private(tmp_path)


def test_half_a_pair_is_renewed_to_a_whole_one(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "server.key"
    make_pair(certificate, key, "gateway")
    key.unlink()
    renew_pair(certificate, key, "gateway")
    assert fits(certificate, key)
    assert names(tmp_path) == ["cert.pem", "cert.pem.old", "server.key"]


@pytest.mark.parametrize("at", [3, 4, 5, 6], ids=["key", "certificate", "old key", "old"])
def test_a_renewal_that_fails_leaves_the_old_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "server.key"
    make_pair(certificate, key, "gateway")
    before = certificate.read_bytes(), key.read_bytes()
    real, calls = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == at:  # the first two are for a place of their own
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        renew_pair(certificate, key, "gateway")
    assert (certificate.read_bytes(), key.read_bytes()) == before
    assert names(tmp_path) == ["cert.pem", "server.key"]
