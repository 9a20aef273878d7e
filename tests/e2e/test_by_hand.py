"""`kata-bridge known` and `kata-bridge bypass`, beside a running door."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from bridge.emulator import EICAR, Emulator
from icapd.client import IcapClient
from tests.support.commands import Done, call
from tests.support.katabridge import Site
from tests.support.processes import Program, wait_until

Keep = Callable[[Program], Program]
SHA256 = hashlib.sha256(EICAR).hexdigest()
GET = b"GET http://files.example/a HTTP/1.1\r\n\r\n"


def command(site: Site, *words: str, config: bool = True) -> Done:
    return call(*words, *(["--config", site.config] if config else []))


def status(site: Site, body: bytes = EICAR) -> int:
    """204, or the status of the page."""
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        answer = client.respmod("av/respmod", GET, b"HTTP/1.1 200 OK\r\n\r\n", body, preview=1024)
    return answer.status if answer.status == 204 else answer.http_head.status or 0


def test_a_persons_word_goes_before_katas_until_it_is_forgotten(
    kata: Emulator, site: Site, started: Keep
) -> None:
    started(site.start_icapd())
    assert status(site) == 403
    wait_until(lambda: "EICAR-Test-File" in command(site, "known", "show", SHA256).stdout, "named")
    shown = command(site, "known", "show", SHA256, "--json")
    assert shown.returncode == 0
    assert json.loads(shown.stdout)["kind"] == "detect"
    allowed = command(site, "known", "allow", SHA256.upper(), "--for", "1h")
    assert (allowed.returncode, allowed.stderr) == (0, "")
    assert f"{SHA256}: passes until 20" in allowed.stdout
    wait_until(lambda: status(site) == 204, "the running door follows", 15)
    assert site.records()[-1]["rule"] == "allowed by hand"
    assert "allowed by hand" in command(site, "known", "show", SHA256).stdout
    assert command(site, "known", "forget", SHA256).returncode == 0
    wait_until(lambda: status(site) == 403, "it is judged anew", 15)
    assert kata.memory.calls["submit"] == 2


WRONG = {
    "an md5": (["known", "show", "0" * 32], 2, "which can be forged"),
    "no hash": (["known", "forget", "eicar\x1b[31m"], 2, "is no sha256"),
    "a time without a unit": (["known", "allow", SHA256, "--for", "5"], 2, "not a time with a"),
    "no time": (["known", "allow", SHA256, "--for", "0s"], 2, "no time at all"),
    "a time for show": (["known", "show", SHA256, "--for", "1h"], 2, "--for goes with allow"),
    "unknown": (["known", "show", "1" * 64], 1, ""),
    "on and off": (["bypass", "--for", "1h", "--off"], 2, "are opposites"),
    "no door": (["bypass", "--for", "1h", "--door", "back"], 2, "invalid choice"),
    "for months": (["bypass", "--for", "90d"], 1, "30 days at most"),
}


@pytest.mark.parametrize(("words", "code", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_be_done_is_one_sentence(
    site: Site, words: list[str], code: int, sentence: str
) -> None:
    done = command(site, *words)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


def test_the_switch_is_set_shown_and_taken_back(kata: Emulator, site: Site, started: Keep) -> None:
    icapd = started(site.start_icapd())
    assert command(site, "bypass").stdout == "ICAP: judges\nFOLDER: judges\n"
    done = command(site, "bypass", "--for", "1h", "--door", "icap")
    assert done.returncode == 0
    assert done.stdout.startswith("ICAP: passes everything UNJUDGED until 20")
    assert "FOLDER: judges" in done.stdout
    wait_until(lambda: status(site) == 204, "the running door follows")
    assert "BYPASS" in icapd.output()
    command(site, "bypass", "--for", "2h", "--door", "folder")
    assert "judges" not in command(site, "bypass").stdout, "the other door stays open"
    command(site, "bypass", "--off", "--door", "icap")
    wait_until(lambda: status(site) == 403, "it judges again")
    assert "FOLDER: passes" in command(site, "bypass").stdout
    assert command(site, "bypass", "--off").stdout == "ICAP: judges\nFOLDER: judges\n"
    assert kata.memory.calls["submit"] == 1
