"""When a claim can be taken, and with which token: the same rules for all stores of one host."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.core.verdicts.store import Claim

LEASE_SLACK = 5.0  # seconds that the clock may be set back without ending a lease
TOKEN_SECONDS = 3600.0  # how long past its lease a claim's token is remembered


@dataclass(frozen=True, slots=True)
class Lease:
    """What a store keeps of a claim. `ends` in seconds since the epoch, `seconds` as asked for.

    An empty `owner`: it was released, or a verdict came.
    """

    owner: str
    token: int
    ends: float
    seconds: float

    def is_held(self, now: float) -> bool:
        """Whether nobody else can take it. One that ends too late was made before a clock jump."""
        return bool(self.owner) and 0 < self.ends - now <= self.seconds + LEASE_SLACK

    def belongs_to(self, claim: Claim) -> bool:
        """Whether the claim is still its owner's; past the lease too, until another takes it."""
        return (self.owner, self.token) == (claim.owner, claim.token)

    def ended(self) -> Lease:
        """The same without an owner; its token stays behind and fences."""
        return Lease("", self.token, self.ends, self.seconds)


def take(old: Lease | None, owner: str, seconds: float, now: float) -> Lease | None:
    """The lease of a new claim, or None while another holds the old one."""
    if old is not None and old.owner != owner and old.is_held(now):
        return None
    # Milliseconds, so that tokens rise also where the old one was forgotten.
    token = max(int(now * 1000), old.token + 1 if old is not None else 1)
    return Lease(owner, token, now + seconds, seconds)


def renewed(old: Lease | None, claim: Claim, seconds: float, now: float) -> Lease | None:
    """The lengthened lease, or None where the claim is no longer its owner's."""
    if old is not None and not old.belongs_to(claim):
        return None
    return Lease(claim.owner, claim.token, now + seconds, seconds)
