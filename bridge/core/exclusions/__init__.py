"""Exclusions: what passes unscanned. One engine for both doors.

A match means that nobody looks at the object, so every doubt (a URL that readers take apart in
different ways, a name with control signs, a fact that is not known) is no match.
"""

from bridge.core.exclusions.engine import Exclusions
from bridge.core.exclusions.facts import Facts
from bridge.core.exclusions.kds import KdsListError, parse_kds_list, read_kds_list
from bridge.core.exclusions.rules import Rule
from bridge.core.exclusions.types import TYPES_RULE, Types, left_out
from bridge.core.exclusions.urls import Url, parse_url

__all__ = [
    "TYPES_RULE",
    "Exclusions",
    "Facts",
    "KdsListError",
    "Rule",
    "Types",
    "Url",
    "left_out",
    "parse_kds_list",
    "parse_url",
    "read_kds_list",
]
