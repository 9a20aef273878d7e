"""What the guarded pages of the status page do when logs are long, and many ask."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.core import (
    DETECTS,
    HISTORY,
    VERDICT_LOG,
    WATCH_LOG,
    Case,
    Decision,
    Door,
    KnownBytes,
    Mode,
    Outcome,
    OutcomeKind,
    Source,
)
from bridge.core.records import format_record
from bridge.status import cases as case_pages
from bridge.status import guarded, searching
from bridge.status.shared import Shared
from tests.support.katabridge import Site
from tests.support.processes import free_port

TOKEN = "token-of-sixteen-signs"


def get(site: Site, path: str, token: str = TOKEN) -> tuple[int, Any]:
    """One question to pages of their own."""

    async def main() -> tuple[int, Any]:
        app = web.Application()
        app.add_routes(guarded.GuardedPages(site.settings(), "preprocessor_icap.log").routes())
        async with TestClient(TestServer(app)) as client:
            answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
            return answer.status, json.loads(await answer.text())

    return asyncio.run(main())


@pytest.mark.parametrize("content_type", ["application/json; charset=foo", "text/plain", ""])
def test_what_is_no_json_object_is_refused_whatever_it_calls_itself(
    site: Site, content_type: str
) -> None:
    async def main() -> tuple[int, str]:
        app = web.Application()
        app.add_routes(guarded.GuardedPages(site.settings(), "x.log").routes())
        async with TestClient(TestServer(app)) as client:
            fields = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type}
            path = f"/api/known/{'0' * 64}"
            answer = await client.post(path, data=b'"forget"', headers=fields)
            return answer.status, await answer.text()

    assert asyncio.run(main()) == (400, "a JSON object is expected")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path, "https://127.0.0.1:1", tmp_path / "client.pem")
    site.changes = {"status": {"token": TOKEN}}
    (tmp_path / "log").mkdir()
    return site


def test_a_search_that_is_cut_off_does_not_say_that_there_is_no_case(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [Case(Door.ICAP, Mode.ADVANCED, f"n{n}", {}) for n in range(20_000)]
    clean = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA)
    lines = [format_record(case, None, clean, Decision.PASS) for case in cases]
    log = site.directory / "log" / "log-history.log"
    log.write_bytes(b"\n".join([*lines, b""]))
    (site.directory / "log" / "log-detects.log").touch()
    status, found = get(site, f"/api/case/{cases[0].id}")
    assert (status, found["record"]["name"], found["complete"]) == (200, "n0", True)
    monkeypatch.setattr(searching, "_SECONDS", 0)
    status, found = get(site, f"/api/case/{cases[0].id}")
    assert (status, found["record"], found["complete"]) == (200, None, False)


@pytest.mark.parametrize("missing", [DETECTS, HISTORY])
def test_a_log_that_is_gone_is_named_and_the_rest_is_shown(site: Site, missing: str) -> None:
    case = Case(Door.ICAP, Mode.ADVANCED, "n", {})
    bad = Outcome(OutcomeKind.DETECT, Source.KATA)
    logs = site.directory / "log"
    for log in {DETECTS, HISTORY} - {missing}:
        (logs / log).write_bytes(format_record(case, None, bad, Decision.BLOCK) + b"\n")
    status, found = get(site, f"/api/case/{case.id}")
    shown = [found["record"], *found["detections"]]
    assert (status, found["complete"]) == (200, True)
    assert [each["name"] for each in shown if each is not None] == ["n"]
    why = f"{logs / missing} cannot be read: No such file or directory"
    assert found["missing"] == {missing: why}


def rescanned(site: Site, times: int) -> list[Case]:
    """The case of a file in quarantine, and those of who had it judged anew and then deleted it."""
    bad, by_hand = (Outcome(OutcomeKind.DETECT, source) for source in (Source.KATA, Source.RULE))
    cases = [Case(Door.FOLDER, Mode.ADVANCED, "n0", {})]
    for at in range(1, times + 2):
        context: dict[str, str | None] = {"by": "ann", "quarantined_as": cases[-1].id}
        cases.append(Case(Door.FOLDER, Mode.ADVANCED, f"n{at}", context))
    outcomes = [bad] * (times + 1) + [by_hand]
    told = zip(cases, outcomes, strict=True)
    lines = [format_record(case, None, outcome, Decision.BLOCK) for case, outcome in told]
    logs = site.directory / "log"
    (logs / HISTORY).write_bytes(b"\n".join([*lines, b""]))
    (logs / DETECTS).touch()
    return cases


def acts_of(site: Site, case: Case) -> tuple[list[str], bool]:
    """The names in its page's acts, and whether that is all."""
    _, found = get(site, f"/api/case/{case.id}")
    return [each["name"] for each in found["acts"]], found["complete"]


def test_what_was_done_is_followed_through_all_that_was_judged_anew(site: Site) -> None:
    first, second, *_, last = rescanned(site, 3)
    assert acts_of(site, first) == (["n4", "n3", "n2", "n1"], True)
    assert acts_of(site, second) == (["n4", "n3", "n2"], True)
    assert acts_of(site, last) == ([], True)


def test_who_has_a_file_judged_anew_without_end_keeps_no_page_busy(site: Site) -> None:
    first, *_ = rescanned(site, 12)
    assert acts_of(site, first) == ([f"n{at}" for at in range(11, 0, -1)], False)


def test_a_slow_disk_does_not_have_what_was_judged_anew_followed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = rescanned(site, 3)
    monkeypatch.setattr(case_pages, "_RESCANS_SECONDS", -1.0)
    assert acts_of(site, first) == (["n1"], False)


def test_a_service_log_that_cannot_be_read_costs_its_lines_only(site: Site) -> None:
    case = Case(Door.ICAP, Mode.ADVANCED, "n", {})
    clean = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA)
    logs = site.directory / "log"
    (logs / HISTORY).write_bytes(format_record(case, None, clean, Decision.PASS) + b"\n")
    (logs / DETECTS).touch()
    (logs / VERDICT_LOG).mkdir()
    (logs / WATCH_LOG).write_text(f"case {case.id} passed\n")
    status, found = get(site, f"/api/case/{case.id}")
    assert (status, found["record"]["name"]) == (200, "n")
    assert found["log"] == [f"case {case.id} passed"]
    assert found["missing"] == {VERDICT_LOG: f"{logs / VERDICT_LOG} cannot be read: Is a directory"}


@pytest.mark.parametrize("store", ["redis", "sqlite"])
def test_what_is_known_is_not_known_where_the_store_fails(site: Site, store: str) -> None:
    place = site.directory / "no-folder"
    place.touch()
    stores = {"redis": f"redis://127.0.0.1:{free_port()}/0", "sqlite": f"sqlite://{place}/v.db"}
    site.changes["verdicts"] = {"store": stores[store]}
    case, body = Case(Door.ICAP, Mode.ADVANCED, "n", {}), KnownBytes("ab" * 32, 1)
    bad = Outcome(OutcomeKind.DETECT, Source.KATA)
    logs = site.directory / "log"
    (logs / HISTORY).write_bytes(format_record(case, body, bad, Decision.BLOCK) + b"\n")
    (logs / DETECTS).touch()
    status, found = get(site, f"/api/case/{case.id}")
    assert (status, found["record"]["name"], found["known"]) == (200, "n", None)
    assert "the verdict store" in found["known_fault"]
    assert "fails" in found["known_fault"] or "cannot be used" in found["known_fault"]


def test_a_user_is_found_by_a_part_and_by_the_whole_name(site: Site) -> None:
    clean = Outcome(OutcomeKind.NOT_DETECTED, Source.KATA)
    cases = [
        Case(Door.ICAP, Mode.ADVANCED, name, {"user": name}) for name in ("Ivan", "ivanova", "x")
    ]
    lines = [format_record(case, None, clean, Decision.PASS) for case in cases]
    (site.directory / "log" / HISTORY).write_bytes(b"\n".join([*lines, b""]))
    for query, expected in (("user=ivan", ["ivanova", "Ivan"]), ("user_is=ivan", ["Ivan"])):
        status, found = get(site, f"/api/history?{query}")
        assert (status, [each["name"] for each in found["cases"]]) == (200, expected)


def test_many_wrong_tokens_are_one_line(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guarded, "_WRONG_SECONDS", 0)

    async def main() -> None:
        pages = guarded.GuardedPages(site.settings(), "x.log")
        for _ in range(50):
            await pages._wrong("10.0.0.1")

    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "a wrong token is shown by 10.0.0.1; 1 so far"
    ]


def test_who_asks_at_the_same_time_shares_an_answer() -> None:
    made = 0

    async def make() -> bytes:
        nonlocal made
        made += 1
        await asyncio.sleep(0)
        return b"answer"

    async def main() -> None:
        shared = Shared(make)
        assert set(await asyncio.gather(*(shared.get() for _ in range(100)))) == {b"answer"}

    asyncio.run(main())
    assert made == 1
