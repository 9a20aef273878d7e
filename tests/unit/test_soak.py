"""What `make soak` takes for a failure, on figures that are made up."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.core import CUT_OFF
from tests.soak import books
from tests.soak.answers import Answer, Finding, find
from tests.soak.flat import Disk, Life, growth
from tests.soak.measure import Held, Kept, held_by, kept_in, least
from tests.soak.plan import Broken, Door, Reload, Restart, make_plan
from tests.soak.things import Supply, Thing
from tests.soak.troubles import Troubles

CLEAN, BAD = Thing(b"clean", bad=False), Thing(b"bad", bad=True)
HELD = Held(2, 38, 19, 20, 100_000)
KEPT = Kept(0, 0, 0, 1000)


def life(*last: Held, after: Held = HELD) -> Life:
    """Flat, but for what the last third shows."""
    return Life(HELD, [*[HELD] * 6, *(last or [HELD] * 3)], after, learnt=0)


def test_what_is_flat_is_flat() -> None:
    busier = replace(HELD, threads=24, resident_kib=104_000)
    assert growth({"icapd": life(*[busier] * 3)}, Disk(KEPT, KEPT, 10)) == []


@pytest.mark.parametrize(
    ("grown", "words"),
    [
        (life(after=replace(HELD, descriptors=39)), "39 descriptors at rest, and had 38"),
        (life(after=replace(HELD, connections=40)), "40 connections at rest, and had 19"),
        (life(after=replace(HELD, processes=3)), "3 processes, and had 2"),
        (life(*[replace(HELD, threads=30)] * 3), "30 threads under load, and had 20"),
        (life(*[replace(HELD, resident_kib=110_000)] * 3), "holds 110,000 KiB under load"),
    ],
)
def test_what_a_daemon_holds_more_of_is_named(grown: Life, words: str) -> None:
    (sentence,) = growth({"icapd": grown}, Disk(KEPT, KEPT, 10))
    assert words in sentence
    assert sentence.startswith("icapd ")


def test_verdicts_that_were_learnt_may_stay_in_memory() -> None:
    grown = replace(life(*[replace(HELD, resident_kib=110_000)] * 3), learnt=5000)
    assert growth({"icapd": grown}, Disk(KEPT, KEPT, 10)) == []


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (replace(KEPT, spool_files=1), "spool files at rest: 1"),
        (replace(KEPT, spool_bytes=90), "spool bytes at rest: 90"),
        (replace(KEPT, journal_entries=2), "journal entries at rest: 2"),
        (replace(KEPT, log_bytes=90_000), "the logs grew by 89,000 bytes with 10 requests"),
    ],
)
def test_what_stays_on_disk_is_named(after: Kept, words: str) -> None:
    (sentence,) = growth({"icapd": life()}, Disk(KEPT, after, 10))
    assert words in sentence


def test_what_lies_on_disk_is_counted_but_not_what_waits_for_nothing(tmp_path: Path) -> None:
    spool, logs = tmp_path / "spool", tmp_path / "log"
    (spool / "soak.icap.0").mkdir(parents=True)
    logs.mkdir()
    (spool / "soak.icap.0" / "body").write_bytes(b"x" * 90)
    (spool / "soak.icap.0.lock").write_bytes(b"")
    (logs / "log-history.log").write_bytes(b"y" * 7)
    with contextlib.closing(sqlite3.connect(spool / "soak.icap.0.journal")) as journal:
        journal.executescript("""
            CREATE TABLE scans (state TEXT); CREATE TABLE cases (id TEXT);
            CREATE TABLE records (id TEXT); INSERT INTO cases VALUES ('a');
            INSERT INTO scans VALUES ('sent'), ('accepted'), ('done'), ('done');
        """)
    assert kept_in(spool, logs) == Kept(1, 90, 3, 7)


def test_a_descriptor_and_a_connection_are_told_apart() -> None:
    before = held_by(os.getpid())
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()),
    ):
        now = held_by(os.getpid())
    assert now.descriptors == before.descriptors + 1
    assert now.connections == before.connections + 1
    assert now.resident_kib > 1000
    assert now.threads >= 1


def test_what_is_held_for_a_moment_is_not_held() -> None:
    looks = [HELD, replace(HELD, descriptors=44), replace(HELD, threads=30, processes=1)]
    assert least(looks) == HELD


def line(case: str, number: int, decision: str = "pass", rule: str | None = None) -> bytes:
    context = {"url": f"http://h/{number}"}
    record = {"case": case, "name": "x", "decision": decision, "rule": rule, "context": context}
    return json.dumps(record).encode()


def test_each_answer_has_one_record_that_says_the_same() -> None:
    dropped: dict[str, object] = {"case": "d", "name": "4.bin", "decision": "block", "rule": None}
    dropped["context"] = {}
    lines = [
        line("a", 1),
        line("b", 2, "block"),
        line("c", 3, "block", CUT_OFF),  # the client left, and asked again
        line("e", 3),
        json.dumps(dropped).encode(),
        line("f", 9),  # answered to nobody
    ]
    answered = {1: Answer.CLEAN, 2: Answer.BLOCKED, 3: Answer.CLEAN, 4: Answer.BLOCKED}
    assert books.compare(lines, answered) == books.Books(6, 0, 0, 0)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], books.Books(0, missing=1, twice=0, other=0)),
        ([line("a", 1, rule=CUT_OFF)], books.Books(1, missing=1, twice=0, other=0)),
        ([line("a", 1), line("b", 1)], books.Books(2, missing=0, twice=1, other=0)),
        ([line("a", 1), line("a", 2)], books.Books(2, missing=0, twice=1, other=0)),
        ([line("a", 1, "block")], books.Books(1, missing=0, twice=0, other=1)),
    ],
)
def test_a_record_too_few_too_many_or_wrong_is_counted(
    lines: list[bytes], found: books.Books
) -> None:
    assert books.compare(lines, {1: Answer.CLEAN}) == found


FOUND = [
    (CLEAN, Answer.CLEAN, False, False, Finding.GOOD),
    (CLEAN, Answer.BLOCKED, False, False, Finding.WRONG),
    (CLEAN, Answer.BLOCKED, False, True, Finding.EXPLAINED),
    (CLEAN, Answer.CUT, False, False, Finding.FAILED),
    (CLEAN, Answer.ERROR, False, True, Finding.EXPLAINED),
    (BAD, Answer.BLOCKED, False, False, Finding.GOOD),
    (BAD, Answer.CUT, False, False, Finding.GOOD),
    (BAD, Answer.CLEAN, False, True, Finding.WRONG),
    (BAD, Answer.CLEAN, True, False, Finding.GOOD),
    (BAD, Answer.LATER, False, False, Finding.FAILED),
    (BAD, Answer.BLOCKED, True, True, Finding.WRONG),
]


@pytest.mark.parametrize(("thing", "answer", "watched", "explained", "wanted"), FOUND)
def test_what_an_answer_is_worth(
    thing: Thing, answer: Answer, watched: bool, explained: bool, wanted: Finding
) -> None:
    assert find(thing, answer, only_watched=watched, explained=explained) is wanted


def test_trouble_explains_what_was_under_way_and_nothing_else() -> None:
    troubles = Troubles([(10.0, 20.0), (30.0, float("inf"))])
    assert troubles.explain(5, 11)
    assert troubles.explain(12, 13)
    assert troubles.explain(19, 25)
    assert troubles.explain(40, 41)
    assert not troubles.explain(5, 9)
    assert not troubles.explain(21, 29)


@pytest.mark.parametrize("minutes", [0.5, 1, 30])
def test_a_plan_has_all_kinds_of_trouble_and_no_restart_in_its_second_half(minutes: float) -> None:
    plan = make_plan(minutes, "1")
    assert {step.door for step in plan.first if isinstance(step, Restart)} == set(Door)
    for half in (plan.first, plan.second):
        assert {type(step) for step in half} >= {Reload, Broken}
        reloads = [step.number for step in half if isinstance(step, Reload)]
        assert len(set(reloads)) == len(reloads)
    assert not any(isinstance(step, Restart) for step in plan.second)
    assert make_plan(minutes, "1") == plan
    without = make_plan(minutes, "1", reloads=False)
    assert not any(isinstance(step, Reload) for step in [*without.first, *without.second])


def test_a_supply_brings_known_and_new_things_the_same_ones_for_a_seed() -> None:
    one, two = Supply("1"), Supply("1")
    things = [one.next() for _ in range(400)]
    assert things == [two.next() for _ in range(400)]
    assert 50 < one.made < 150
    assert len({thing.body for thing in things}) <= one.made + 40
    assert 20 < sum(thing.bad for thing in things) < 200
