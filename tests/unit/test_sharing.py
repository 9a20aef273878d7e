"""What each worker gets of a limit that is written for the whole service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import Decision, OutcomeKind, Settings, load_config, share
from bridge.core.settings.parts import exact_part, uneven_part
from icapd.service import istag
from tests.support.katabridge import Site

COUNTS = st.integers(1, 64)


@given(st.integers(0, 1 << 40), COUNTS)
def test_exact_parts_add_up_to_the_whole(whole: int, workers: int) -> None:
    parts = [exact_part(whole, workers, worker, least=0) for worker in range(workers)]
    assert sum(parts) == whole
    assert max(parts) - min(parts) <= 1


@given(st.integers(1, 100), COUNTS)
def test_nobody_gets_nothing(whole: int, workers: int) -> None:
    assert min(exact_part(whole, workers, worker) for worker in range(workers)) >= 1


@given(st.integers(1, 1 << 20), COUNTS)
def test_an_uneven_part_is_more_than_the_mean_and_never_more_than_all(
    whole: int, workers: int
) -> None:
    part = uneven_part(whole, workers)
    assert 1 <= part <= whole
    assert part == whole or part > whole / workers


def test_a_single_worker_has_everything() -> None:
    assert uneven_part(2000, 1) == exact_part(2000, 1, 0) == 2000


def test_the_kernel_may_be_unfair_by_chance() -> None:
    assert uneven_part(2000, 2) == 1000 + 127


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return _settings(tmp_path, {"workers": 3, "max_connections_per_client": 100})


def _settings(folder: Path, icap: dict[str, Any]) -> Settings:
    site = Site(folder / "site", "https://cn.example", folder / "site" / "client.pem")
    site.changes = {
        "icap": icap,
        "kata": {"max_in_flight": 100, "connections": 2, "server_ca": "client.pem"},
        "spool": {"memory_total": "64MiB", "max_bytes": "1GiB"},
        "logs": {"syslog": {"url": "udp://siem.example:514", "queue": "2MiB"}},
        "notify": {"url": "http://hook.example/", "queue": "30MiB"},
    }
    return site.settings()


def test_what_is_dealt_out(settings: Settings) -> None:
    parts = [share(settings, worker) for worker in range(3)]
    assert [part.kata.max_in_flight for part in parts] == [34, 33, 33]
    assert [part.kata.connections for part in parts] == [1, 1, 1]
    assert sum(part.kata.queue for part in parts) == settings.kata.queue
    assert sum(part.spool.memory_total for part in parts) == settings.spool.memory_total
    assert sum(part.spool.max_bytes for part in parts) == settings.spool.max_bytes
    assert [part.notify.queue for part in parts if part.notify] == [10 << 20] * 3
    assert [part.logs.syslog.queue for part in parts if part.logs.syslog] == [1 << 20] * 3
    icap = parts[0].icap
    assert icap.max_connections_of_worker == 770  # 666.7 + 103.3
    assert icap.max_connections_per_client_of_worker == 57
    assert 3334 < icap.visits.entries < settings.icap.visits.entries


def test_what_a_proxy_sees_is_the_same_everywhere(settings: Settings) -> None:
    """The ISTag says which rules there are, and OPTIONS announces the whole."""
    one = share(settings, 0).icap
    assert istag(share(settings, 0)) == istag(share(settings, 2))
    changed = settings.model_copy(update={"policy": {OutcomeKind.ERROR: Decision.PASS}})
    assert istag(changed) != istag(settings)
    assert (one.max_connections, one.max_connections_per_client) == (2000, 100)


def _with_files(icap: dict[str, Any]) -> dict[str, Any]:
    tls = {"listen": ["127.0.0.1:11344"], "cert": "client.pem", "key": "client.key"}
    return {"tls": {**tls, "client_ca": "client.pem"}, "pages": {"dir": "."}, **icap}


def test_the_tag_tells_all_but_how_files_are_named(tmp_path: Path) -> None:
    """Who compares may have been given another way to them."""
    settings = _settings(tmp_path, _with_files({}))
    (tmp_path / "link").symlink_to("site")
    linked = load_config(tmp_path / "link" / "katabridge.yaml")
    assert linked.icap != settings.icap
    assert istag(linked) == istag(settings)


@pytest.mark.parametrize(
    "icap",
    [
        {"policy": {"detect": "pass"}},
        {"allow_from": ["192.0.2.0/24"]},
        {"pages": {}},
        {"pages": {"dir": ".", "language": "ru"}},
        {"tls": None},
        {"tls": {"listen": ["127.0.0.1:11344"], "cert": "client.pem", "key": "client.key"}},
    ],
)
def test_the_tag_tells_changes_where_files_are_named(tmp_path: Path, icap: dict[str, Any]) -> None:
    before = istag(_settings(tmp_path, _with_files({})))
    assert istag(_settings(tmp_path, _with_files(icap))) != before


def test_what_is_of_one_body_or_one_disk_is_not_dealt_out(settings: Settings) -> None:
    part = share(settings, 1)
    assert (part.spool.memory, part.spool.min_free) == (settings.spool.memory, 1 << 20)
    assert part.verdicts == settings.verdicts
    assert part.kata.max_object_size == settings.kata.max_object_size


def test_one_worker_keeps_its_settings(tmp_path: Path) -> None:
    settings = _settings(tmp_path, {})
    assert share(settings, 0) is settings
    assert settings.icap.max_connections_of_worker == 2000
    assert settings.icap.max_connections_per_client_of_worker is None
