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
    """`REQMOD` (what users send) or `RESPMOD` (what they get)."""
    mode: Literal["monitor", "standard", "advanced"] = "advanced"
    """`monitor`, `standard` or `advanced`: [modes.md](modes.md) says what each does."""
    hold: Duration | None = None
    """How long a body without a verdict is held: `20s` in mode `advanced` and `5s` in `standard`,
    where nothing is written."""

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
    """IP addresses and ports. May be `[]` where `icap.tls.listen` is given."""
    tls: IcapTlsSettings | None = None
    allow_from: list[Network] = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    """The proxies' addresses or networks. Anybody else gets 403 and is logged; on a TLS port the
    connection is cut."""
    workers: Annotated[int, Field(strict=True), AfterValidator(between(1, 64, "1 to 64"))] = 1
    """Processes that serve the same ports: [scaling.md](scaling.md). One for each core is enough.
    All limits of this file are of the whole service."""
    max_connections: Count = 2000
    """Connections at a time; further ones get 503. A proxy opens a connection for each request
    under way, so this is many users' worth. Two descriptors each: `icapd` raises its soft limit
    itself, and warns where the hard one is too low."""
    max_connections_per_client: Count | None = None
    """The same for one address. None, since a single proxy usually holds them all."""
    limits: IcapLimits = IcapLimits()
    times: IcapTimes = IcapTimes()
    options_ttl: Annotated[Duration, AfterValidator(at_least(1, "1s"))] = 3600
    """How long a proxy may keep what OPTIONS told it. Long enough to cost nothing, short enough
    that a change reaches a proxy the same day."""
    transfer: TransferSettings = TransferSettings()
    preview: Annotated[int, Field(strict=True, ge=0, le=1 << 20)] = 4096
    """Bytes of preview that proxies are asked for."""
    policy: Annotated[PolicySetting, AfterValidator(no_skip)] = {}
    """Outcome to decision, for the ICAP door; it goes before `policy`. `skip` is for folders only.
    """
    on_stall: Literal["head", "page"] = "head"
    """`head`: a held body that stops arriving is freed by the origin's head, and by one byte for
    each further stop, of which there is one in 32 KiB at most; a body below 32 KiB is never begun
    before its verdict. `page`: a person's browser gets a wait page that is held open instead."""
    ranges: Literal["strip", "block", "pass"] = "strip"
    """`strip`: requests lose `Range` and `If-Range` in REQMOD, so that the whole comes and can be
    judged; a part (HTTP 206) that comes all the same is `error`. `block`: requests stay as they
    are. `pass`: parts are judged by themselves; each start warns of it."""
    trickle: TrickleSettings = TrickleSettings()
    pages: PageSettings = PageSettings()
    contents: ContentSettings = ContentSettings()
    visits: VisitSettings = VisitSettings()
    services: Annotated[dict[str, ServiceSettings], Field(min_length=1)] = {
        "av/reqmod": ServiceSettings(method="REQMOD"),
        "av/respmod": ServiceSettings(method="RESPMOD"),
    }
    """Path to service, as below. The empty path is the first service that has the method."""

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
