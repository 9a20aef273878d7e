"""How often an input is looked at: a look has a fifth of the time, and one that hung has an end."""

from __future__ import annotations

import pytest

from bridge.folder.watch import pause_after


@pytest.mark.parametrize(
    ("look", "pause"), [(0.0, 0.05), (0.001, 0.05), (0.5, 2.0), (10.0, 40.0), (3600.0, 60.0)]
)
def test_a_look_has_a_fifth_of_the_time_but_none_is_put_off_for_long(
    look: float, pause: float
) -> None:
    assert pause_after(look) == pause
