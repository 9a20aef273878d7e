"""New settings for a core that runs: what they change, and when."""

from __future__ import annotations

import logging

import pytest

from bridge.core import (
    Case,
    Core,
    Decision,
    Door,
    Mode,
    Origin,
    Outcome,
    OutcomeKind,
    Settings,
    Source,
)
from bridge.core.kata.enrolment import certificate_expiry
from bridge.emulator import Emulator
from tests.support.judging import make_item, with_core
from tests.support.katabridge import Site
from tests.support.waiting import until

DETECT = Outcome(OutcomeKind.DETECT, Source.KATA)


def new_case() -> Case:
    case = Case(Door.ICAP, Mode.ADVANCED, "a", {"service": "av/respmod"})
    case.origin = Origin(source="10.1.1.1")
    return case


def settings(site: Site, **changes: object) -> Settings:
    site.changes = changes
    return site.settings()


def test_a_case_ends_by_the_rules_that_it_began_by(kata: Emulator, site: Site) -> None:
    del kata
    strict = site.settings()
    lax = settings(
        site,
        exclusions=[{"source": "10.0.0.0/8"}],
        submit={"types": ["executable"]},
        policy={"detect": "pass", "unavailable": "pass"},
    )
    site.changes = {}

    async def work(core: Core) -> None:
        before = new_case()
        before.rules = core.rules
        core.prepare(lax)()
        item = await make_item(core, b"text")
        for case, excluded, decision in (
            (before, False, Decision.BLOCK),
            (new_case(), True, Decision.PASS),
        ):
            assert (core.excluded(case) is not None) is excluded
            outcome = await core.judge(case, item)
            assert (outcome.kind is OutcomeKind.EXCLUDED) is excluded
            assert core.decide(case, DETECT) is decision
        core.prepare(strict)()
        assert core.excluded(new_case()) is None

    with_core(site, work)


def test_what_is_risky_is_said_once_it_is_in_force(
    kata: Emulator, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    del kata
    lax = settings(site, policy={"error": "pass"}, exclusions=[{"host": "a.example"}])
    site.changes = {}

    async def work(core: Core) -> None:
        caplog.clear()
        adopt = core.prepare(lax)
        assert not caplog.records
        adopt()
        said = " ".join(record.getMessage() for record in caplog.records)
        assert "passes error objects" in said
        assert "stands on what a stranger can choose" in said

    with caplog.at_level(logging.WARNING):
        with_core(site, work)


def test_a_certificate_is_looked_at_with_the_settings_that_name_it(
    kata: Emulator, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    del kata
    looks: list[object] = []

    def look(path: object) -> object:
        looks.append(path)
        return certificate_expiry(site.directory / "client.pem")

    monkeypatch.setattr("bridge.core.engine.certificate_expiry", look)

    async def work(core: Core) -> None:
        await until(lambda: len(looks) == 1)
        core.prepare(core.settings)()
        await until(lambda: len(looks) == 2)

    with_core(site, work)


def test_the_smaller_limit_counts_ours_or_katas(kata: Emulator, site: Site) -> None:
    kata.memory.max_object_size = 50 << 20

    def of(size: str) -> Settings:
        return settings(site, kata={"max_object_size": size})

    wanted = [of(size) for size in ("30MiB", "100MiB", "20MiB", "60MiB")]
    site.changes = {}

    async def work(core: Core) -> None:
        submitter = core._submitter
        await until(lambda: submitter.max_object_size == 50 << 20)
        seen = []
        for each in wanted:
            core.prepare(each)()
            seen.append(submitter.max_object_size >> 20)
        assert seen == [30, 50, 20, 50]

    with_core(site, work)
