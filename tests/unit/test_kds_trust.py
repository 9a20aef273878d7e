"""The Central Node's certificate is pinned once, kept whole, and asked for without holding up."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.core import ConfigError, ServerCertificate, StartError, TrustError
from bridge.folder.kds import Pin, read_pin, trust, write_pin
from bridge.folder.kds.trust import compare, first_use

DIGITS = "ab" * 32
URL = "https://cn.example"


def shown(url: str) -> ServerCertificate:
    assert url == URL
    return ServerCertificate(DIGITS, "CN=kata", datetime.now(UTC), datetime(2030, 1, 2, tzinfo=UTC))


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING)
    return caplog


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state" / "kds.pin"
    assert read_pin(path) is None
    for digits in ("cd" * 32, DIGITS):  # the second replaces the first
        write_pin(path, digits)
        assert read_pin(path) == Pin(digits, str(path))
    assert path.read_text() == f"sha256:{DIGITS}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["kds.pin"]  # noqa: PTH208 - names, not paths


def test_a_pin_written_by_hand_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kds.pin"
    path.write_text(f"  sha256:{':'.join(['AB'] * 32)} \r\n\r\n")
    assert read_pin(path) == Pin(DIGITS, str(path))


@pytest.mark.parametrize(
    "data",
    [b"", b"sha256:", f"sha256:{DIGITS}0".encode(), DIGITS.encode(), b"\xff\xfe", b"x" * 10_000,
     f"sha256:{DIGITS}\nsha256:{DIGITS}\n".encode()],
)  # fmt: skip
def test_a_damaged_pin_is_refused_and_not_learnt_anew(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "kds.pin"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as refused:
        read_pin(path)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{path}: the pin file holds no fingerprint; write sha256: and the 64 ")
    assert path.read_bytes() == data


def test_a_pin_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the pin file is no regular file; write"):
        read_pin(tmp_path)


def test_a_pin_that_could_not_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kds.pin"
    write_pin(path, "cd" * 32)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_pin(path, DIGITS)
    assert read_pin(path) == Pin("cd" * 32, str(path))
    assert os.listdir(tmp_path) == ["kds.pin"]  # noqa: PTH208 - names, not paths


def test_the_first_certificate_is_pinned_and_said(
    tmp_path: Path, warnings: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "kds.pin"
    pin = asyncio.run(first_use(URL, path, asyncio.Event(), shown))
    assert pin == read_pin(path) == Pin(DIGITS, str(path))
    (record,) = warnings.records
    assert record.levelno == logging.WARNING
    assert f"the certificate sha256:{DIGITS} (subject CN=kata, valid until 2030-01-02)" in (
        record.getMessage()
    )


def test_a_server_that_is_away_is_asked_again_and_that_is_said_once(
    tmp_path: Path, warnings: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "ASK_SECONDS", 0.01)
    faults: list[Exception] = [ConnectionRefusedError(111, "refused"), TrustError("unreadable")] * 3

    def late(url: str) -> ServerCertificate:
        if faults:
            raise faults.pop(0)
        return shown(url)

    pin = asyncio.run(first_use(URL, tmp_path / "kds.pin", asyncio.Event(), late))
    assert pin is not None
    assert faults == []
    away, first = (record.getMessage() for record in warnings.records)
    assert away.startswith(f"{URL} cannot be asked for its certificate: refused; it is asked again")
    assert first.startswith("FIRST USE")


def test_a_stop_waits_for_no_server(tmp_path: Path) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hangs(url: str) -> ServerCertificate:
        asked.set()
        answer.wait()
        return shown(url)

    async def stopped() -> Pin | None:
        stop = asyncio.Event()
        pinning = asyncio.create_task(first_use(URL, tmp_path / "kds.pin", stop, hangs))
        while not asked.is_set():
            await asyncio.sleep(0.01)
        stop.set()
        return await pinning

    try:
        assert asyncio.run(stopped()) is None  # and the loop could end, too
    finally:
        answer.set()
    assert not (tmp_path / "kds.pin").exists()


def test_a_pin_that_cannot_be_kept_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(StartError) as refused:
        asyncio.run(first_use(URL, tmp_path / "state" / "kds.pin", asyncio.Event(), shown))
    assert str(refused.value).startswith(f"{tmp_path}/state/kds.pin: the Central Node's certif")
    assert str(refused.value).endswith("(--state).")


def test_another_certificate_is_said_with_the_file_that_can_be_changed(
    warnings: pytest.LogCaptureFixture,
) -> None:
    asyncio.run(compare(URL, Pin(DIGITS, "/state/kds.pin"), shown))
    assert not warnings.records
    asyncio.run(compare(URL, Pin("cd" * 32, "/state/kds.pin"), shown))
    (record,) = warnings.records
    assert record.levelno == logging.ERROR
    assert f"sha256:{'cd' * 32} is trusted (/state/kds.pin)" in record.getMessage()


def test_who_deals_with_files_once_waits_for_no_server(tmp_path: Path) -> None:
    def away(url: str) -> ServerCertificate:
        raise ConnectionRefusedError(111, "refused")

    pinning = first_use(URL, tmp_path / "kds.pin", asyncio.Event(), away, once=True)
    with pytest.raises(StartError) as refused:
        asyncio.run(pinning)
    assert str(refused.value) == (
        f"{URL} cannot be asked for its certificate: refused; no file was touched."
    )


def test_who_cannot_be_reached_is_said_by_others(warnings: pytest.LogCaptureFixture) -> None:
    def away(url: str) -> ServerCertificate:
        raise ConnectionRefusedError(111, "refused")

    asyncio.run(compare(URL, Pin(DIGITS, "x"), away))
    assert not warnings.records
