"""The shape of what lies beside a quarantined file."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from bridge.folder.sidecar import (
    Sidecar,
    format_sidecar,
    is_sidecar,
    parse_sidecar,
    sidecar_name,
)

SIDECAR = Sidecar(
    file="a",
    case="0" * 16,
    time="2026-01-01T00:00:00.000+00:00",
    folder="share",
    path="sub/a",
    size=3,
    sha256="0" * 64,
    outcome="detect",
    source="kata",
    threat="X",
)


@pytest.mark.parametrize("name", ["a", "a\nb", "имя", os.fsdecode(b"caf\xe9"), "\u202egpj.exe"])
def test_it_comes_back_as_it_was(name: str) -> None:
    sidecar = replace(SIDECAR, file=name, path=f"sub/{name}")
    data = format_sidecar(sidecar)
    assert parse_sidecar(data) == sidecar
    assert data.isascii()


def test_keys_of_a_later_version_are_left_out() -> None:
    values = json.loads(format_sidecar(SIDECAR)) | {"colour": "red"}
    assert parse_sidecar(json.dumps(values).encode()) == SIDECAR


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"file": "../a"}, "no name in this folder"),
        ({"file": ".."}, "no name in this folder"),
        ({"file": ""}, "no name in this folder"),
        ({"path": "/etc/passwd"}, "no place below an input"),
        ({"path": "a/../../b"}, "no place below an input"),
        ({"path": "a//b"}, "no place below an input"),
        ({"size": "3"}, "its size is not what it should be"),
        ({"size": True}, "its size is not what it should be"),
        ({"threat": 3}, "its threat is not what it should be"),
    ],
)
def test_what_could_lead_elsewhere_is_refused(change: dict[str, object], sentence: str) -> None:
    values = json.loads(format_sidecar(SIDECAR)) | change
    with pytest.raises(ValueError, match=sentence):
        parse_sidecar(json.dumps(values).encode())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "Expecting value"),
        (b"[]", "no JSON object"),
        (b"{}", "it lacks case, file, folder"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff", "decode"),
    ],
)
def test_what_is_no_sidecar_is_said(data: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_sidecar(data)


@pytest.mark.parametrize("name", ["x" * 255, "ы" * 127, "x" * 240])
def test_names_that_are_too_long_are_cut_and_stay_apart(name: str) -> None:
    beside = sidecar_name(name)
    assert len(os.fsencode(beside)) <= 255
    assert is_sidecar(beside)
    assert beside != sidecar_name(name[:-1] + "y")


def test_short_names_are_kept_whole() -> None:
    assert sidecar_name("a.doc") == "a.doc.katabridge.json"
