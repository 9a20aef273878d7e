"""A reload over several workers: read elsewhere, handed to all, and waited for only so long."""

from __future__ import annotations

import logging
import os
import pickle
import selectors
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.core import ConfigError, Configuration, Settings
from icapd.workers.children import Child
from icapd.workers.link import Listener
from icapd.workers.reloading import ServiceReload
from icapd.workers.supervision import Member
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site
from tests.support.processes import wait_until


class Worker(Listener):
    """The supervisor's end of a worker, without the worker."""

    def __init__(self, *, hears: bool = True) -> None:
        self.told = 0
        self._hears = hears

    def tell_reload(self) -> bool:
        self.told += self._hears
        return self._hears


def fork(run: Callable[[], int], close: Callable[[], None]) -> int:
    pid = os.fork()
    if not pid:
        try:
            close()
            os._exit(run())
        finally:
            os._exit(70)
    return pid


class Service:
    def __init__(self, settings: Settings, read: Callable[[], Settings]) -> None:
        self.selector = selectors.DefaultSelector()
        self.counted: list[str] = []
        self.children = [Child(Member(n), 100 + n, Worker()) for n in range(2)]
        self.reload = ServiceReload(
            settings,
            Configuration("k.yaml", read),
            [],
            fork=fork,
            selector=self.selector,
            count=self.counted.append,
        )

    def turn(self, now: float = 0.0) -> bool:
        """One turn of the supervisor's loop; False."""
        self.selector.select(0.05)
        self.reload.go_on(self.children, now)
        return False

    def told(self) -> list[int]:
        return [child.link.told for child in self.children if isinstance(child.link, Worker)]

    def hand_out(self) -> None:
        """Turn until the workers are told."""
        self.reload.want()
        before = self.told()
        wait_until(lambda: self.turn() or self.told() != before, "they are told")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    put_certificate(tmp_path / "kata.pem", tmp_path / "kata.key")
    return Site(tmp_path / "site", "https://127.0.0.1:9443", tmp_path / "kata.pem").settings()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    with caplog.at_level(logging.WARNING):
        yield lambda: [record.getMessage() for record in caplog.records]


def other(settings: Settings) -> Settings:
    return settings.model_copy(update={"exclude_lists": [Path("/a")]})


def test_it_is_done_when_all_have_answered(
    settings: Settings, said: Callable[[], list[str]]
) -> None:
    service = Service(settings, lambda: other(settings))
    service.hand_out()
    assert service.told() == [1, 1]
    given = service.reload.handed.get()
    assert given is not None and given.number == 1
    assert given.settings() == other(settings) == service.reload.settings
    first, second = service.children
    service.reload.answered(first, 1, "")
    assert not said()
    service.reload.want()  # once more, in the middle
    service.turn()
    assert service.told() == [1, 1]
    service.reload.ended(second)  # one that dies is started anew, with the new ones
    assert said() == ["the configuration k.yaml is reloaded"]
    wait_until(lambda: service.turn() or service.told() == [2, 2], "the second begins")
    service.reload.answered(first, 2, "")
    service.reload.answered(second, 2, "it failed at it")
    assert said()[1:] == ["worker 1 keeps the old k.yaml: it failed at it"]
    assert service.counted == ["ok", "refused"]
    service.reload.answered(second, 2, "")  # nobody asked
    assert service.counted == ["ok", "refused"]


def test_one_that_does_not_answer_is_not_waited_for(
    settings: Settings, said: Callable[[], list[str]]
) -> None:
    service = Service(settings, lambda: settings)
    service.children[1].link = Worker(hears=False)
    service.hand_out()
    assert said() == [
        "worker 1 does not have the new k.yaml yet: it does not listen to its supervisor"
    ]
    service.turn(14.9)
    assert len(said()) == 1
    service.turn(15.1)
    assert said()[1] == "worker 0 does not have the new k.yaml yet: it did not answer within 15 s"
    assert service.counted == ["refused"]
    service.children.clear()
    service.reload.want()
    wait_until(lambda: service.turn() or len(service.counted) > 1, "nobody is there to ask")
    assert service.counted == ["refused", "ok"]


def test_what_cannot_be_read_is_refused(settings: Settings, said: Callable[[], list[str]]) -> None:
    def read() -> Settings:
        raise ConfigError("k.yaml:1: one.\nk.yaml:2: two.")

    service = Service(settings, read)
    service.reload.want()
    wait_until(lambda: service.turn() or service.counted, "it is refused")
    assert said() == [
        "the configuration k.yaml is not reloaded: k.yaml:1: one; k.yaml:2: two; "
        "the old one stays in force"
    ]
    assert (service.told(), service.counted) == ([0, 0], ["refused"])
    assert service.reload.settings is settings


def test_a_disk_that_does_not_answer_stops_no_supervisor(
    settings: Settings, said: Callable[[], list[str]]
) -> None:
    def read() -> Settings:
        time.sleep(60)
        return settings

    service = Service(settings, read)
    service.reload.want()
    for now in (0.0, 1.0, 14.9):
        service.turn(now)
    assert not said()
    service.turn(15.1)
    assert said() == [
        "the configuration k.yaml is not reloaded: a disk did not answer within 15 s; "
        "the old one stays in force"
    ]
    wait_until(lambda: service.turn(15.2) or not service.reload._closed, "it is ended")
    assert not service.selector.get_map()


def test_a_reader_that_dies_is_said(settings: Settings, said: Callable[[], list[str]]) -> None:
    service = Service(settings, lambda: os._exit(9))
    service.reload.want()
    wait_until(lambda: service.turn() or service.counted, "it is refused")
    assert "the process that was to read it ended" in said()[0]


def test_a_late_answer_is_said_and_counts_for_no_other_reload(
    settings: Settings, said: Callable[[], list[str]]
) -> None:
    service = Service(settings, lambda: settings)
    first, second = service.children
    service.hand_out()
    service.reload.answered(first, 1, "")
    service.turn(15.1)
    assert said() == ["worker 1 does not have the new k.yaml yet: it did not answer within 15 s"]
    service.reload.answered(second, 1, "")
    service.reload.answered(second, 1, "")
    assert said()[1:] == ["worker 1 has the new k.yaml now"]
    assert service.counted == ["refused"]

    service.hand_out()
    service.turn(30.2)  # both are late
    assert service.counted == ["refused"] * 2
    service.hand_out()
    before = said()
    service.reload.answered(first, 2, "")  # to the one before
    service.reload.answered(second, 2, "it failed at it")
    assert (said(), service.counted) == (before, ["refused"] * 2)
    service.reload.answered(first, 3, "")
    service.reload.answered(second, 3, "")
    assert said()[len(before) :] == ["the configuration k.yaml is reloaded"]
    assert service.counted == ["refused", "refused", "ok"]


@pytest.mark.parametrize("is_handed", [False, True], ids=["is read", "is handed"])
def test_a_stop_ends_a_reload_and_nothing_is_said_to_be_done(
    settings: Settings, said: Callable[[], list[str]], is_handed: bool
) -> None:
    def read() -> Settings:
        if not is_handed:
            time.sleep(60)
        return settings

    service = Service(settings, read)
    first, second = service.children
    if is_handed:
        service.hand_out()
        service.reload.answered(first, 1, "")
        words = "worker 1 may not have the new k.yaml: the program stops"
    else:
        service.reload.want()
        service.turn()
        words = "the configuration k.yaml is not reloaded: the program stops; "
        words += "the old one stays in force"
    service.reload.stop()
    service.reload.ended(second)  # killed by the stop
    service.reload.ended(first)
    assert (said(), service.counted) == ([words], [])
    wait_until(lambda: service.turn() or not service.reload._closed, "nobody reads any longer")
    assert not service.selector.get_map()


def test_a_reader_that_ends_in_the_middle_is_said(
    settings: Settings, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pickle.dumps
    monkeypatch.setattr("icapd.workers.reading.pickle.dumps", lambda each: whole(each)[:-50])
    service = Service(settings, lambda: settings)
    service.reload.want()
    wait_until(lambda: service.turn() or service.counted, "it is refused")
    assert "the process that was to read it ended" in said()[0]


def test_what_cannot_be_handed_is_refused_as_a_whole(
    settings: Settings, said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(settings, lambda: other(settings))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(service.reload.handed, "put", full)
    service.reload.want()
    wait_until(lambda: service.turn() or service.counted, "it is refused")
    assert "it cannot be handed to the workers: No space left on device" in said()[0]
    assert (service.told(), service.reload.settings) == ([0, 0], settings)
