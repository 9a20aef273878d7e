"""What a reload changes, and what it keeps; all or nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from bridge.core import (
    RESTART_KEYS,
    Adopt,
    ConfigError,
    Configuration,
    Reloader,
    Settings,
    StartError,
    keep_fixed,
)
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site

TLS = {"listen": ["127.0.0.1:11344"], "cert": "client.pem", "key": "client.key"}


@pytest.fixture
def plain(tmp_path: Path) -> Site:
    put_certificate(tmp_path / "kata.pem", tmp_path / "kata.key")
    return Site(tmp_path / "site", "https://127.0.0.1:9443", tmp_path / "kata.pem")


def settings(site: Site, **changes: Any) -> Settings:
    site.changes = changes
    return site.settings()


OTHERS: dict[str, Any] = {
    "kata.urls": ["https://127.0.0.1:9444"],
    "kata.sensor_id": "00000000-0000-4000-8000-000000000001",
    "kata.node": "other",
    "kata.connections": 3,
    "kata.alerts": False,
    "verdicts.store": "sqlite:///elsewhere/verdicts.db",
    "verdicts.max_entries": 17,
    "spool.dir": "elsewhere",
    "icap.listen": ["127.0.0.1:1"],
    "icap.tls.listen": ["127.0.0.1:2"],
    "icap.workers": 4,
    "logs.dir": "elsewhere",
    "logs.syslog": {"url": "udp://127.0.0.1:514"},
    "notify": {"url": "http://127.0.0.1/hook"},
    "status.icapd": "127.0.0.1:3",
    "status.watch": "127.0.0.1:4",
}


@pytest.mark.parametrize("key", RESTART_KEYS)
def test_what_takes_a_restart_stays_and_is_named(plain: Site, key: str) -> None:
    running = settings(plain, icap={"tls": TLS})
    *sections, name = key.split(".")
    change: dict[str, Any] = {name: OTHERS[key]}
    for section in reversed(sections):
        change = {section: change}
    change.setdefault("icap", {}).setdefault("tls", {})
    for mine, value in TLS.items():
        change["icap"]["tls"].setdefault(mine, value)
    change["submit"] = {"types": ["executable"]}
    kept, changed = keep_fixed(running, settings(plain, **change))
    assert changed == [key]
    assert kept == running.model_copy(update={"submit": kept.submit})
    assert kept.submit.types != "all"


def test_trust_goes_with_its_nodes_and_a_certificate_with_its_id(plain: Site) -> None:
    """Half of such a change would have KATA refuse everything."""
    running = settings(plain)
    put_certificate(plain.directory / "new.pem", plain.directory / "new.key", "new")
    nodes = {"urls": ["https://127.0.0.1:9444"], "server_fingerprint": f"sha256:{'0' * 64}"}
    ours = {"client_cert": "new.pem", "client_key": "new.key"}
    number = {"sensor_id": "00000000-0000-4000-8000-000000000001"}
    for together, alone in ((nodes, "urls"), (number | ours, "sensor_id")):
        kept, changed = keep_fixed(running, settings(plain, kata=together))
        assert kept == running
        assert changed == [f"kata.{key}" for key in together]
        rest = {key: value for key, value in together.items() if key != alone}
        kept, changed = keep_fixed(running, settings(plain, kata=rest))
        assert kept != running
        assert changed == []


def test_tls_as_a_whole_comes_and_goes_by_a_restart_only(plain: Site) -> None:
    without, with_tls = settings(plain), settings(plain, icap={"tls": TLS})
    assert keep_fixed(without, with_tls) == (without, ["icap.tls"])
    assert keep_fixed(with_tls, without) == (with_tls, ["icap.tls"])
    assert keep_fixed(without, without) == (without, [])


def test_what_does_not_go_with_what_is_kept_is_refused(plain: Site) -> None:
    running = settings(plain, spool={"dir": "place/spool"})
    around = dict(plain.folder, input="place")
    wanted = settings(plain, spool={"dir": "elsewhere"}, folders=[around])
    with pytest.raises(
        StartError, match=r"spool\.dir cannot change without a restart, and .*place"
    ):
        keep_fixed(running, wanted)


# -- all or nothing ----------------------------------------------------------------------------


class Part:
    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.has: list[Settings] = []

    def prepare(self, settings: Settings) -> Adopt:
        if self.refuses:
            raise StartError("it does not like them.")
        return lambda: self.has.append(settings)


def test_all_parts_have_them_or_none(plain: Site) -> None:
    running, wanted = settings(plain), settings(plain, submit={"types": ["executable"]})
    first, second = Part(), Part(refuses=True)
    reloader = Reloader(running, first.prepare)
    reloader.join(second.prepare)
    with pytest.raises(StartError):
        asyncio.run(reloader.apply(wanted))
    assert (first.has, second.has, reloader.settings) == ([], [], running)
    second.refuses = False
    assert asyncio.run(reloader.apply(wanted)) == []
    assert (first.has, second.has, reloader.settings) == ([wanted], [wanted], wanted)


def test_each_hangup_is_answered_in_the_log(plain: Site, caplog: pytest.LogCaptureFixture) -> None:
    running = settings(plain)
    answers: list[Any] = [
        running,
        settings(plain, kata={"node": "other"}),
        ConfigError("k.yaml:1: one thing.\nk.yaml:2: another."),
        ValueError("a bug"),
        running,
    ]
    counted: list[str] = []

    def read() -> Settings:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Settings)
        return answer

    async def work() -> None:
        hangup = asyncio.Event()
        done = asyncio.Event()

        def count(result: str) -> None:
            counted.append(result)
            done.set()

        async with Reloader(running, count=count).at_each(hangup, Configuration("k.yaml", read)):
            while answers:
                hangup.set()
                await done.wait()
                done.clear()

    with caplog.at_level(logging.WARNING):
        asyncio.run(work())
    assert counted == ["ok", "ok", "refused", "refused", "ok"]
    said = [record.getMessage() for record in caplog.records if "configuration" in record.message]
    assert said == [
        "the configuration k.yaml is reloaded",
        "the configuration k.yaml is reloaded; what takes a restart stays as it was: kata.node",
        "the configuration k.yaml is not reloaded: k.yaml:1: one thing; k.yaml:2: another; "
        "the old one stays in force",
        "the configuration k.yaml is not reloaded: it failed at it; the old one stays in force",
        "the configuration k.yaml is reloaded",
    ]


def test_a_disk_that_does_not_answer_is_not_waited_for(
    plain: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.core.reloading._PATIENCE_SECONDS", 0.2)
    running = settings(plain)
    answers = threading.Event()
    counted: list[str] = []

    def read() -> Settings:
        answers.wait(60)
        return running

    async def work() -> None:
        hangup = asyncio.Event()
        reloader = Reloader(running, count=counted.append)
        async with reloader.at_each(hangup, Configuration("k.yaml", read)):
            for count in (1, 2, 3):
                if count == 3:
                    answers.set()
                    while reloader._hangs is None or not reloader._hangs.done():
                        await asyncio.sleep(0.01)
                hangup.set()
                while len(counted) < count:
                    await asyncio.sleep(0.01)

    with caplog.at_level(logging.WARNING):
        asyncio.run(work())
    assert counted == ["refused", "refused", "ok"]
    said = [record.getMessage() for record in caplog.records]
    assert "a disk did not answer within 0 s" in said[0]
    assert "the reload before still waits for a disk that does not answer" in said[1]


def test_nothing_is_put_in_force_once_the_program_stops(
    plain: Site, caplog: pytest.LogCaptureFixture
) -> None:
    running, part = settings(plain), Part()
    at_disk, answers = threading.Event(), threading.Event()

    def slow(_: Settings) -> Adopt:
        at_disk.set()
        answers.wait(60)
        return lambda: None

    async def work(*, cancel: bool) -> None:
        hangup, stop, counted = asyncio.Event(), asyncio.Event(), asyncio.Event()
        reloader = Reloader(running, slow, part.prepare, count=lambda _: counted.set())
        reloader.end_at(stop)
        source = Configuration("k.yaml", lambda: running)
        async with reloader.at_each(hangup, source):
            hangup.set()
            await asyncio.to_thread(at_disk.wait, 60)
            stop.set()
            if not cancel:
                answers.set()
                await counted.wait()
        answers.set()

    with caplog.at_level(logging.WARNING):
        for cancel in (False, True):
            at_disk.clear()
            answers.clear()
            asyncio.run(work(cancel=cancel))
            assert [record.getMessage() for record in caplog.records] == [
                "the configuration k.yaml is not reloaded: the program stops; "
                "the old one stays in force"
            ]
            caplog.clear()
    assert not part.has
