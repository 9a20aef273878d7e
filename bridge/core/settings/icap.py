"""Section `icap`: the ICAP door and its services."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge.core.fields import (
    CertificateFile,
    Count,
    DirectorySetting,
    Duration,
    FileSetting,
    ListenAddress,
    Network,
    Patience,
    PolicySetting,
    Size,
    at_least,
    between,
    fits_certificate,
)
from bridge.core.model import Mode
from bridge.core.settings.parts import uneven_part
from bridge.core.settings.policy import no_skip
from bridge.core.settings.section import Section
from bridge.core.units import Address

_EXTENSION = re.compile(r"[A-Za-z0-9_-]{1,20}")
_LANGUAGE = r"^[a-z]{2,3}$"
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


class IcapLimits(Section):
    """How much of a message is kept while it is incomplete: bytes, `fields` a number of lines."""

    head: Annotated[Size, AfterValidator(between(1 << 10, 1 << 20, "1KiB to 1MiB"))] = 64 << 10
    fields: Annotated[int, Field(strict=True), AfterValidator(between(20, 5000, "20 to 5000"))] = (
        200
    )
    encapsulated_heads: Annotated[
        Size, AfterValidator(between(8 << 10, 16 << 20, "8KiB to 16MiB"))
    ] = 256 << 10
    chunk_line: Annotated[Size, AfterValidator(between(64, 64 << 10, "64B to 64KiB"))] = 4 << 10
    trailers: Annotated[Size, AfterValidator(between(256, 1 << 20, "256B to 1MiB"))] = 16 << 10


class IcapTimes(Section):
    """How long a proxy is waited for, in seconds."""

    head: Patience = 30
    body: Patience = 60
    body_lifetime: Patience = 3600
    stream_lifetime: Patience = 24 * 3600
    idle: Patience = 600
    write: Patience = 120
    handshake: Patience = 10


class IcapTlsSettings(Section):
    """The ICAP door over TLS, on ports of its own."""

    listen: Annotated[list[ListenAddress], Field(min_length=1)]
    cert: FileSetting
    key: FileSetting
    client_ca: CertificateFile | None = None

    @field_validator("key")
    @classmethod
    def _key_fits(cls, key: Path, info: ValidationInfo) -> Path:
        certificate = info.data.get("cert")
        return key if certificate is None else fits_certificate(certificate, key)


def _extension(value: object) -> str:
    if not isinstance(value, str) or not _EXTENSION.fullmatch(value):
        raise ValueError(f"{value!r} is no file name extension, such as iso (without a dot)")
    return value.lower()


Extensions = list[Annotated[str, BeforeValidator(_extension)]]


class TransferSettings(Section):
    """Which files proxies treat otherwise than by a preview, by extension (RFC 3507 4.10.2)."""

    ignore: Extensions = []
    complete: Extensions = []

    @model_validator(mode="after")
    def _once(self) -> Self:
        both = sorted({*self.ignore} & {*self.complete})
        if both:
            raise ValueError(f"{both[0]} stands in both lists")
        return self


class TrickleSettings(Section):
    """How much of a response is given before its verdict, so that its client goes on waiting."""

    after: Patience = 10
    every: Patience = 1
    chunk: Annotated[Size, AfterValidator(between(1, 64 << 10, "1B to 64KiB"))] = 4 << 10


def _page_status(status: int) -> int:
    if status not in (200, 202) and (not 400 <= status <= 599 or status in (401, 407)):
        raise ValueError("must be 200, 202 or 400 to 599, but 401 and 407: a browser shows no page")
    return status


class PageSettings(Section):
    """The pages that users see; `dir` holds templates and texts that go before ours."""

    dir: DirectorySetting | None = None
    language: Annotated[str, Field(pattern=_LANGUAGE)] = "en"
    wait_status: Annotated[int, Field(strict=True), AfterValidator(_page_status)] = 503
    reload: Annotated[Duration, AfterValidator(between(1, 300, "1s to 5m"))] = 5


class ContentSettings(Section):
    """How far a body is unpacked: encodings (decoded size to size), files of a form."""

    max_ratio: Annotated[int, Field(strict=True, ge=2, le=100_000)] = 200
    max_files: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 500


class VisitSettings(Section):
    """What is remembered of clients that wait for an address, or got a part of something bad."""

    keep: Annotated[Duration, AfterValidator(between(10, 86400, "10s to 1d"))] = 600
    entries: Annotated[int, Field(strict=True, ge=100, le=1_000_000)] = 10_000


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
