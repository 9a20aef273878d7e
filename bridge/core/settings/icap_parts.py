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
from bridge.core.quoting import quoted
from bridge.core.settings.section import Section

_EXTENSION = re.compile(r"[A-Za-z0-9_-]{1,20}")
_LANGUAGE = r"^[a-z]{2,3}$"


class IcapLimits(Section):
    """How much of a message is kept while it is incomplete: bytes, `fields` a number of lines."""

    head: Annotated[Size, AfterValidator(between(1 << 10, 1 << 20, "1KiB to 1MiB"))] = 64 << 10
    """The ICAP head. Proxies put groups and tokens of a user there, a few KiB at most."""
    fields: Annotated[int, Field(strict=True), AfterValidator(between(20, 5000, "20 to 5000"))] = (
        200
    )
    """Its header lines, and those of trailers. Proxies send 20 at most."""
    encapsulated_heads: Annotated[
        Size, AfterValidator(between(8 << 10, 16 << 20, "8KiB to 16MiB"))
    ] = 256 << 10
    """The HTTP heads inside. A proxy has a limit of its own for them (Squid: 64 KiB each)."""
    chunk_line: Annotated[Size, AfterValidator(between(64, 64 << 10, "64B to 64KiB"))] = 4 << 10
    """The line of a chunk's size. Extensions are rare and short."""
    trailers: Annotated[Size, AfterValidator(between(256, 1 << 20, "256B to 1MiB"))] = 16 << 10
    """The fields behind a body, which are read and dropped. They are rare."""


class IcapTimes(Section):
    """How long a proxy is waited for, in seconds."""

    head: Patience = 30
    """A whole request head, the HTTP heads inside too, from its first byte; then 408. A proxy has
    it ready when it begins."""
    body: Patience = 60
    """A body that is not complete sends nothing; then 408, or the answer that had begun is cut. An
    origin may pause, and a proxy with it. What follows an early page or error is read for this long
    in all."""
    body_lifetime: Patience = 3600
    """A body that is taken in to be judged is complete; then it is `error`, by policy (within a
    preview: 408). Long enough for 100 MiB at 30 KB/s."""
    stream_lifetime: Patience = 24 * 3600
    """A body that is given back while it arrives (`excluded`, `oversize`) is complete; then it is
    cut, and the log says so. Radio and tickers would hold a connection for ever."""
    idle: Patience = 600
    """A connection without a request is closed without a word. Squid keeps connections for minutes.
    """
    write: Patience = 120
    """A proxy takes nothing at all of what it is sent; then it is cut. It may have a slow client
    itself, and take little."""
    handshake: Patience = 10
    """A TLS handshake. It takes two round trips."""


class IcapTlsSettings(Section):
    """The ICAP door over TLS, on ports of its own."""

    listen: Annotated[list[ListenAddress], Field(min_length=1)]
    """IP addresses and ports where ICAP is spoken over TLS (1.2 or later) from the first byte."""
    cert: FileSetting
    """Certificate in PEM, with what is between it and its CA."""
    key: FileSetting
    """Its key in PEM, without passphrase."""
    client_ca: CertificateFile | None = None
    """CA that a proxy's certificate must fit; with it, who shows none is turned away."""

    @field_validator("key")
    @classmethod
    def _key_fits(cls, key: Path, info: ValidationInfo) -> Path:
        certificate = info.data.get("cert")
        return key if certificate is None else fits_certificate(certificate, key)


def _extension(value: object) -> str:
    if not isinstance(value, str) or not _EXTENSION.fullmatch(value):
        raise ValueError(f"{quoted(value)} is no file name extension, such as iso (without a dot)")
    return value.lower()


Extensions = list[Annotated[str, BeforeValidator(_extension)]]


class TransferSettings(Section):
    """Which files proxies treat otherwise than by a preview, by extension (RFC 3507 4.10.2)."""

    ignore: Extensions = []
    """Extensions (`[iso, mp4]`, without dots) of files that proxies are told not to send at all
    (Transfer-Ignore). They pass **unjudged**, by a name that anybody can give; each start warns of
    it. No record is left: nothing arrives here."""
    complete: Extensions = []
    """Extensions of files that proxies are told to send without a preview (Transfer-Complete)."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        both = sorted({*self.ignore} & {*self.complete})
        if both:
            raise ValueError(f"{both[0]} stands in both lists")
        return self


class TrickleSettings(Section):
    """How much of a response is given before its verdict, so that its client goes on waiting."""

    after: Patience = 10
    """When a response without a verdict begins to trickle, from its beginning; at the latest `hold`
    after its end."""
    every: Patience = 1
    """How often a little of it is given."""
    chunk: Annotated[Size, AfterValidator(between(1, 64 << 10, "1B to 64KiB"))] = 4 << 10
    """How much."""


def _page_status(status: int) -> int:
    if status not in (200, 202) and (not 400 <= status <= 599 or status in (401, 407)):
        raise ValueError("must be 200, 202 or 400 to 599, but 401 and 407: a browser shows no page")
    return status


class PageSettings(Section):
    """The pages that users see; `dir` holds templates and texts that go before ours."""

    dir: DirectorySetting | None = None
    """A folder with own templates and texts, which go before ours: [pages.md](pages.md). They are
    tried before they are taken."""
    language: Annotated[str, Field(pattern=_LANGUAGE)] = "en"
    """The language (two or three small letters) for who asks for none that there is."""
    wait_status: Annotated[int, Field(strict=True), AfterValidator(_page_status)] = 503
    """The HTTP status of wait pages: 200, 202 or 400 to 599, but 401 and 407. Who is told to come
    later (uploads, programs) gets 503 always."""
    reload: Annotated[Duration, AfterValidator(between(1, 300, "1s to 5m"))] = 5
    """When a wait page reloads itself."""


class ContentSettings(Section):
    """How far a body is unpacked: encodings (decoded size to size), files of a form."""

    max_ratio: Annotated[int, Field(strict=True, ge=2, le=100_000)] = 200
    """How many times its size an encoded body may become (above 1 MiB); more is `error`. Texts
    reach 20, logs 100, bombs 1000."""
    max_files: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 500
    """Files of one form; more is `error`."""


class VisitSettings(Section):
    """What is remembered of clients that wait for an address, or got a part of something bad."""

    keep: Annotated[Duration, AfterValidator(between(10, 86400, "10s to 1d"))] = 600
    """How long a client is remembered at an address: what it waits for, and that its download was
    cut."""
    entries: Annotated[int, Field(strict=True, ge=100, le=1_000_000)] = 10_000
    """How many such are remembered. With several workers each remembers its own:
    [scaling.md](scaling.md#what-workers-share-and-what-they-do-not)."""
