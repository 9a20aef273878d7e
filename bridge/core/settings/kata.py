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
    sensor_id: UUID
    node: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$")] = "node"
    client_cert: FileSetting
    client_key: FileSetting
    server_ca: CertificateFile | None = None
    server_fingerprint: Annotated[str, BeforeValidator(parse_fingerprint)] | None = None
    connections: Count = 16
    max_in_flight: Count = 200
    queue: Count = 2000
    poll_interval: PollInterval = 60
    poll_interval_waiting: PollInterval = 2
    verdict_timeout: Annotated[Duration, AfterValidator(at_least(1, "1s"))] = 600
    late_window: Duration = 24 * 3600
    max_object_size: Size = 100 << 20
    alerts: Annotated[bool, Field(strict=True)] = True

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
