"""A wrong configuration ends with exit code 2 and a sentence that names file, line and key."""

from __future__ import annotations

import os
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import main
from bridge.core import ConfigError, Decision, OutcomeKind, load_config
from tests.support.certificates import put_certificate
from tests.support.processes import module

GOOD = """\
kata:
  urls: [https://cn.example]
  sensor_id: 4f6dbb4e-76ae-4b7d-9b0d-1a2b3c4d5e6f
  client_cert: client.pem
  client_key: client.key
  server_fingerprint: "sha256:{digits}"
""".format(digits="ab" * 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put_certificate(tmp_path / "client.pem", tmp_path / "client.key")
    put_certificate(tmp_path / "other.pem", tmp_path / "other.key", "other")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "katabridge.yaml"
    path.write_text(text)
    return path


def test_a_good_file_with_the_shipped_defaults(folder: Path) -> None:
    settings = load_config(write(folder, GOOD))
    assert settings.kata.client_cert == folder / "client.pem"
    assert settings.kata.poll_interval == 60
    assert settings.kata.max_object_size == 100 << 20
    assert settings.icap.services["av/respmod"].hold_seconds == 20
    assert [str(network) for network in settings.icap.allow_from] == ["127.0.0.0/8", "::1/128"]
    assert settings.verdicts.keep[OutcomeKind.DETECT] == 7 * 86400


def test_paths_are_absolute_whatever_the_way_to_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else records of a command name what nobody finds from elsewhere."""
    text = GOOD + "folders: [{name: a, input: in, output: out, quarantine: q}]\n"
    write(folder, text + "spool: {dir: spool}\n")
    (folder.parent / "link").symlink_to(folder.name)
    for where, way in ((folder, "katabridge.yaml"), (folder.parent, "link/katabridge.yaml")):
        monkeypatch.chdir(where)
        settings = load_config(Path(way))
        own = (where / way).parent
        assert settings.folders[0].quarantine == own / "q"
        assert settings.spool.dir == own / "spool"
        assert settings.kata.client_cert == own / "client.pem"


def test_tls_may_stand_alone(folder: Path) -> None:
    tls = "tls: {listen: ['0.0.0.0:11344'], cert: client.pem, key: client.key}"
    settings = load_config(write(folder, GOOD + f"icap: {{listen: [], {tls}}}\n"))
    assert settings.icap.tls is not None
    assert settings.icap.tls.listen == [("0.0.0.0", 11344)]


def test_a_policy_is_read_as_words(folder: Path) -> None:
    settings = load_config(write(folder, GOOD + "folder_policy: {oversize: block}\n"))
    assert settings.folder_policy == {OutcomeKind.OVERSIZE: Decision.BLOCK}


def test_one_kept_life_leaves_the_other_as_shipped(folder: Path) -> None:
    settings = load_config(write(folder, GOOD + "verdicts: {keep: {detect: 1d}}\n"))
    assert settings.verdicts.keep[OutcomeKind.NOT_DETECTED] == 86400
    assert settings.verdicts.keep[OutcomeKind.DETECT] == 86400


WRONG = {
    "unknown key": ("icap:\n  previw: 1\n", ":8: icap.previw: unknown key; did you mean preview?"),
    "unknown section": ("floders: []\n", ":7: floders: unknown key; did you mean folders?"),
    "wrong unit": (
        "spool: {memory: 256KB}\n",
        ":7: spool.memory: '256KB' is not a size with a unit; "
        "write a whole number and B, KiB, MiB, GiB or TiB (as in 100MiB).",
    ),
    "no unit": ("icap:\n  services:\n    a: {method: REQMOD, hold: 20}\n",
                ":9: icap.services.a.hold: 20 is not a time with a unit"),
    "wrong type": ("icap: {preview: many}\n", ":7: icap.preview: Input should be a valid integer"),
    "a key twice": ("logs: {}\nlogs: {}\n", ":8: logs stands twice."),
    "not YAML": ("icap: [\n", "not YAML"),
    "missing key": (
        "icap:\n  services:\n    a: {hold: 20s}\n",
        ":9: icap.services.a.method: this key is missing.",
    ),
    "unknown outcome": (
        "policy: {perhaps: block}\n",
        ":7: policy.…: a key that is not known here; known here are detect, error, ",
    ),
    "an outcome misspelt": (
        "policy: {detekt: block}\n", ":7: policy.detekt: unknown key; did you mean detect?"
    ),
    "no key of ours": (
        "icap:\n  colour: 1\n", ":8: icap.…: a key that is not known here; known here are allow_fr"
    ),
    "below no key of ours": (
        "secrets:\n  secret: &s a\n", ":7: …: a key that is not known here; known here are "
    ),
    "a list as a key": (
        "icap:\n  ? [secret]\n  : 1\n", ":8: icap: a key must be a word."
    ),
    "a mapping as a key": ("? {secret: 1}\n", ":7: the file: a key must be a word."),
    "a sign beyond Unicode": (
        'icap:\n  language: "\\U00110000"\n', ":8: not YAML: a number there is too large."
    ),
    "a sign beyond all numbers": (
        'icap:\n  language: "\\UFFFFFFFF"\n', ":8: not YAML: a number there is too large."
    ),
    "a sign that must not be": ("icap:\n  a: \1\n", ":8: not YAML: the sign U+0001 must not"),
    "a number of sixties": (
        f"icap: {{preview: {'1:' * 400}1.5}}\n", ":7: icap.preview: not a plain value."
    ),
    "5000 hexadecimal digits": (f"icap: {{preview: 0x{'f' * 5000}}}\n", ":7: icap.preview: "),
    "aliases without end": (
        "a: &a [1, 1]\n"
        + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcdefghijklmnop")),
        "its aliases stand for too much.",
    ),
    "unknown decision": ("policy: {detect: maybe}\n", ":7: policy.detect: "),
    "skip in ICAP": (
        "icap: {policy: {oversize: skip}}\n", ":7: icap.policy: oversize: skip is for folders"
    ),
    "keep of a failure": ("verdicts: {keep: {error: 1h}}\n", "error is no verdict"),
    "no webhook": ("notify: {url: 'hooks.example'}\n", ":7: notify.url: not an address such as"),
    "no folder of pages": (
        "icap: {pages: {dir: nowhere}}\n",
        ":7: icap.pages.dir: cannot read the folder {folder}/nowhere: No such file or directory.",
    ),
    "no worker": ("icap: {workers: 0}\n", ":7: icap.workers: must be 1 to 64."),
    "too many workers": ("icap: {workers: 65}\n", ":7: icap.workers: must be 1 to 64."),
    "workers without a port": (
        "icap: {workers: 2, listen: ['127.0.0.1:0']}\n",
        ":7: icap: workers share a port: name one instead of 0.",
    ),
    "a mode that is none": (
        "icap:\n  services:\n    a: {method: REQMOD, mode: lenient}\n",
        ":9: icap.services.a.mode: Input should be 'monitor', 'standard' or 'advanced'.",
    ),
    "a store that is none": (
        "verdicts: {store: 'mysql://u:secret@x'}\n", ":7: verdicts.store: must be sqlite:///PATH, "
    ),
    "a redis without TLS": (
        "verdicts: {store: 'redis://u:secret@x/0?ssl_ca_certs=/a'}\n", "needs TLS, that is rediss://"
    ),
    "nowhere to listen": (
        "icap: {listen: []}\n",
        ":7: icap: listen is empty, which it may be only where tls is given.",
    ),
    "the same port twice": (
        "icap: {listen: ['0.0.0.0:1'], tls: {listen: ['0.0.0.0:1'], cert: client.pem, "
        "key: client.key}}\n",
        ":7: icap: 0.0.0.0:1 stands under listen and under tls.listen.",
    ),
    "a key of another certificate": (
        "icap:\n  tls:\n    listen: ['0.0.0.0:1']\n    cert: client.pem\n    key: other.key\n",
        ":11: icap.tls.key: {folder}/client.pem and {folder}/other.key are not a certificate and "
        "its key in PEM, without passphrase (",
    ),
    "no CA": (
        "icap: {tls: {listen: ['0.0.0.0:1'], cert: client.pem, key: client.key, "
        "client_ca: client.key}}\n",
        ":7: icap.tls.client_ca: {folder}/client.key holds no certificate in PEM.",
    ),
    "a head for nobody": (
        "icap: {limits: {head: 100B}}\n", ":7: icap.limits.head: must be 1KiB to 1MiB."
    ),
    "a head without bound": (
        "icap: {limits: {head: 99TiB}}\n", ":7: icap.limits.head: must be 1KiB to 1MiB."
    ),
    "an empty section": (
        "icap:\n  limits:\n",
        ":8: icap.limits: keys are expected below it; take it out where there are none.",
    ),
    "TLS nowhere": (
        "icap: {tls: {listen: [], cert: client.pem, key: client.key}}\n",
        ":7: icap.tls.listen: it must not be empty.",
    ),
    "no time at all": (
        "icap: {times: {head: 0s}}\n", ":7: icap.times.head: must be at least 100ms."
    ),
    "an extension with its dot": (
        "icap: {transfer: {ignore: [.iso]}}\n",
        ":7: icap.transfer.ignore[0]: '.iso' is no file name extension, such as iso",
    ),
    "ignored and complete": (
        "icap: {transfer: {ignore: [iso], complete: [ISO]}}\n",
        ":7: icap.transfer: iso stands in both lists.",
    ),
    "no network": (
        "icap: {allow_from: [10.0.0.300]}\n", ":7: icap.allow_from[0]: not an address or network"
    ),
    "one folder for two": (
        "folders:\n  - {name: a, input: x, output: x, quarantine: y}\n",
        ":8: folders[0]: input, output and quarantine must be three different folders.",
    ),
    "refers to itself": ("icap: &a {services: *a}\n", "refers to itself"),
    "a tag": ("logs: {dir: !!python/name:os.system x}\n", ":7: logs.dir: not a plain value."),
    "no date": ("logs: {dir: 2024-99-99}\n", ":7: logs.dir: not a plain value."),
    "no number": ("icap: {preview: 0b_}\n", ":7: icap.preview: not a plain value."),
    "5000 digits": (f"icap: {{preview: {'9' * 5000}}}\n", ":7: icap.preview: not a plain value."),
    "NUL": ('logs: {dir: "a\\0b"}\n', ":7: logs.dir: "),
    "no pause": (
        "folders:\n  - {name: a, input: x, output: y, quarantine: z, rescan: 0s}\n",
        ":8: folders[0].rescan: must be at least 50ms.",
    ),
    "for ever": ("kata2: 1\nspool: {memory: 9999999999999999B}\n", "larger than any disk"),
    "round and round": (
        "folders:\n  - {name: a, input: a, output: b, quarantine: q}\n"
        "  - {name: d, input: b, output: a, quarantine: r}\n",
        ":7: folders: files would go round: outputs lead back to an input.",
    ),
    "output below a recursive input": (
        "folders:\n  - {name: a, input: a, output: a/b, quarantine: q, recursive: true}\n",
        "lies inside the input",
    ),
    "below our own folder": (
        "folders:\n  - {name: a, input: a, output: a/.katabridge/b, quarantine: q}\n",
        ":8: folders[0]: a folder below .katabridge is katabridge's own.",
    ),
    "a mask that fits all": (
        "folders:\n  - {name: a, input: a, output: b, quarantine: q, ignore: ['*.*']}\n",
        ":8: folders[0].ignore[0]: '*.*' fits almost every file: none would be judged.",
    ),
    "a mask of a path": (
        "folders:\n  - {name: a, input: a, output: b, quarantine: q, ignore: ['x/*.iso']}\n",
        ":8: folders[0].ignore[0]: 'x/*.iso' is no mask of a file name, such as *.part.",
    ),
    "the spool among the files": (
        "spool: {dir: a/spool}\nfolders:\n  - {name: f, input: a, output: b, quarantine: q}\n",
        "spool.dir lies in the input of folder f: ",
    ),
    "logs among the files": (
        "logs: {dir: b}\nfolders:\n  - {name: f, input: a, output: b, quarantine: q}\n",
        "logs.dir lies in the output of folder f: ",
    ),
    "crosswise": (
        "folders:\n  - {name: a, input: a, output: b, quarantine: c}\n"
        "  - {name: d, input: d, output: e, quarantine: b}\n",
        ":7: folders: one folder's quarantine is an input or output of another.",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG.keys())
def test_a_fault_names_file_line_and_key(folder: Path, text: str, expected: str) -> None:
    path = write(folder, GOOD + text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))
    assert expected.replace("{folder}", str(folder)) in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("client.pem", "gone.pem", ":4: kata.client_cert: cannot read {folder}/gone.pem: No such"),
        ("client.key", "other.key", ":5: kata.client_key: "),
        ("client.pem", "katabridge.yaml", ":5: kata.client_key: "),
        ("https://cn.example", "http://cn.example", ":2: kata.urls[0]: "),
        ("https://cn.example", "https://cn..example", ":2: kata.urls[0]: "),
        ("https://cn.example", "https://cn.example:99999", ":2: kata.urls[0]: "),
        (
            "  server_fingerprint",
            "  server_ca: client.key\n  server_fingerprint",
            ":6: kata.server_ca",
        ),
        ("  server_fingerprint", "  # server_fingerprint", ":1: kata: server_ca or server_finger"),
        ("  sensor_id", "  # sensor_id", ":1: kata.sensor_id: this key is missing."),
        ("4f6dbb4e", "zzz", ":3: kata.sensor_id: "),
    ],
)
def test_a_fault_in_what_is_needed(folder: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, GOOD.replace(old, new)))
    assert expected.format(folder=folder) in str(caught.value)


def test_every_fault_is_said_in_the_order_of_the_file(folder: Path) -> None:
    text = GOOD.replace("cn.example]", "cn.example, ftp://x]") + "icap: {preview: x, prevew: 1}\n"
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text))
    lines = [int(line.split(":")[1]) for line in str(caught.value).splitlines()]
    assert lines == [2, 7, 7]


def test_a_key_with_a_passphrase_is_refused_without_asking_for_it(folder: Path) -> None:
    subprocess.run(
        ["openssl", "rsa", "-aes128", "-passout", "pass:secret", "-in", folder / "client.key",
         "-out", folder / "locked.key"],
        check=True, capture_output=True,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="without passphrase"):
        load_config(write(folder, GOOD.replace("client.key", "locked.key")))


@pytest.mark.sample(2)
@pytest.mark.parametrize("command", [["icapd.cli"], ["bridge.cli", "watch"]])
@pytest.mark.parametrize("more", [[], ["--check-config"]])
def test_the_programs_end_with_code_2(folder: Path, command: list[str], more: list[str]) -> None:
    path = write(folder, GOOD + "icap: {workers: x}\n")
    done = run([*module(command[0]), *command[1:], "--config", path, *more])
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}:7: icap.workers: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_check_config_says_that_a_good_file_is_good(folder: Path) -> None:
    path = write(folder, GOOD)
    done = run([*module("icapd.cli"), "--config", path, "--check-config"])
    assert done.returncode == 0
    assert done.stdout == f"{path}: the configuration is good\n"


def test_check_config_of_watch_is_what_the_start_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    share = "folders: [{name: a, input: in, output: out, quarantine: q}]\n"
    command = ["watch", "--check-config", "--config"]
    path = write(folder, GOOD)
    assert main([*command, str(path)]) == 2
    assert capsys.readouterr() == ("", "no folder is configured (folders).\n")
    write(folder, GOOD + share)
    for name in ("in", "out"):
        (folder / name).mkdir()
    assert main([*command, str(path)]) == 2
    assert capsys.readouterr() == ("", f"{folder}/q is no folder (folders, a: quarantine).\n")
    (folder / "q").mkdir()
    assert main([*command, str(path)]) == 0
    assert capsys.readouterr() == (f"{path}: the configuration is good\n", "")


def test_check_config_tries_own_templates(folder: Path) -> None:
    (folder / "pages").mkdir()
    (folder / "pages" / "block.html").write_text("<p>{{ nane }}</p>")
    path = write(folder, GOOD + "icap: {pages: {dir: pages}}\n")
    done = run([*module("icapd.cli"), "--config", path, "--check-config"])
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{folder}/pages/block.html" in done.stderr
    assert "nane" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    done = run([*module("icapd.cli"), "--config", tmp_path / "none.yaml"])
    assert done.returncode == 2
    assert "none.yaml: the configuration cannot be read: No such file" in done.stderr
    assert "--config" in done.stderr


def run(command: list[Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="it is no regular file"):
        load_config(pipe)
    path = write(folder, GOOD + "exclude_lists: [pipe]\n")
    with pytest.raises(ConfigError, match="the list cannot be read: it is no regular file"):
        load_config(path)


SECRET = "Hunter2Geheim"
LEAKS = [
    "kata: {urls: ['https://u:%s@127.0.0.1:9']}",
    "kata: {urls: ['https://:%s@127.0.0.1:9']}",
    "kata: {urls: ['https://u:a/%s@127.0.0.1:9']}",
    "kata: {urls: ['https://u:a@%s@127.0.0.1:9']}",
    "kata: {urls: ['http:/u:%s@127.0.0.1:9']}",
    "kata: {urls: ['u:%s@127.0.0.1:9']}",
    'kata: {urls: ["https://u:\'\\t%s@127.0.0.1:9"]}',
    "kata: {urls: [['https://u:%s@h']]}",
    "kata: {urls: ['https://h/?ticket=%s']}",
    "kata: {client_cert: {token: %s}}",
    "kata: {poll_interval: 'https://u:%s@h'}",
    "kata: {token:%s: 1}",
    "kata: {'https://u:%s@h': 1}",
    "logs: {syslog: {url: 'tcp://u:%s@h:1'}}",
    "logs: {syslog: {url: 'tcp://u:a/%s@h:1'}}",
    "logs: {syslog: {url: 'tpc://u:%s@h:1'}}",
    "logs: {level: 'https://u:%s@h'}",
    "exclusions: [{host: 'https://u:%s@h'}]",
    "exclusions: [{source: ['https://u:%s@h']}]",
    "exclusions: [{name: 'https://u:%s@h/*/'}]",
    "folders: [{name: 'https://u:%s@h', ignore: ['https://u:%s@h/']}]",
    "icap: {allow_from: ['https://u:%s@h'], listen: ['u:%s@h:1']}",
    "verdicts: {store: 'redis://u:%s@h:1?x'}",
    "notify: {url: 'ftp://u:%s@h'}",
    "status: {token: *%s }",
    "status: {token: !<%s }",
    "? token%s",
    "%s: 1",
    "{%s: 1, %s: 2}",
    "notify:\n  url: https://hooks.example\n  %s: 1",
    "notify:\n  url: https://hooks.example\n  a/%s: 1",
    "status:\n  token%s: 1",
    "policy: {%s: block}",
    "? [%s]\n: 1",
    "a: {%s: 2024-99-99}",
    "icap: {pages: {%s: {a: 2024-99-99}}}",
    'a: "\\UFFFFFFFF %s"',
]


@pytest.mark.parametrize("shape", LEAKS)
def test_a_refusal_quotes_no_password(tmp_path: Path, shape: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(write(tmp_path, shape.replace("%s", SECRET)))
    assert SECRET not in str(refused.value)
    decoded = shape.replace('"', "").replace("'", '"').replace("%s", "Hunter\\x32Geheim")
    with pytest.raises(ConfigError) as refused:
        load_config(write(tmp_path, decoded))
    assert SECRET not in str(refused.value)


def test_a_refusal_shows_the_rest_of_a_url(tmp_path: Path) -> None:
    text = "kata: {urls: ['https://u:pw@cn.example/a', cn2, 'https://:pw@cn3']}\n"
    text += "logs: {syslog: {url: 'tcp://a@b'}}\n"
    with pytest.raises(ConfigError) as refused:
        load_config(write(tmp_path, text))
    assert ":1: kata.urls[0]: 'https://…@cn.example/a' must be scheme" in str(refused.value)
    assert ":1: kata.urls[1]: 'cn2' is not an https address" in str(refused.value)
    assert ":1: kata.urls[2]: 'https://…@cn3' must be scheme" in str(refused.value)
    assert ":2: logs.syslog.url: 'tcp://…@b' names no port" in str(refused.value)


def test_a_file_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        load_config(write(tmp_path, "a: " + "[" * 5000))


def test_a_pipe_in_place_of_a_file_is_not_waited_for(folder: Path) -> None:
    (folder / "client.key").unlink()
    os.mkfifo(folder / "client.key")
    with pytest.raises(ConfigError, match=r"kata\.client_key: .*it is no regular file"):
        load_config(write(folder, GOOD))
