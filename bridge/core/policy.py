"""Outcome and mode become a decision: one pure function, the only place where it happens."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bridge.core.model import Decision, Door, Mode, OutcomeKind

Policy = Mapping[OutcomeKind, Decision]

DEFAULT: Policy = MappingProxyType(
    {
        OutcomeKind.NOT_DETECTED: Decision.PASS,
        OutcomeKind.DETECT: Decision.BLOCK,
        OutcomeKind.ERROR: Decision.BLOCK,
        OutcomeKind.TIMEOUT: Decision.BLOCK,
        OutcomeKind.UNAVAILABLE: Decision.BLOCK,
        OutcomeKind.OVERSIZE: Decision.BLOCK,
        OutcomeKind.EXCLUDED: Decision.PASS,
        OutcomeKind.PENDING: Decision.HOLD,
    }
)

DOOR_DEFAULTS: Mapping[Door, Policy] = MappingProxyType(
    {
        Door.ICAP: MappingProxyType({OutcomeKind.OVERSIZE: Decision.PASS}),
        Door.FOLDER: MappingProxyType(
            {
                OutcomeKind.UNAVAILABLE: Decision.HOLD,
                OutcomeKind.OVERSIZE: Decision.SKIP,
                OutcomeKind.EXCLUDED: Decision.SKIP,
            }
        ),
    }
)


def door_policy(door: Door, common: Policy, own: Policy) -> Policy:
    """The policy of one door.

    What somebody wrote goes before what is shipped, and the door's own word (`own`) before the
    common one (`common`): who writes `oversize: block` must not find a door that passes it.
    """
    return {**DEFAULT, **DOOR_DEFAULTS[door], **common, **own}


def lenient(door: Door, policy: Policy) -> list[OutcomeKind]:
    """What somebody has written to be passed that is not passed as shipped."""
    shipped = door_policy(door, {}, {})
    passes = (kind for kind in OutcomeKind if policy.get(kind) is Decision.PASS)
    return [kind for kind in passes if shipped[kind] is not Decision.PASS]


def decide(outcome: OutcomeKind, mode: Mode, policy: Policy, *, bypassed: bool = False) -> Decision:
    """What the door does. A kind that the policy does not name is blocked.

    `bypassed`: an administrator has opened the door for a while.
    """
    if mode is Mode.MONITOR or bypassed:
        return Decision.PASS
    if outcome is OutcomeKind.PENDING and mode is Mode.STANDARD:
        return Decision.PASS
    return policy.get(outcome, Decision.BLOCK)
