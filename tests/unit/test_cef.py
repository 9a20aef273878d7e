"""What a SIEM gets to see of a record, to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.core import Case, Decision, Door, Mode, Outcome, OutcomeKind, Source
from bridge.core.cef import format_cef, syslog_severity
from bridge.core.records import format_record
from tests.property.cef_parser import parse

RECORD: dict[str, Any] = {
    "time": "2026-11-24T10:15:00.123+03:00",
    "case": "7k3m9q2w5x8z4b6d",
    "door": "ICAP",
    "name": "a=b.exe",
    "size": 68,
    "sha256": "ab" * 32,
    "md5": "cd" * 16,
    "outcome": "detect",
    "source": "kata",
    "decision": "block",
    "late": False,
    "mode": "blocking_advanced",
    "rule": None,
    "threat": "HEUR:Trojan|x",
    "technology": "sandbox",
    "scan_id": "s-1",
    "waited_ms": 61000,
    "context": {
        "service": "av/respmod",
        "proxy": "10.0.0.2",
        "client_ip": "10.1.2.3",
        "user": "CORP\\ann",
        "method": "GET",
        "url": "http://evil.example/a?b=c",
    },
}


def cef(changes: dict[str, Any] | None = None) -> tuple[list[str], dict[str, str]]:
    return parse(format_cef(RECORD | (changes or {}), version="1.0", host="gate"))


def test_a_detection_to_the_letter() -> None:
    assert format_cef(RECORD, version="1.0|a\\b\n", host="gate") == (
        r"CEF:0|katabridge|katabridge|1.0\|a\\b |detect|Threat detected|8|"
        "rt=1795504500123 dvchost=gate externalId=7k3m9q2w5x8z4b6d outcome=detect act=block "
        f"fileHash={'ab' * 32} cat=ICAP fsize=68 cn1=61000 cn1Label=Waited ms "
        "cs1=HEUR:Trojan|x cs1Label=Threat cs2=sandbox cs2Label=Technology "
        "cs3=blocking_advanced cs3Label=Mode cs4=s-1 cs4Label=Scan ID "
        f"cs5={'cd' * 16} cs5Label=MD5 cs6=kata cs6Label=Verdict source "
        "src=10.1.2.3 flexString2=10.0.0.2 flexString2Label=Proxy requestMethod=GET "
        r"sourceServiceName=av/respmod fname=a\=b.exe suser=CORP\\ann "
        r"dhost=evil.example request=http://evil.example/a?b\=c"
    )


def test_a_file_that_was_moved() -> None:
    context = {"folder": "in", "path": "/in/a", "moved_to": "/q/a", "note": "n", "try": "2"}
    values = cef({"context": context})[1]
    assert (values["filePath"], values["oldFilePath"]) == ("/q/a", "/in/a")
    assert values["sourceServiceName"] == "in"
    assert values["msg"] == "note: n; try: 2"
    values = cef({"context": context | {"moved_to": None}})[1]
    assert values["filePath"] == "/in/a"
    assert "oldFilePath" not in values


def test_the_reason_is_the_rule_or_why_there_is_no_verdict() -> None:
    why = {"outcome": "unavailable", "detail": "no route to host"}
    assert cef(why)[1]["reason"] == "no route to host"
    assert cef(why | {"rule": "bypass"})[1]["reason"] == "bypass"


def test_an_ipv6_client_has_its_own_key() -> None:
    values = cef({"context": {"client_ip": "2001:db8::1"}})[1]
    assert values["c6a2"] == "2001:db8::1"
    assert values["c6a2Label"] == "Source IPv6 Address"
    assert "src" not in values


@pytest.mark.parametrize("time", [None, "", "yesterday", "2026-11-24T10:15:00", "0001-01-01"])
def test_a_time_that_is_none_is_left_out(time: str | None) -> None:
    assert "rt" not in cef({"time": time})[1]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("outcome", "decision", "severity", "syslog"),
    [
        ("not_detected", "pass", "0", 6),
        ("detect", "block", "8", 4),
        ("detect", "hold", "8", 4),
        ("detect", "pass", "10", 1),
        ("detect", "skip", "10", 1),
        ("detect", None, "10", 1),
        ("error", "block", "6", 3),
        ("timeout", "block", "6", 3),
        ("unavailable", "pass", "6", 3),
        ("oversize", "pass", "4", 5),
        ("pending", "hold", "3", 5),
        ("excluded", "pass", "2", 5),
        ("of a later version", "pass", "6", 3),
        (None, "pass", "6", 3),
    ],
)
def test_severities(
    outcome: str | None, decision: str | None, severity: str, syslog: int, late: bool
) -> None:
    changes = {"outcome": outcome, "decision": decision, "late": late}
    header, values = cef(changes)
    assert header[3] == ("late_" if late else "") + (outcome or "unknown")
    assert header[4].endswith(" late") == late
    assert header[5] == severity
    assert values.get("flexString1") == ("true" if late else None)
    assert syslog_severity(RECORD | changes) == syslog


def test_every_outcome_has_a_name_of_its_own() -> None:
    names = {cef({"outcome": kind})[0][4] for kind in OutcomeKind} | {cef({"outcome": "x"})[0][4]}
    assert len(names) == len(OutcomeKind) + 1


def test_the_longest_value_is_cut_first() -> None:
    url = "http://evil.example/" + "=" * 40_000
    line = format_cef(
        RECORD | {"name": "ж" * 3000, "context": {"url": url}}, version="1", host="gate"
    )
    assert 32_760 <= len(line.encode()) <= 32_768
    values = parse(line)[1]
    assert values["fname"] == "ж" * 3000
    assert values["request"].endswith("=…")
    assert url.startswith(values["request"].removesuffix("…"))


def test_too_little_space_is_refused() -> None:
    with pytest.raises(ValueError, match="2047 bytes are too few"):
        format_cef(RECORD, version="1", host="gate", max_bytes=2047)


def test_the_record_that_a_case_leaves() -> None:
    case = Case(Door.ICAP, Mode.ADVANCED, "x", {"url": "http://a/"})
    outcome = Outcome(OutcomeKind.DETECT, Source.KATA, threat="EICAR")
    line = format_record(case, None, outcome, Decision.BLOCK)
    values = parse(format_cef(json.loads(line), version="1", host="gate"))[1]
    assert values["externalId"] == case.id
    assert values["rt"].isdigit()
    assert values["cs1"] == "EICAR"
