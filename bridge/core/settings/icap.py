"""Section `icap`: the ICAP door and its services."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.core.fields import (
    Count,
    Duration,
    ListenAddress,
    Network,
    PolicySetting,
    at_least,
    between,
)
from bridge.core.model import Mode
from bridge.core.settings.icap_parts import (
    ContentSettings,
    IcapLimits,
    IcapTimes,
    IcapTlsSettings,
    PageSettings,
    TransferSettings,
    TrickleSettings,
    VisitSettings,
)
from bridge.core.settings.parts import uneven_part
from bridge.core.settings.policy import no_skip
from bridge.core.settings.section import Section
from bridge.core.units import Address

_LOG_MODES = {"monitor": Mode.MONITOR, "standard": Mode.STANDARD, "advanced": Mode.ADVANCED}
_HOLD = {"monitor": 0.0, "standard": 5.0, "advanced": 20.0}


class ServiceSettings(Section):
    """One ICAP service."""

    method: Literal["REQMOD", "RESPMOD"]
    mode: Literal["monitor", "standard", "advanced"] = "advanced"
    hold: Duration | None = None

    @property
    def log_mode(self) -> Mode:
        """The mode under its name in the log."""
        return _LOG_MODES[self.mode]

    @property
    def hold_seconds(self) -> float:
        """How long a body without a verdict is held once it is here."""
        return _HOLD[self.mode] if self.hold is None else self.hold


class IcapSettings(Section):
    """The ICAP door."""

    listen: list[ListenAddress] = [Address("0.0.0.0", 1344)]  # noqa: S104 - the design's default; allow_from guards it
    tls: IcapTlsSettings | None = None
    allow_from: list[Network] = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    workers: Annotated[int, Field(strict=True), AfterValidator(between(1, 64, "1 to 64"))] = 1
    max_connections: Count = 2000
    max_connections_per_client: Count | None = None
    limits: IcapLimits = IcapLimits()
    times: IcapTimes = IcapTimes()
    options_ttl: Annotated[Duration, AfterValidator(at_least(1, "1s"))] = 3600
    transfer: TransferSettings = TransferSettings()
    preview: Annotated[int, Field(strict=True, ge=0, le=1 << 20)] = 4096
    policy: Annotated[PolicySetting, AfterValidator(no_skip)] = {}
    on_stall: Literal["head", "page"] = "head"
    ranges: Literal["strip", "block", "pass"] = "strip"
    trickle: TrickleSettings = TrickleSettings()
    pages: PageSettings = PageSettings()
    contents: ContentSettings = ContentSettings()
    visits: VisitSettings = VisitSettings()
    services: Annotated[dict[str, ServiceSettings], Field(min_length=1)] = {
        "av/reqmod": ServiceSettings(method="REQMOD"),
        "av/respmod": ServiceSettings(method="RESPMOD"),
    }

    @model_validator(mode="after")
    def _listens_somewhere(self) -> Self:
        secure = self.tls.listen if self.tls is not None else []
        if not self.listen and not secure:
            raise ValueError("listen is empty, which it may be only where tls is given")
        for address in set(self.listen) & set(secure):
            raise ValueError(f"{address} stands under listen and under tls.listen")
        if self.workers > 1 and any(not address.port for address in (*self.listen, *secure)):
            raise ValueError("workers share a port: name one instead of 0")
        return self

    @property
    def max_connections_of_worker(self) -> int:
        """What each worker may serve of `max_connections`."""
        return uneven_part(self.max_connections, self.workers)

    @property
    def max_connections_per_client_of_worker(self) -> int | None:
        """What each worker may serve of `max_connections_per_client`."""
        most = self.max_connections_per_client
        return None if most is None else uneven_part(most, self.workers)
