"""KDS's configuration is taken as old administrators left it; each fault is one sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import main
from bridge.core import ConfigError, Decision, OutcomeKind
from bridge.folder.kds import Installation, read_conf
from bridge.folder.kds.address import parse_kata_cn_addr
from bridge.folder.kds.conf import FOLDERS
from bridge.folder.kds.jsontext import JsonError, read_members
from tests.support.certificates import put_certificate
from tests.support.kds import PRINTED

ID = "4f6dbb4e-76ae-4b7d-9b0d-1a2b3c4d5e6f"
PIN = "ab" * 32


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where certificate and key lie, as KDS has them."""
    put_certificate(tmp_path / "cert.pem", tmp_path / "server.key")
    put_certificate(tmp_path / "other.pem", tmp_path / "other.key", "other")
    return tmp_path


def conf(home: Path, text: str | bytes | None = None, **values: Any) -> Path:
    """The configuration with relative paths, a line for each key, and some values changed."""
    path = home / "kata_dir_scanner.conf"
    if text is None:
        good = {
            "in_dir": "in/", "out_dir": "out/", "qrnt_dir": "qrnt/", "cert_pem": "cert.pem",
            "cert_key": "server.key", "kata_cn_addr": "cn.example", "system_id": ID,
        }  # fmt: skip
        text = json.dumps({k: v for k, v in (good | values).items() if v is not ...}, indent=1)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def installation(home: Path, **places: Any) -> Installation:
    return Installation(read_conf(home / "kata_dir_scanner.conf"), **places)


def test_every_key_is_honoured(home: Path) -> None:
    conf(home)
    settings = installation(home).settings(PIN)
    assert settings.kata.urls == ["https://cn.example"]
    assert str(settings.kata.sensor_id) == ID
    assert settings.kata.client_cert == home / "cert.pem"
    assert settings.kata.client_key == home / "server.key"
    assert settings.kata.server_fingerprint == PIN
    assert settings.kata.max_object_size == 100 << 20
    (folder,) = settings.folders
    assert (folder.name, folder.recursive, folder.ignore) == ("kds", False, [])
    assert (folder.on_conflict, folder.quarantine_conflict) == ("replace", "replace")
    assert (folder.input, folder.output, folder.quarantine) == (
        home / "in",
        home / "out",
        home / "qrnt",
    )
    assert settings.exclude_lists == []
    assert settings.verdicts.store == "sqlite:///var/lib/katabridge/verdicts.db"
    assert settings.spool.dir == Path("/var/lib/katabridge/spool")
    assert settings.logs.dir == Path("/var/log/katabridge")


def test_what_kds_never_said_is_settled_by_options(home: Path) -> None:
    conf(home)
    (home / "exclude_list.txt").write_text("*.doc\n")
    places = {"state": home / "state", "records": home / "records", "excluded": "block"}
    settings = installation(home, **places).settings(PIN)
    assert settings.exclude_lists == [home / "exclude_list.txt"]
    assert settings.folder_policy == {OutcomeKind.EXCLUDED: Decision.BLOCK}
    assert settings.verdicts.store == f"sqlite://{home}/state/verdicts.db"
    assert settings.spool.dir == home / "state" / "spool"
    assert settings.logs.dir == home / "records"


def test_the_printed_text_is_read(tmp_path: Path) -> None:
    path = conf(tmp_path, PRINTED)
    found = read_conf(path)
    assert found.url == "https://localhost"
    assert found.paths["cert_key"] == Path("/opt/kata-dir-scanner/server.key")
    assert found.system_id is None


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n \t\r\n"], ids=["BOM", "space"])
def test_what_windows_leaves_before_the_brace(home: Path, before: bytes) -> None:
    path = conf(home)
    path.write_bytes(before + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_conf(path).system_id == ID


def test_the_node_is_the_files_own_and_stays(home: Path) -> None:
    first = read_conf(conf(home)).node
    link = home / "link.conf"
    link.symlink_to("kata_dir_scanner.conf")
    (home / "other").mkdir()
    conf(home / "other")
    assert read_conf(link).node == first == read_conf(home / "kata_dir_scanner.conf").node
    assert read_conf(home / "other" / "kata_dir_scanner.conf").node != first
    assert len(first) == len("kds-") + 8


def test_what_a_link_leads_to_has_its_files_beside_it(home: Path, tmp_path: Path) -> None:
    (home / "exclude_list.txt").touch()
    conf(home)
    away = tmp_path / "away"
    away.mkdir()
    (away / "link.conf").symlink_to(home / "kata_dir_scanner.conf")
    found = read_conf(away / "link.conf")
    assert found.paths["in_dir"] == home / "in"
    assert found.exclude_list == home / "exclude_list.txt"


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("localhost", "https://localhost"),
        ("CN.example:8443", "https://CN.example:8443"),
        ("https://cn.example/", "https://cn.example"),
        ("HTTPS://cn.example:443", "https://cn.example:443"),
        ("10.0.0.1", "https://10.0.0.1"),
        ("10.0.0.1:9443", "https://10.0.0.1:9443"),
        ("2001:DB8::1", "https://[2001:db8::1]"),
        ("[2001:db8::1]", "https://[2001:db8::1]"),
        ("https://[2001:db8::1]:9443", "https://[2001:db8::1]:9443"),
        ("https://::1", "https://[::1]"),
    ],
)
def test_addresses_of_every_kind(written: str, url: str) -> None:
    assert parse_kata_cn_addr(written) == url


@pytest.mark.parametrize(
    "written",
    ["", " ", "cn example", "cn.example ", "cn\n", "http://cn", "https://http://cn", "cn/path",
     "cn:0", "cn:66000", "cn:x", "user@cn", "cn?x", "cn#x", "https://", "::1::", "a,b", "-x"],
)  # fmt: skip
def test_what_is_no_address(written: str) -> None:
    with pytest.raises(ValueError, match=r"is not the address|over https only"):
        parse_kata_cn_addr(written)


ID_ERROR = "it is no UUID (as in 4f6dbb4e-76ae-4b7d-9b0d-1a2b3c4d5e6f); write the id that KATA has"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a key misspelt": ({"in_dri": "x"}, ":9: in_dri: unknown key; did you mean in_dir?"),
    "a key in capitals": ({"IN_DIR": "x"}, ":9: IN_DIR: unknown key; did you mean in_dir?"),
    "a key of nobody": ({"colour": "x"},
                        ":9: colour: unknown key; take it out: KDS knows in_dir, out_dir, "),
    "a key that would break a line": ({"a\nb": "x"}, ":9: …: unknown key; "),
    "a key missing": ({"qrnt_dir": ...},
                      ':7: qrnt_dir: this key is missing; write "qrnt_dir": "/mnt/qrnt" there.'),
    "a number": ({"in_dir": 1}, ':2: in_dir: a number where a text is expected; write "/mnt/in".'),
    "null": ({"system_id": None}, ':8: system_id: null where a text is expected; write "".'),
    "a list": ({"cert_pem": []}, ":5: cert_pem: a list where a text is expected; write "),
    "no path": ({"out_dir": " "}, ':3: out_dir: it is empty; write a path, as in "/mnt/out".'),
    "a NUL": ({"out_dir": "a\0b"}, ":3: out_dir: 'a\\x00b' is not a path."),
    "half a sign": ({"out_dir": "\ud800"}, ":3: out_dir: '\\ud800' is not a path."),
    "no address": ({"kata_cn_addr": "http://cn"},
                   ":7: kata_cn_addr: 'http://cn': KATA is asked over https only; leave out "),
    "no id": ({"system_id": "kata"}, f":8: system_id: {ID_ERROR}"),
    "an id in braces": ({"system_id": "{" + ID + "}"}, f":8: system_id: {ID_ERROR}"),
    "an id without dashes": ({"system_id": ID.replace("-", "")}, f" {ID_ERROR}"),
    "in and out": ({"out_dir": "./in"},
                   ":3: out_dir: HOME/in is the folder of in_dir, too; write three different f"),
    "out and quarantine": ({"qrnt_dir": "in/../out/"}, ":4: qrnt_dir: HOME/in/../out is the fol"),
    "the key of another": ({"cert_key": "other.key"},
                           ":6: cert_key: HOME/cert.pem and HOME/other.key are not a certificate "),
    "a folder for a key": ({"cert_key": "."}, ":6: cert_key: cannot read HOME: Is a directory."),
}  # fmt: skip


def check(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[str]:
    """The sentences with which `--check-config` refuses the file."""
    code = main(["watch", "--check-config", "--kds-config", str(path), *more])
    assert code == 2
    told = capsys.readouterr()
    assert told.out == ""
    return told.err.splitlines()


@pytest.mark.parametrize(("values", "says"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_one_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any], says: str
) -> None:
    path = conf(home, **values)
    (line,) = check(path, capsys)
    assert line.startswith(f"{path}:")
    assert says.replace("HOME", str(home)) in line


TEXTS: dict[str, tuple[str | bytes, str]] = {
    "a YAML file": (
        "kata:\n  urls: [https://cn.example]\n",
        ":1: not JSON: expecting value in column 1. KDS's configuration is JSON, "
        '{"in_dir": "/mnt/in", …}; a katabridge.yaml is named with --config.',
    ),
    "a comma too few": ('{"in_dir": "a"\n "out_dir": "b"}',
                        ":2: not JSON: expecting ',' delimiter in column 2."),
    "cut off": ('{"in_dir": "a",\n', ":2: not JSON: "),
    "empty": ("", ":1: not JSON: expecting value in column 1."),
    "a list": ("\n[]", ":2: no keys in braces, `{…}`."),
    "without end": ("[" * 100_000, ":1: not JSON: brackets in brackets without end."),
    "UTF-16": ('{"in_dir": "a"}'.encode("utf-16"),
               "cannot be read: it is UTF-16, not UTF-8; save it as UTF-8."),
    "cp1251": ('{"in_dir": "/mnt/вход"}'.encode("cp1251"), "it is not UTF-8; save it as UTF-8."),
    "too large": (" " * ((1 << 20) + 1), "it is larger than a mebibyte."),
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), TEXTS.values(), ids=TEXTS.keys())
def test_what_is_no_configuration_is_one_sentence(
    home: Path, capsys: pytest.CaptureFixture[str], text: str | bytes, says: str
) -> None:
    path = conf(home, text)
    (line,) = check(path, capsys)
    assert line.startswith(str(path))
    assert says in line


def test_a_key_twice_and_all_that_is_wrong_at_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '{"in_dir": "a",\n"in_dir": "b",\n"out_dir": 1,\n"colour": 2}'
    path = conf(home, text)
    lines = check(path, capsys)
    assert lines[0] == f"{path}:2: in_dir stands twice; leave one of them."
    assert lines[1].startswith(f"{path}:3: out_dir: a number")
    assert len(lines) == 8  # and an unknown key, and five that are missing


def test_a_file_that_cannot_be_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    way_out = "Name kata_dir_scanner.conf with --kds-config."
    cannot = "KDS's configuration cannot be read"
    (line,) = check(home / "gone", capsys)
    assert line == f"{home}/gone: {cannot}: No such file or directory. {way_out}"
    (line,) = check(home, capsys)
    assert line == f"{home}: {cannot}: it is a folder. {way_out}"
    os.mkfifo(home / "pipe")
    (line,) = check(home / "pipe", capsys)
    assert line == f"{home}/pipe: {cannot}: it is no regular file. {way_out}"


@pytest.mark.parametrize("empty", ["", "  ", "00000000-0000-0000-0000-000000000000"])
def test_an_empty_id_is_refused_with_the_command_that_fills_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], empty: str
) -> None:
    home = tmp_path / "it's here"
    put_certificate(home / "cert.pem", home / "server.key")
    path = conf(home, system_id=empty)
    (line,) = check(path, capsys)
    quoted = f"'{tmp_path}/it'\"'\"'s here/kata_dir_scanner.conf'"
    assert line == (
        f"{path}:8: system_id: it is empty, and KATA takes no files without it; "
        f"fill it with `kata-bridge enrol --kds-config {quoted}`."
    )
    (line,) = check(path, capsys, "--state", "/srv/a b")
    assert line.endswith(f"`kata-bridge enrol --kds-config {quoted} --state '/srv/a b'`.")


def test_a_missing_pair_is_refused_with_the_command_that_makes_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = conf(home)
    command = f"kata-bridge enrol --kds-config {path}"
    (home / "server.key").unlink()
    (line,) = check(path, capsys)
    assert line == (
        f"{path}:6: cert_key: {home}/server.key does not exist, but the other half of the pair "
        f"does; put it back, or make both anew with `{command} --force`."
    )
    (home / "cert.pem").unlink()
    lines = check(path, capsys)
    assert lines == [
        f"{path}:{line}: {key}: {home}/{name} does not exist; make certificate and key with "
        f"`{command}`."
        for line, key, name in ((5, "cert_pem", "cert.pem"), (6, "cert_key", "server.key"))
    ]


def test_a_key_in_the_place_of_its_path_is_said_by_no_sentence(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
    for values in ({"cert_key": key}, {"cert_key": key, "cert_pem": key}, {"in_dir": key}):
        lines = check(conf(home, **values), capsys)
        assert lines
        assert not any(key in line for line in lines)
        assert all("the file that it names" in line for line in lines[-len(values) :]), lines
    (line,) = check(conf(home, in_dir=key, out_dir=key), capsys)
    assert "out_dir: the file that it names is the folder of in_dir, too" in line


def test_an_exclude_list_that_cannot_be_used_names_itself(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = conf(home)
    (home / "exclude_list.txt").write_text("a.txt\na*b\n*.*x*\n")
    lines = check(path, capsys)
    assert [line.partition(" ")[0] for line in lines] == [
        f"{home}/exclude_list.txt:2:",
        f"{home}/exclude_list.txt:3:",
    ]
    (home / "exclude_list.txt").unlink()
    (home / "exclude_list.txt").symlink_to("gone")  # it is not overlooked
    (line,) = check(path, capsys)
    assert line.startswith(f"{home}/exclude_list.txt: the list cannot be read: No such file")


def make_folders(path: Path) -> None:
    for key in FOLDERS:
        read_conf(path).paths[key].mkdir()


def test_a_folder_that_is_not_there_is_refused_as_by_the_start(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = conf(home)
    make_folders(path)
    folder = read_conf(path).paths["out_dir"]
    folder.rmdir()
    (line,) = check(path, capsys)
    assert f": out_dir: {folder} cannot be used (No such file or directory)" in line


def test_a_good_file_is_said_to_be_good(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = conf(home)
    make_folders(path)
    assert main(["watch", "--check-config", "--kds-config", str(path)]) == 0
    assert capsys.readouterr() == (f"{path}: the configuration is good\n", "")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--state", "x"),
        ("--records", "x"),
        ("--log", "x"),
        ("--excluded", "pass"),
        ("--fingerprint", f"sha256:{PIN}"),
    ],
)
def test_options_that_only_kds_needs(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", option, value]) == 2
    assert capsys.readouterr().err == (
        f"kata-bridge watch: {option} goes with --kds-config only; a katabridge.yaml says it "
        "itself.\n"
    )


def test_there_is_one_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["watch", "--config", "a", "--kds-config", "b"])
    assert ended.value.code == 2
    assert "--kds-config: not allowed with argument --config" in capsys.readouterr().err


def test_a_fault_in_folders_names_kds_keys(home: Path) -> None:
    """What our settings refuse by themselves comes in KDS's words, too."""
    path = conf(home)
    found = read_conf(path)
    same = {**found.paths, "out_dir": found.paths["in_dir"]}
    object.__setattr__(found, "paths", same)
    with pytest.raises(ConfigError) as refused:
        Installation(found).settings(PIN)
    assert str(refused.value) == (
        f"{path}:2: in_dir: in_dir, out_dir and qrnt_dir must be three different folders."
    )


def test_each_value_is_found_in_its_text() -> None:
    text = ' {\n"a" : "x\\"}",\n\n"b":[1, {"c": 2}],"a": {}\n }\n'
    members = read_members(text)
    assert [(each.key, each.line) for each in members] == [("a", 2), ("b", 4), ("a", 4)]
    assert [text[each.start : each.end] for each in members] == ['"x\\"}"', '[1, {"c": 2}]', "{}"]
    assert read_members(" {} ") == []
    with pytest.raises(JsonError, match="no keys in braces"):
        read_members("1" * 10_000)  # more digits than int takes
