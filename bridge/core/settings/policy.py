"""What every policy but `folder_policy` must keep to."""

from __future__ import annotations

from bridge.core.fields import PolicySetting
from bridge.core.model import Decision


def no_skip(policy: PolicySetting) -> PolicySetting:
    """The policy, if it decides `skip` nowhere; else ValueError."""
    for kind, decision in policy.items():
        if decision is Decision.SKIP:
            raise ValueError(f"{kind}: skip is for folders only; write it under folder_policy")
    return policy
