"""Does our Squid configuration do what we rely on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bridge.testing import EICAR, IcapdServer, KataEmulator

if TYPE_CHECKING:
    from examples.harness.conftest import Origin, Squid

USER = "127.0.0.5"  # Squid itself asks icapd from 127.0.0.1
CLEAN = b"nothing to see\n" * 1000


def test_downloads_are_judged_and_recorded_with_their_user(
    squid: Squid, origin: Origin, icapd_server: IcapdServer, kata_emulator: KataEmulator
) -> None:
    origin.files = {"/clean.bin": CLEAN, "/eicar.com": EICAR, "/ours.bin": b"known to be bad"}
    kata_emulator.judge(b"known to be bad")

    assert squid.curl(origin.url("/clean.bin"), "--interface", USER) == (200, CLEAN)
    for path in ("/eicar.com", "/ours.bin"):
        status, page = squid.curl(origin.url(path), "--interface", USER)
        (record,) = icapd_server.wait_records(1, url=origin.url(path))
        assert (record["outcome"], record["context"]["client_ip"]) == ("detect", USER)
        assert status == 403
        assert record["case"].encode() in page
        assert origin.files[path] not in page


def test_uploads_are_judged(squid: Squid, origin: Origin, tmp_path: Path) -> None:
    clean, bad = tmp_path / "clean", tmp_path / "bad"
    clean.write_bytes(CLEAN)
    bad.write_bytes(b"x" * 100_000 + EICAR)

    assert squid.curl(origin.url("/upload"), "-T", clean)[0] == 201
    assert squid.curl(origin.url("/upload"), "-T", bad)[0] == 403
    assert origin.uploads == [CLEAN], "the bad one never leaves the house"


def test_nothing_passes_while_icapd_is_down(
    squid: Squid, origin: Origin, icapd_server: IcapdServer, tmp_path: Path
) -> None:
    origin.files = {"/clean.bin": CLEAN}
    upload = tmp_path / "upload"
    upload.write_bytes(CLEAN)
    icapd_server.kill()

    status, page = squid.curl(origin.url("/clean.bin"))
    assert status == 500
    assert CLEAN not in page
    assert squid.curl(origin.url("/upload"), "-T", upload)[0] == 500
    assert origin.uploads == []
