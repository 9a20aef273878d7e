"""What a door goes by: whom it lets by unjudged, and what it does with each outcome."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bridge.core.model import Door
from bridge.core.policy import Policy, door_policy, lenient
from bridge.core.saying import OF_ALL_WORKERS
from bridge.core.settings import Settings
from bridge.core.sieve import Sieve

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rules:
    """Of one door, by one configuration. A case that began by them ends by them."""

    policy: Policy
    sieve: Sieve


def rules_of(settings: Settings, door: Door) -> Rules:
    """KdsListError where a list cannot be read. Blocks: disk."""
    own = settings.icap.policy if door is Door.ICAP else settings.folder_policy
    return Rules(door_policy(door, settings.policy, own), Sieve(settings, door))


def say_what_is_risky(rules: Rules, settings: Settings, door: Door) -> None:
    """Warn, once they are in force."""
    for doubt in rules.sieve.doubts(settings):
        _log.warning("%s", doubt, extra=OF_ALL_WORKERS)
    for kind in lenient(door, rules.policy):
        _log.warning("the policy of this door passes %s objects", kind, extra=OF_ALL_WORKERS)
