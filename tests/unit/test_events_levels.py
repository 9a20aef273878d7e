"""What of a process is an outage."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core import Decision, Door, Outage
from bridge.core.events.levels import KINDS, State, levels, store_name
from bridge.core.health import KataState
from bridge.core.process import Descriptors
from bridge.core.records import Receiver
from bridge.folder.outages import FolderOutages
from tests.support.events import NOON, Process, lines, read_all

FINE = State(
    kata={"https://a": (KataState.OK, "HTTP 200")},
    full={},
    collector=Receiver("tls://siem:6514", ""),
    webhook=None,
    store=Receiver("/verdicts.db", ""),
    bypass_until=None,
    door=Door.ICAP,
    instance="gw.icap.0",
    descriptors=Descriptors(299, 300),
)


def test_nothing_is_out_where_all_is_well() -> None:
    assert levels(FINE) == {}


def test_every_part_is_an_outage_of_its_own() -> None:
    state = State(
        kata={
            "https://a": (KataState.UNREACHABLE, "refused"),
            "https://b": (KataState.NOT_ACCEPTED, "HTTP 401"),
            "https://c": (KataState.OK, "HTTP 200"),
        },
        full={Path("/log/h.log"): "No space", Path("/spool"): "full"},
        collector=Receiver("tls://siem:6514", "refused"),
        webhook=Receiver("https://hook", "HTTP 500"),
        store=Receiver("/verdicts.db", "locked"),
        bypass_until=NOON,
        door=Door.FOLDER,
        instance="gw.folder.0",
        descriptors=Descriptors(300, 300),
    )
    found = levels(state)
    assert set(found) == {
        ("kata_unreachable", "https://a"),
        ("kata_not_accepted", "https://b"),
        ("disk_full", "/log/h.log"),
        ("disk_full", "/spool"),
        ("syslog_away", "tls://siem:6514"),
        ("webhook_away", "https://hook"),
        ("store_failing", "/verdicts.db"),
        ("bypass_on", "FOLDER"),
        ("out_of_descriptors", "gw.folder.0"),
    }
    assert all(found.values())
    assert {subject.kind for subject in found} == set(KINDS)


def test_what_no_part_knows_yet_is_not_known() -> None:
    state = FINE._replace(
        kata={"https://a": (KataState.UNKNOWN, "")}, collector=Receiver("udp://s:514", None)
    )
    assert levels(state) == {
        ("kata_unreachable", "https://a"): None,
        ("kata_not_accepted", "https://a"): None,
        ("syslog_away", "udp://s:514"): None,
    }


def test_no_password_of_a_store_is_told() -> None:
    assert store_name("sqlite:///var/lib/v.db") == "/var/lib/v.db"
    assert store_name("rediss://u:secret@db.example/2") == "rediss://db.example:6379/2"


def test_a_folder_tells_of_its_input_and_its_targets(tmp_path: Path) -> None:
    process = Process(tmp_path)
    folder = FolderOutages(process.events, "x")
    folder.input_is("")
    folder.files_have({"/out": "it is full", "claiming": "no right"}, idle=False)
    folder.input_is("gone")
    process.see(0)
    folder.input_is("")
    folder.files_have({"claiming": "no right"}, idle=False)
    process.see(5)
    process.see(10)
    assert read_all(tmp_path) == {("share_gone", 0, None), ("target_failing", 0, 0)}
    folder.files_have({}, idle=False)
    process.see(15)
    assert lines(tmp_path)[-1] == ("share_gone", "ends", 10)
    process.events.close()


@pytest.mark.parametrize("by", ["idle", "delivered"])
def test_a_target_is_not_taken_for_well_before_it_was_tried(tmp_path: Path, by: str) -> None:
    first = Process(tmp_path)
    first.see(0, target_failing=True)
    first.kill()
    second = Process(tmp_path, now=NOON + 10)
    folder = FolderOutages(second.events, "x")
    folder.files_have({}, idle=False)
    folder.ended(Decision.SKIP)
    folder.files_have({}, idle=False)
    second.see(20)
    second.see(30)
    assert read_all(tmp_path) == {("target_failing", 0, None)}
    if by == "delivered":
        folder.ended(Decision.PASS)
    folder.files_have({}, idle=by == "idle")
    second.see(40)
    assert read_all(tmp_path) == {("target_failing", 0, 30)}
    second.events.close()


def test_an_outage_has_the_shape_of_the_contract() -> None:
    assert Outage._fields == ("kind", "subject", "begin", "end", "detail", "instances")
