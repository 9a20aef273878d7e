"""Section `icap`: the ICAP door and its services."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bridge.core.fields import Count, Duration, ListenAddress, Network, PolicySetting, only
from bridge.core.model import Mode
from bridge.core.settings.policy import no_skip
from bridge.core.settings.section import Section
from bridge.core.units import Address


class ServiceSettings(Section):
    """One ICAP service."""

    method: Literal["REQMOD", "RESPMOD"]
    mode: Annotated[Literal["advanced"], BeforeValidator(only("advanced"))] = "advanced"
    hold: Duration = 20

    @property
    def log_mode(self) -> Mode:
        """The mode under its name in the log."""
        return {"advanced": Mode.ADVANCED}[self.mode]


class IcapSettings(Section):
    """The ICAP door."""

    listen: Annotated[list[ListenAddress], Field(min_length=1)] = [Address("0.0.0.0", 1344)]  # noqa: S104 - the design's default; allow_from guards it
    allow_from: list[Network] = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    workers: Annotated[Literal[1], BeforeValidator(only(1))] = 1
    max_connections: Count = 2000
    preview: Annotated[int, Field(strict=True, ge=0, le=1 << 20)] = 4096
    policy: Annotated[PolicySetting, AfterValidator(no_skip)] = {}
    on_stall: Annotated[Literal["head"], BeforeValidator(only("head"))] = "head"
    services: Annotated[dict[str, ServiceSettings], Field(min_length=1)] = {
        "av/reqmod": ServiceSettings(method="REQMOD"),
        "av/respmod": ServiceSettings(method="RESPMOD"),
    }
