"""Sections below `icap`: limits, times, TLS, transfer, trickling, pages, contents, visits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

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
    DirectorySetting,
    Duration,
    FileSetting,
    ListenAddress,
    Patience,
    Size,
    between,
    fits_certificate,
)
from bridge.core.settings.section import Section

_EXTENSION = re.compile(r"[A-Za-z0-9_-]{1,20}")
_LANGUAGE = r"^[a-z]{2,3}$"


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
