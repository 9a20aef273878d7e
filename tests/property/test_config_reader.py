"""Whatever a configuration holds: it is read, or refused by sentences that name the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core import ConfigError, load_config
from tests.support.certificates import put_certificate

START = """\
kata:
  urls: [https://cn.example]
  sensor_id: 4f6dbb4e-76ae-4b7d-9b0d-1a2b3c4d5e6f
  client_cert: client.pem
  client_key: client.key
  server_ca: client.pem
policy: {detect: block}
exclusions: [{name: "*.iso"}, {source: 10.0.0.0/8, enabled: false}]
icap:
  listen: ["127.0.0.1:1344"]
  services: {a: {method: REQMOD, hold: 20s}}
folders:
  - {name: a, input: x, output: y, quarantine: z}
logs: {keep: 90d}
notify: {url: "https://hook.example/a"}
"""
PIECES = st.sampled_from(
    [
        *("\\0", "\0", '"\\uD800"', '"\\UFFFFFFFF"', '"\\U00110000"', '"\\x00"', "\ufeff", "\x85"),
        *(
            "&a ",
            "*a",
            "<<: *a",
            "? ",
            ": ",
            "- ",
            "!!set ",
            "!!binary ",
            "!!omap ",
            "!!str ",
            "!a!b ",
        ),
        *(
            "!<%FF> ",
            "!!timestamp ",
            "!!float ",
            "!!int ",
            "!!null ",
            "!!pairs ",
            "!!bool ",
            "%YAML 1.1\n",
        ),
        *(
            f"%YAML {'9' * 5000}.1\n---\n",
            "---\n",
            "...\n",
            "%TAG ! x\n",
            "2026-13-45",
            "2026-01-01",
        ),
        *(
            "0001-01-01T00:00:00+99:99",
            "9" * 5000,
            "0x" + "f" * 5000,
            "1:" * 400 + "1.5",
            ".inf",
            ".nan",
        ),
        *(
            "[" * 400,
            "{a: " * 300,
            "[",
            "]",
            "{",
            "}",
            "'",
            '"',
            "|\n",
            ">\n",
            "~",
            "#",
            "@",
            "`",
            "\t",
        ),
        *(
            "-1",
            "1e999s",
            "\u0663s",
            "::1",
            "[::1]:80",
            "0.0.0.0/33",
            "null",
            "true",
            ".",
            "..",
            "/",
        ),
        *(
            "https://[x",
            "https://u:p@h",
            "redis://[",
            "udp://[::1",
            "sha256:",
            "*",
            "?",
            "\n",
            "\n  ",
            ",",
        ),
    ]
)
CHANGES = st.lists(
    st.tuples(st.integers(0, len(START)), st.integers(0, 30), PIECES), min_size=1, max_size=3
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    put_certificate(folder / "client.pem", folder / "client.key")
    return folder


def refusal(path: Path) -> str | None:
    """What a file is refused by; None where it is taken."""
    try:
        load_config(path)
    except ConfigError as error:
        return str(error)
    return None


def test_the_file_is_good_before(folder: Path) -> None:
    path = folder / "good.yaml"
    path.write_text(START)
    assert refusal(path) is None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes=CHANGES)
def test_only_sentences_come_of_a_spoilt_file(
    folder: Path, changes: list[tuple[int, int, str]]
) -> None:
    path, text = folder / "katabridge.yaml", START
    for at, length, piece in changes:
        text = text[:at] + piece + text[at + length :]
    path.write_bytes(text.encode())
    said = refusal(path)
    assert said is None or all(line.startswith(f"{path}:") for line in said.splitlines())
