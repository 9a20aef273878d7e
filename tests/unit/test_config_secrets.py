"""No refusal of a configuration says a secret that stands in it: neither in its place, nor in a
wrong one, nor in a wrong type, nor in a line that is no YAML."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from bridge.commands.enrol_config import read_section
from bridge.core import ConfigError, Settings, load_config
from bridge.folder.kds import read_conf
from tests.support.certificates import put_certificate
from tests.support.processes import module

SECRET = "Hunter2-Geheim.Wort"
KATA = {
    "urls": ["https://cn.example"],
    "sensor_id": "4f6dbb4e-76ae-4b7d-9b0d-1a2b3c4d5e6f",
    "client_cert": "client.pem",
    "client_key": "client.key",
    "server_fingerprint": f"sha256:{'ab' * 32}",
}
NOT_THE_CONTENT = "write the path of a file or folder here, not what is in it."
Place = tuple[str | int, ...]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put_certificate(tmp_path / "client.pem", tmp_path / "client.key")
    return tmp_path


def places_in(kind: Any, at: Place = ()) -> Iterator[Place]:
    """Where something may stand in the settings, sections and lists too."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield from places_in(field.annotation, (*at, name))
    elif get_origin(kind) is list:
        yield from places_in(get_args(kind)[0], (*at, 0))
    elif get_origin(kind) is dict:
        yield from places_in(get_args(kind)[1], (*at, "x"))
    else:
        for argument in get_args(kind):
            yield from places_in(argument, at)
    if at:
        yield at


def planted(data: Any, at: Place, value: Any) -> Any:
    if not at:
        return value
    if at[0] == 0:
        first = data[0] if isinstance(data, list) else {}
        return [planted(first, at[1:], value)]
    members = dict(data) if isinstance(data, dict) else {}
    return {**members, at[0]: planted(members.get(at[0]), at[1:], value)}


def write(folder: Path, data: Any) -> Path:
    path = folder / "katabridge.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return path


def refusal_of(path: Path) -> str:
    try:
        load_config(path)
    except ConfigError as error:
        return str(error)
    return ""


PLACES = sorted(set(places_in(Settings)), key=str)
FILES: list[Place] = [
    *(("kata", key) for key in ("client_cert", "client_key", "server_ca")),
    *(("icap", "tls", key) for key in ("cert", "key", "client_ca")),
    *((*section, "ca") for section in (("notify",), ("logs", "syslog"))),
    *((section, "dir") for section in ("spool", "logs")),
    ("icap", "pages", "dir"),
    ("exclude_lists", 0),
    *(("folders", 0, key) for key in ("input", "output", "quarantine")),
]


def test_the_places_are_all(folder: Path) -> None:
    assert len(PLACES) > 120
    assert set(FILES) <= set(PLACES)
    assert ("status", "token") in PLACES


def test_a_key_is_told_nowhere_wherever_it_is_pasted(folder: Path) -> None:
    key = (folder / "client.key").read_text()
    lines = key.splitlines()[1:-1]
    starts = [line[:24] for line in lines]
    forms = [key, key.replace("\n", "\\n"), key.replace("\n", " "), "".join(lines)]
    forms += [f"{each}\n" for each in forms[1:]]
    shapes: list[Any] = [*forms, key.encode(), [key], {"a": key}, {key: 1}]
    for depth in range(1, 6):  # all of one depth at once: one load says all faults
        for shape in shapes:
            data: Any = {"kata": KATA}
            for place in PLACES:
                if len(place) == depth:
                    data = planted(data, place, shape)
            said = refusal_of(write(folder, data))
            assert not [line for line in said.splitlines() if any(each in line for each in starts)]


@pytest.mark.parametrize("place", FILES, ids=lambda place: ".".join(map(str, place)))
def test_a_file_is_named_and_not_pasted(folder: Path, place: Place) -> None:
    key = (folder / "client.key").read_text()
    for value in (key, "a\nb", "x" * 256, "x/" * 2048, "x\n"):
        said = refusal_of(write(folder, planted({"kata": KATA}, place, value)))
        (line,) = (line for line in said.splitlines() if NOT_THE_CONTENT in line)
        assert "/".join(value.split("/")[:2]) not in said
        assert str(place[-1] or place[0]) in line


SHAPES: list[Any] = [
    SECRET,
    [SECRET],
    {SECRET: 1},
    {"a": SECRET},
    f"https://{SECRET}",
    f"https://u:{SECRET}@h:x/",
    f"ftp://u:{SECRET}@h/",
    f"redis://u:{SECRET}@h:x/0",
    f"redis://u:12?{SECRET}@h/0",
    f"redis://h/{SECRET}",
    f"redis://h/0?{SECRET}",
    f"redis://h/0?{SECRET}=1",
    f"rediss://h/0?ssl_keyfile=-----BEGIN+PRIVATE+KEY-----{SECRET}",
    f"mysql://u:{SECRET}@h",
    f"h?token={SECRET}",
    f"{SECRET} ",
    SECRET.encode(),
]


@pytest.mark.parametrize(
    "place", [("status", "token"), ("notify", "url"), ("notify",), ("verdicts", "store")], ids=str
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_secret_setting_is_never_quoted(folder: Path, place: Place, shape: Any) -> None:
    assert SECRET not in refusal_of(write(folder, planted({"kata": KATA}, place, shape)))


URLS = [f"https://u:{SECRET}@h/{{", f"h?token={SECRET}", f"u:{SECRET}@h", f"http://{SECRET}@h"]


@pytest.mark.parametrize("url", URLS)
def test_a_central_node_is_quoted_without_password(folder: Path, url: str) -> None:
    data = {"kata": {**KATA, "urls": [url]}, "status": {"token": SECRET[:3]}}
    path = write(folder, data)
    assert "kata.urls[0]: " in refusal_of(path)
    assert SECRET not in refusal_of(path)
    with pytest.raises(ConfigError) as refused:
        read_section(path)
    assert SECRET not in str(refused.value)
    write(folder, {"kata": {**KATA, "urls": url, "server_ca": [SECRET]}})
    with pytest.raises(ConfigError) as refused:
        read_section(path)
    assert SECRET not in str(refused.value)


BROKEN = [
    "status: {token: %s",
    "status: {token: '%s}",
    'status: {token: "%s',
    'status: {token: "\\q%s"}',
    "status:\n  token: %s\n token: %s",
    "status:\n\ttoken: %s",
    "status: {token: %s: %s}",
    "status: token: %s",
    "status: {token: &%s *%s}",
    "status: {token: *%s}",
    "status: {token: !%s!x y}",
    "status: {token: !!%s y}",
    "status: {token: @%s}",
    "%%TAG !%s! tag:x\n%%TAG !%s! tag:x\n---\na: 1",
    "status: {token: |\n  %s\n}",
    "? - %s\n  -%s\n: - [%s",
    "--- %s\n--- %s",
    "%s",
    "- %s",
]


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_yaml_is_not_quoted(folder: Path, text: str) -> None:
    for secret in (SECRET, "Hunter2Geheim"):
        path = write(folder, text.replace("%s", secret).replace("%%", "%"))
        assert refusal_of(path)
        assert secret not in refusal_of(path)
        with pytest.raises(ConfigError) as refused:
            read_section(path)
        assert secret not in str(refused.value)


def test_a_key_that_is_taken_for_a_configuration_or_a_list_stays_untold(folder: Path) -> None:
    lines = (folder / "client.key").read_text().splitlines()[1:-1]
    said = refusal_of(folder / "client.key")
    path = write(folder, {"kata": KATA, "exclude_lists": ["client.key"]})
    said += refusal_of(path)
    assert f"{folder}/client.key: a key or certificate, and no list of names." in said
    assert not any(line in said for line in lines)


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "command",
    [
        ["icapd.cli"],
        ["icapd.cli", "--check-config"],
        ["bridge.cli", "watch"],
        ["bridge.cli", "check"],
        ["bridge.cli", "check", "--json"],
        ["bridge.cli", "enrol"],
    ],
    ids=" ".join,
)
def test_no_program_prints_a_key_that_was_pasted(folder: Path, command: list[str]) -> None:
    key = (folder / "client.key").read_text()
    path = write(folder, {"kata": {**KATA, "client_key": key}})
    done = subprocess.run(
        [*module(command[0]), *command[1:], "--config", path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert f"kata.client_key: {NOT_THE_CONTENT.removesuffix('.')}" in said
    assert not any(line[:24] in said for line in key.splitlines())


KDS = {
    "in_dir": "in",
    "out_dir": "out",
    "qrnt_dir": "q",
    "cert_pem": "client.pem",
    "cert_key": "client.key",
    "kata_cn_addr": "cn.example",
    "system_id": "",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"cert_key": f"-----BEGIN PRIVATE KEY-----\n{SECRET}"},
        {"cert_pem": f"{SECRET}\nx"},
        {"in_dir": f"{SECRET}\nx"},
        {"kata_cn_addr": f"https://u:{SECRET}@cn.example"},
        {"kata_cn_addr": f"u:{SECRET}@cn.example"},
        {"kata_cn_addr": f"http://u:{SECRET}@cn.example"},
        {"kata_cn_addr": f"cn.example?token={SECRET}"},
        {SECRET: 1},
        {"system_id": f"{SECRET}\nx"},
    ],
    ids=str,
)
def test_kds_configuration_is_refused_as_quietly(folder: Path, changes: dict[str, Any]) -> None:
    path = folder / "kata_dir_scanner.conf"
    path.write_text(json.dumps(KDS | changes))
    with pytest.raises(ConfigError) as refused:
        read_conf(path)
    assert SECRET not in str(refused.value)
