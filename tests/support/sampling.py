"""`@pytest.mark.sample(COUNT)`: so many of a test's cases in `make test`, the others are long.

For tables of cases that each start a program, or wait: where one is red, most of them are.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest


def spread(count: int, total: int) -> set[int]:
    """`count` numbers below `total`, as far from each other as they can be."""
    count = min(count, total)
    return {number * total // count for number in range(count)}


def mark_rest_as_long(items: Iterable[pytest.Item]) -> None:
    """Mark as `long` the cases of each test that its `sample` does not pick."""
    tables: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sample") is not None:
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cases in tables.values():
        mark = cases[0].get_closest_marker("sample")
        assert mark is not None
        picked = spread(mark.args[0], len(cases))
        for number, case in enumerate(cases):
            if number not in picked:
                case.add_marker(pytest.mark.long)
