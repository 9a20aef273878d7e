"""A backlog through the folder door with `--once`, as the benchmark measures it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import backlog
from tests.support.folders import Places, check_ends

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

FILES = 1000
SIZE = 10_240


def test_a_backlog_is_through_when_once_ends(tmp_path: Path) -> None:
    with backlog.site(tmp_path, delay=1.0) as site:
        backlog.fill(site, FILES, SIZE)
        figures = backlog.measure(site, SIZE)
        places = Places.of(site)
        records = [each for each in site.records() if each["context"]["folder"] == "share"]
        assert len(site.records()) == FILES + figures.sample
    assert (figures.files, figures.sample) == (FILES, backlog.SAMPLE)
    check_ends(places, records, [backlog.content(n, SIZE) for n in range(FILES)])
    assert figures.together > 0
    assert figures.scaled > 0
