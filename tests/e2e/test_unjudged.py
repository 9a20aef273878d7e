"""What passes unjudged by somebody's order: exclusions, types, and the emergency switch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.core import Door
from bridge.core.bypass import Bypass, BypassError, read_bypass, set_bypass
from bridge.emulator import EICAR, Emulator
from icapd.client import Answer, IcapClient
from tests.support.folders import Places
from tests.support.katabridge import Site
from tests.support.processes import Program, wait_until
from tests.support.shared_doors import SharedDoors

Keep = Callable[[Program], Program]
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0" + b"\0" * 40


def fetch(
    site: Site, url: str, body: bytes, *, preview: int | None = 1024, allow_204: bool = True
) -> Answer:
    """Ask about a response as a proxy would."""
    request = f"GET {url} HTTP/1.1\r\nHost: x\r\nUser-Agent: updater/1\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n"
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        return client.respmod(
            "av/respmod", request.encode(), head, body, preview=preview, allow_204=allow_204
        )


@pytest.mark.parametrize("preview", [1024, 10, None])
def test_an_excluded_url_is_not_judged_and_the_record_names_the_rule(
    doors: SharedDoors, preview: int | None
) -> None:
    rule = {"host": "updates.example", "path": "/pub/**", "label": "our updates"}
    site = doors({"exclusions": [rule]})
    got = fetch(site, "http://updates.example/pub/a/b.exe", EICAR, preview=preview)
    assert got.status == 204 or got.body == EICAR
    (record,) = site.wait_records(1)
    assert (record["outcome"], record["source"], record["decision"], record["rule"]) == (
        *("excluded", "rule", "pass", "our updates"),
    )
    assert site.kata.memory.calls["submit"] == 0
    other = fetch(site, "http://updates.example.evil/pub/a/b.exe", EICAR, preview=preview)
    assert other.http_head.status == 403
    assert [record["outcome"] for record in site.wait_records(2)] == ["excluded", "detect"]


def test_a_rule_that_is_switched_off_excludes_nothing(site: Site, started: Keep) -> None:
    site.changes = {"exclusions": [{"content_type": "video/*", "enabled": False}]}
    started(site.start_icapd())
    assert fetch(site, "http://h/", EICAR).http_head.status == 403


def test_an_excluded_stream_is_passed_on_as_it_comes(site: Site, started: Keep) -> None:
    site.changes = {
        "exclusions": [{"content_type": "video/*"}],
        "spool": {"memory": "1KiB", "max_bytes": "100KiB"},
    }
    started(site.start_icapd())
    body = bytes(n % 251 for n in range(5_000_000))
    assert fetch(site, "http://h/", body, preview=None, allow_204=False).body == body


def test_formats_are_told_by_content_not_by_header(
    kata: Emulator, site: Site, started: Keep
) -> None:
    site.changes = {"exclusions": [{"format": "image"}]}
    started(site.start_icapd())
    assert fetch(site, "http://h/a.png", PNG).status == 204
    assert kata.memory.calls["submit"] == 0
    assert fetch(site, "http://h/a.png", EICAR).http_head.status == 403


def test_only_the_listed_types_are_sent(kata: Emulator, site: Site, started: Keep) -> None:
    site.changes = {"submit": {"types": ["executable", "unknown"]}}
    started(site.start_icapd())
    assert fetch(site, "http://h/a.png", PNG).status == 204
    assert fetch(site, "http://h/a.com", EICAR).http_head.status == 403
    records = site.wait_records(2)
    assert [record["rule"] for record in records] == ["submit.types", None]
    assert kata.memory.calls["submit"] == 1


def test_a_kds_list_counts_for_folders_and_its_files_stay(
    kata: Emulator, site: Site, started: Keep
) -> None:
    (site.directory / "exclude_list.txt").write_bytes(b"\xef\xbb\xbfkeep.me\r\n*.iso\r\n")
    site.changes = {"exclude_lists": ["exclude_list.txt"]}
    for name in ("keep.me", "a.iso", "a.iso.exe"):
        (site.directory / "in" / name).write_bytes(EICAR)
    started(site.start_watch())
    wait_until(lambda: not (site.directory / "in" / "a.iso.exe").exists(), "one is judged")
    records = {record["name"]: record for record in site.wait_records(3)}
    assert records["a.iso.exe"]["decision"] == "block"
    assert records["a.iso"]["rule"] == "exclude_list.txt:2: *.iso"
    assert [records[name]["decision"] for name in ("keep.me", "a.iso")] == ["skip", "skip"]
    wait_until(lambda: len(Places.of(site).waiting()) == 2, "the third is removed")
    assert sorted(Places.of(site).waiting()) == ["a.iso", "keep.me"]
    assert kata.memory.calls["submit"] == 1


def test_a_bypass_opens_a_running_door_and_ends_by_itself(
    kata: Emulator, site: Site, started: Keep
) -> None:
    icapd = started(site.start_icapd())
    assert fetch(site, "http://h/", EICAR).http_head.status == 403
    spool = site.directory / "spool"
    set_bypass(spool, {Door.ICAP: time.time() + 4})
    wait_until(lambda: "BYPASS: the ICAP door passes everything UNJUDGED" in icapd.output(), "on")
    assert fetch(site, "http://h/", EICAR).status == 204
    wait_until(lambda: "the bypass of the ICAP door has ended" in icapd.output(), "off", 15)
    assert fetch(site, "http://h/", EICAR).http_head.status == 403
    records = site.wait_records(3)
    assert [record["rule"] for record in records] == [None, "bypass", None]
    assert [record["decision"] for record in records] == ["block", "pass", "block"]
    assert kata.memory.calls["submit"] == 1


def test_a_bypass_of_one_door_leaves_the_other_shut_and_survives_a_restart(
    site: Site, started: Keep
) -> None:
    spool = site.directory / "spool"
    spool.mkdir()
    set_bypass(spool, {Door.FOLDER: time.time() + 3600})
    started(site.start_icapd())
    assert fetch(site, "http://h/", EICAR).http_head.status == 403
    (site.directory / "in" / "eicar").write_bytes(EICAR)
    started(site.start_watch())
    wait_until((site.directory / "out" / "eicar").exists, "it was passed")
    records = {record["door"]: record for record in site.wait_records(2)}
    assert records["FOLDER"]["rule"] == "bypass"


def test_a_bypass_passes_what_kata_cannot_be_asked_about(
    kata: Emulator, site: Site, started: Keep
) -> None:
    kata.stop()
    icapd = started(site.start_icapd())
    set_bypass(site.directory / "spool", {Door.ICAP: time.time() + 3600})
    wait_until(lambda: "BYPASS" in icapd.output(), "on")
    assert fetch(site, "http://h/", b"anything").status == 204


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"ICAP": "soon"}', '{"DOOR": 1}', "\udcff", '{"ICAP": 1e12}'),
        *('{"ICAP": 1e300}', '{"ICAP": Infinity}', '{"ICAP": NaN}', '{"ICAP": "9999999999"}'),
        *('{"ICAP": true}', '{"ICAP": 99999999999999999999}', "[" * 100_000),
    ],
    ids=lambda text: text[:20],
)
def test_a_damaged_switch_opens_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / "bypass.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(BypassError, match="is damaged; `kata-bridge bypass --off` mends it"):
        read_bypass(tmp_path)
    bypass = Bypass(tmp_path)
    bypass.refresh(Door.ICAP)
    assert not bypass.active(Door.ICAP)
    assert "It opens nothing" in caplog.text
    set_bypass(tmp_path, {})
    assert read_bypass(tmp_path) == {}


def test_a_bypass_of_months_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BypassError, match="30 days"):
        set_bypass(tmp_path, {Door.ICAP: time.time() + 31 * 86400})
    set_bypass(tmp_path, {Door.ICAP: time.time() - 1})
    assert read_bypass(tmp_path) == {}


DOUBTFUL_NAMES = {
    "two dispositions": (
        "http://h/a",
        b'Content-Disposition: attachment; filename="a.iso"\r\n'
        b'Content-Disposition: attachment; filename="evil.exe"\r\n',
    ),
    "an escaped slash": ("http://h/evil.exe%2ffile.iso", b""),
    "an escaped backslash": ("http://h/evil.exe%5cfile.iso", b""),
    "a parameter": ("http://h/evil.exe;file.iso", b""),
    "a path in a disposition": (
        "http://h/a",
        b'Content-Disposition: attachment; filename="evil.exe\\..\\a.iso"\r\n',
    ),
}


@pytest.mark.parametrize(("url", "fields"), DOUBTFUL_NAMES.values(), ids=DOUBTFUL_NAMES.keys())
def test_a_name_that_can_be_read_in_two_ways_excludes_nothing(
    doors: SharedDoors, url: str, fields: bytes
) -> None:
    site = doors({"exclusions": [{"name": "*.iso"}]})
    assert (
        "exclusions[0] (name=*.iso) stands on what a stranger can choose" in site.program.output()
    )
    request = f"GET {url} HTTP/1.1\r\n\r\n".encode()
    head = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n"
    with IcapClient("127.0.0.1", site.icap_port, timeout=20) as client:
        answer = client.respmod("av/respmod", request, head, EICAR, preview=1024)
        assert answer.http_head.status == 403
        plain = b'HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename="a.iso"\r\n\r\n'
        assert client.respmod("av/respmod", request, plain, EICAR, preview=1024).status == 204


def test_a_policy_that_passes_failures_is_said_at_the_start(site: Site, started: Keep) -> None:
    site.changes = {"policy": {"error": "pass", "timeout": "block"}}
    output = started(site.start_icapd()).output()
    assert "the policy of this door passes error objects" in output
    assert output.count("the policy of this door passes") == 1, "what is shipped is no news"
