"""Remembers what was made of pieces that come again and again, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

KeyT = TypeVar("KeyT", bytes, str)
ValueT = TypeVar("ValueT")

_MOST = 4096
_LONGEST = 256  # of a key: longer ones are made anew


class Cache(dict[KeyT, ValueT]):
    """`cache[key]` is `make(key)`, which is pure; what it raises is not remembered.

    Full, it starts again from nothing: there is nothing to keep in order for that.
    """

    def __init__(self, make: Callable[[KeyT], ValueT]) -> None:
        super().__init__()
        self._make: Callable[[KeyT], ValueT] = make

    def __missing__(self, key: KeyT) -> ValueT:
        value: ValueT = self._make(key)
        if len(key) <= _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[key] = value
        return value
