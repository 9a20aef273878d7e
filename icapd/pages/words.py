"""Values as people read them, in the language of the page. Pure."""

from __future__ import annotations

from bridge.core import printable

_LONGEST = 240
_BEGINNING, _END = 170, 60
_STEP = 1024


def shown(text: str) -> str:
    """A stranger's text: nothing in it acts, and what is too long lacks its middle."""
    text = printable(text)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_BEGINNING]}…{text[-_END:]}"


def size_words(size: int, units: dict[str, str]) -> str:
    """Bytes as `1.4 MB`, by powers of 1024 as file managers count."""
    names = [units[key] for key in ("b", "kb", "mb", "gb", "tb")]
    value, step = float(size), 0
    while step < len(names) - 1 and round(value, 1) >= _STEP:
        value, step = value / _STEP, step + 1
    number = f"{value:.1f}" if value < 100 else f"{value:.0f}"
    return f"{number.removesuffix('.0').replace('.', units['decimal'])}\u00a0{names[step]}"


def time_words(seconds: float, units: dict[str, str]) -> str:
    """Seconds as `1 min 23 s`."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    parts = [f"{minutes}\u00a0{units['minutes']}"] if minutes else []
    return " ".join([*parts, f"{rest}\u00a0{units['seconds']}"])
