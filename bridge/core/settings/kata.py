"""Sections `kata` and `submit`: how KATA is reached, and what it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge.core.exclusions import Types
from bridge.core.fields import (
    CertificateFile,
    Count,
    Duration,
    FileSetting,
    PollInterval,
    Size,
    at_least,
    fits_certificate,
)
from bridge.core.settings.section import Section
from bridge.core.units import parse_central_node, parse_fingerprint


class KataSettings(Section):
    """How KATA is reached, and how much is asked of it."""

    urls: Annotated[list[Annotated[str, BeforeValidator(parse_central_node)]], Field(min_length=1)]
    """Central Nodes, `https://host[:port]`. The first that answers takes a file; the others are
    asked, in order, when it does not."""
    sensor_id: UUID
    """The id of this external system, a UUID. One for all machines that share it."""
    node: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")] = "node"
    """The name of this machine: letters, digits, `-`. Scans and claims are owned by
    `<node>.<door>.<worker>`: two machines with one name would take each other's."""
    client_cert: FileSetting
    """Certificate in PEM. KATA knows the system by its id and this certificate."""
    client_key: FileSetting
    """Its key in PEM, without passphrase; both may be in one file."""
    server_ca: CertificateFile | None = None
    """CA, or self-signed certificate, that the Central Node's certificate and name must fit."""
    server_fingerprint: Annotated[str, BeforeValidator(parse_fingerprint)] | None = None
    """`sha256:` and 64 hex digits: the Central Node's certificate itself. One of the two is needed.
    With both, both must fit, and the name need not."""
    connections: Count = 16
    """Uploads at a time."""
    max_in_flight: Count = 200
    """Scans at a time. The Central Node has a limit of its own ([sizing.md](sizing.md))."""
    queue: Count = 2000
    """Items that wait for a place beyond that; further ones are `unavailable`."""
    poll_interval: PollInterval = 60
    """How often KATA is asked for states while no case waits."""
    poll_interval_waiting: PollInterval = 2
    """The same while a case waits (the first time after 300 ms; every 10 s for scans older than a
    minute). Shorter brings answers sooner, and KATA more calls."""
    verdict_timeout: Annotated[Duration, AfterValidator(at_least(1, "1s"))] = 600
    """After this an item without a verdict is `timeout`, or `unavailable` if KATA did not take it.
    """
    late_window: Duration = 24 * 3600
    """How long a scan is looked after whose item was passed before its verdict, so that a late
    detection is seen."""
    max_object_size: Size = 100 << 20
    """Larger items are `oversize` and not sent. KATA's own limit, asked for at the start and every
    10 minutes, lowers it."""
    alerts: Annotated[bool, Field(strict=True)] = True
    """Whether the names of threats are read from KATA's alerts. No block waits for them."""

    @field_validator("client_key")
    @classmethod
    def _key_fits(cls, key: Path, info: ValidationInfo) -> Path:
        certificate = info.data.get("client_cert")
        return key if certificate is None else fits_certificate(certificate, key)

    @model_validator(mode="after")
    def _server_is_known(self) -> Self:
        if self.server_ca is None and self.server_fingerprint is None:
            raise ValueError(
                "server_ca or server_fingerprint is needed: files go only to a known server"
            )
        return self


class SubmitSettings(Section):
    """What is sent to KATA at all."""

    types: Types = "all"
    """What is sent to KATA: everything, or a list of groups of formats, recognised by content:
    `executable`, `archive`, `document`, `script`, `web`, `image`, `audio`, `video`, `font`,
    `unknown`. What is not in the list is `excluded` (rule `submit.types`). Name `unknown`, too: it
    holds what is not recognised, PowerShell and JavaScript among it. A format is told by its first
    bytes, so leaving out `image`, `audio`, `video`, `font` or `web` lets by whoever puts such bytes
    in front."""
