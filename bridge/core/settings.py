"""The settings, typed. Names are the keys of the configuration file; times are in seconds,
sizes in bytes.

A value that belongs to katabridge but that this version does not act on yet is refused
(`fields.only`), because a protection that is configured and does not happen is worse than none.
"""

from __future__ import annotations

import ssl
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge.core.exclusions import Rule, Types, read_kds_list
from bridge.core.fields import (
    CertificateFile,
    Count,
    Duration,
    FileSetting,
    ListenAddress,
    Network,
    PathSetting,
    PolicySetting,
    PollInterval,
    Size,
    at_least,
    only,
)
from bridge.core.model import Decision, Mode, OutcomeKind
from bridge.core.siem.message import parse_syslog_url
from bridge.core.units import Address, parse_central_node, parse_fingerprint
from bridge.core.verdicts.redis_url import connection_arguments
from bridge.core.verdicts.store import StoreError


class _Section(BaseModel):
    # No defaults are validated: they are written as validated values below.
    model_config = ConfigDict(extra="forbid", frozen=True)


class KataSettings(_Section):
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
        if certificate is None:
            return key
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_cert_chain(certificate, key, password=lambda: b"")
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or str(error)
            raise ValueError(
                f"{certificate} and {key} are not a certificate and its key in PEM, "
                f"without passphrase ({reason})"
            ) from None
        return key

    @model_validator(mode="after")
    def _server_is_known(self) -> Self:
        if self.server_ca is None and self.server_fingerprint is None:
            raise ValueError(
                "server_ca or server_fingerprint is needed: files go only to a known server"
            )
        return self


class SubmitSettings(_Section):
    """What is sent to KATA at all."""

    types: Types = "all"


class VerdictSettings(_Section):
    """Where verdicts are kept, and how long (seconds by kind)."""

    store: str = "sqlite:///var/lib/katabridge/verdicts.db"
    max_entries: Count = 1_000_000
    keep: dict[OutcomeKind, Duration] = {
        OutcomeKind.NOT_DETECTED: 24 * 3600,
        OutcomeKind.DETECT: 7 * 24 * 3600,
    }

    @field_validator("store")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")  # never shown: it may hold a password
        if scheme in ("redis", "rediss"):
            try:
                connection_arguments(value)
            except StoreError as error:
                raise ValueError(str(error)) from None
            return value
        if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
            return value
        raise ValueError("must be sqlite:///PATH, redis://HOST:PORT/DB or rediss://HOST:PORT/DB")

    @field_validator("keep")
    @classmethod
    def _verdicts_only(cls, value: dict[OutcomeKind, float]) -> dict[OutcomeKind, float]:
        verdicts = {OutcomeKind.NOT_DETECTED: 24 * 3600.0, OutcomeKind.DETECT: 7 * 24 * 3600.0}
        for kind in value:
            if kind not in verdicts:
                raise ValueError(f"{kind} is no verdict and is never kept")
        return verdicts | value


class SpoolSettings(_Section):
    """Where bodies lie while they are judged."""

    dir: PathSetting = Path("/var/lib/katabridge/spool")
    memory: Size = 256 << 10
    memory_total: Size = 64 << 20
    max_bytes: Size = 10 << 30
    min_free: Size = 1 << 30


class ServiceSettings(_Section):
    """One ICAP service."""

    method: Literal["REQMOD", "RESPMOD"]
    mode: Annotated[Literal["advanced"], BeforeValidator(only("advanced"))] = "advanced"
    hold: Duration = 20

    @property
    def log_mode(self) -> Mode:
        """The mode under its name in the log."""
        return {"advanced": Mode.ADVANCED}[self.mode]


def _syslog_url(value: str) -> str:
    parse_syslog_url(value)
    return value


def _kds_list(path: Path) -> Path:
    read_kds_list(path)  # KdsListError is a ValueError
    return path


KdsList = Annotated[PathSetting, AfterValidator(_kds_list)]


def _no_skip(policy: PolicySetting) -> PolicySetting:
    for kind, decision in policy.items():
        if decision is Decision.SKIP:
            raise ValueError(f"{kind}: skip is for folders only; write it under folder_policy")
    return policy


class IcapSettings(_Section):
    """The ICAP door."""

    listen: Annotated[list[ListenAddress], Field(min_length=1)] = [Address("0.0.0.0", 1344)]  # noqa: S104 - the design's default; allow_from guards it
    allow_from: list[Network] = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    workers: Annotated[Literal[1], BeforeValidator(only(1))] = 1
    max_connections: Count = 2000
    preview: Annotated[int, Field(strict=True, ge=0, le=1 << 20)] = 4096
    policy: Annotated[PolicySetting, AfterValidator(_no_skip)] = {}
    on_stall: Annotated[Literal["head"], BeforeValidator(only("head"))] = "head"
    services: Annotated[dict[str, ServiceSettings], Field(min_length=1)] = {
        "av/reqmod": ServiceSettings(method="REQMOD"),
        "av/respmod": ServiceSettings(method="RESPMOD"),
    }


class FolderSettings(_Section):
    """One input, output and quarantine triple."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    input: PathSetting
    output: PathSetting
    quarantine: PathSetting
    recursive: Annotated[Literal[False], BeforeValidator(only(False))] = False
    settle: Duration = 2
    rescan: Annotated[Duration, AfterValidator(at_least(0.05, "50ms"))] = 1
    on_conflict: Annotated[Literal["replace"], BeforeValidator(only("replace"))] = "replace"

    @model_validator(mode="after")
    def _three_places(self) -> Self:
        places = [self.input.resolve(), self.output.resolve(), self.quarantine.resolve()]
        if len(set(places)) != len(places):
            raise ValueError("input, output and quarantine must be three different folders")
        return self


class SyslogSettings(_Section):
    """Where records go, too: a SIEM's collector."""

    url: Annotated[str, AfterValidator(_syslog_url)]
    format: Literal["cef"] = "cef"
    ca: CertificateFile | None = None
    queue: Annotated[Size, AfterValidator(at_least(1 << 20, "1MiB"))] = 64 << 20


class LogSettings(_Section):
    """Where records and service logs go."""

    dir: PathSetting = Path("/var/log/katabridge")
    level: Literal["debug", "info", "warning", "error"] = "info"
    rotate: Annotated[Size, AfterValidator(at_least(1 << 20, "1MiB"))] = 100 << 20
    keep: Annotated[Duration, AfterValidator(at_least(86400, "1d"))] = 90 * 86400
    urls: Literal["full", "no_query"] = "full"
    syslog: SyslogSettings | None = None


class StatusSettings(_Section):
    """Where each daemon answers /metrics; None: nowhere."""

    icapd: ListenAddress | None = None
    watch: ListenAddress | None = None


class Settings(_Section):
    """The whole configuration file."""

    kata: KataSettings
    submit: SubmitSettings = SubmitSettings()
    policy: Annotated[PolicySetting, AfterValidator(_no_skip)] = {}
    folder_policy: PolicySetting = {}
    exclusions: list[Rule] = []
    exclude_lists: list[KdsList] = []
    verdicts: VerdictSettings = VerdictSettings()
    spool: SpoolSettings = SpoolSettings()
    icap: IcapSettings = IcapSettings()
    folders: list[FolderSettings] = []
    logs: LogSettings = LogSettings()
    status: StatusSettings = StatusSettings()

    @field_validator("folders")
    @classmethod
    def _names_differ(cls, folders: list[FolderSettings]) -> list[FolderSettings]:
        names = [folder.name for folder in folders]
        if len(set(names)) != len(names):
            raise ValueError("two folders have the same name")
        inputs = [folder.input.resolve() for folder in folders]
        if len(set(inputs)) != len(inputs):
            raise ValueError("two folders have the same input")
        quarantines = {folder.quarantine.resolve() for folder in folders}
        delivered = {*inputs, *(folder.output.resolve() for folder in folders)}
        if quarantines & delivered:
            raise ValueError("one folder's quarantine is an input or output of another")
        follow = {folder.input.resolve(): folder.output.resolve() for folder in folders}
        for start in follow:
            place: Path | None = start
            for _ in follow:
                place = follow.get(place) if place is not None else None
                if place == start:
                    raise ValueError("files would go round: outputs lead back to an input")
        return folders


# Keys of the design that this version refuses, because nothing would act on them.
NOT_YET = frozenset(
    {
        "icap.tls",
        "icap.trickle",
        "notify",
    }
)
