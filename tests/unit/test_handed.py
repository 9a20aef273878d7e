"""What the supervisor hands to its workers is read whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from icapd.workers.handed import Given, Handed
from tests.support.certificates import put_certificate
from tests.support.katabridge import Site


@pytest.fixture
def handed() -> Iterator[Handed]:
    handed = Handed()
    yield handed
    handed.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    put_certificate(tmp_path / "kata.pem", tmp_path / "kata.key")
    return Site(tmp_path / "site", "https://127.0.0.1:9443", tmp_path / "kata.pem")


def test_the_last_are_read_with_their_number(handed: Handed, site: Site) -> None:
    assert handed.get() is None
    short = site.settings()
    long = short.model_copy(update={"exclude_lists": [Path(f"/{n}") for n in range(100)]})
    for number, settings in enumerate((short, long, short), 1):
        assert handed.put(settings) == number
        given = handed.get()
        assert given is not None
        assert (given.number, given.settings()) == (number, settings)


def test_what_is_being_written_is_not_read(handed: Handed, site: Site) -> None:
    memory = handed._memory
    settings = site.settings()
    handed.put(settings)
    before = os.pread(memory, 1 << 20, 0)
    handed.put(settings.model_copy(update={"exclude_lists": [Path("/a")]}))
    after = os.pread(memory, 1 << 20, 0)
    for written in (1, 8, 16, 40, 48, len(after) // 2, len(after) - 1):  # the two may end alike
        os.pwrite(memory, before, 0)
        os.pwrite(memory, after[:written], 0)
        given = handed.get()
        assert given is None or given in (Given(1, before[48:]), Given(2, after[48:])), written
    os.pwrite(memory, after, 0)
    given = handed.get()
    assert given is not None and given.number == 2
