"""Takes every secret out of a text."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from bridge.core.secrets.needles import Needles
from bridge.core.secrets.patterns import without_patterns


def scrub(text: str, secrets: Collection[str] = ()) -> str:
    """`text` without these values, in whatever form, and without what looks like a secret.

    What is taken out becomes `[removed]`. `secrets`: see `secrets_of_settings`. A text that was
    scrubbed stays as it is. In doubt too much is taken out.
    """
    # values first: a pattern may end in the middle of one
    return without_patterns(_needles(frozenset(secrets)).removed_from(text))


@lru_cache(maxsize=8)  # compiled once for a configuration
def _needles(secrets: frozenset[str]) -> Needles:
    return Needles(secrets)
