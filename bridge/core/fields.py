"""The kinds of values that settings take: paths, times, sizes, networks, with their checks."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from bridge.core.model import Decision, OutcomeKind
from bridge.core.quoting import fault_of_path, named, quoted
from bridge.core.units import Address, parse_address, parse_duration, parse_size


def _path(value: object, info: ValidationInfo) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"{quoted(value)} is not a path")
    fault = fault_of_path(value)
    if fault is not None:
        raise ValueError(fault)
    base = (info.context or {}).get("base", Path())
    return Path(base) / value


def _readable_file(path: Path) -> Path:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
            raise OSError(errno.EINVAL, "it is no regular file")
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"cannot read {named(path)}: {error.strerror}") from None


def _readable_directory(path: Path) -> Path:
    try:
        next(path.iterdir(), None)
    except OSError as error:
        raise ValueError(f"cannot read the folder {named(path)}: {error.strerror}") from None
    return path


def parse_network(value: object) -> IPv4Network | IPv6Network:
    """An address or network; ValueError for anything else."""
    text = str(value)  # a bare number would be taken for an IPv4 address
    try:
        return ip_network(text)
    except ValueError as error:
        why = str(error).replace(repr(text), quoted(value))
        raise ValueError(f"not an address or network: {why}") from None


def at_least(minimum: float, words: str) -> Callable[[float], float]:
    """Takes numbers from `minimum` on; `words` is that minimum for people."""

    def check(value: float) -> float:
        if value < minimum:
            raise ValueError(f"must be at least {words}")
        return value

    return check


def between(least: float, most: float, words: str) -> Callable[[Any], Any]:
    """Takes numbers from `least` to `most`; `words` are the two for people."""

    def check(value: Any) -> Any:
        if not least <= value <= most:
            raise ValueError(f"must be {words}")
        return value

    return check


def _with_certificates(path: Path) -> Path:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (OSError, ValueError):
        raise ValueError(f"{path} holds no certificate in PEM") from None
    return path


def fits_certificate(certificate: Path, key: Path) -> Path:
    """The key, if both are PEM, belong together and need no passphrase; else ValueError."""
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


Duration = Annotated[float, BeforeValidator(parse_duration)]
PollInterval = Annotated[Duration, AfterValidator(at_least(0.1, "100ms"))]
Patience = Annotated[Duration, AfterValidator(at_least(0.1, "100ms"))]
Size = Annotated[int, BeforeValidator(parse_size)]
ListenAddress = Annotated[Address, BeforeValidator(parse_address)]
PathSetting = Annotated[Path, BeforeValidator(_path)]
FileSetting = Annotated[PathSetting, AfterValidator(_readable_file)]
DirectorySetting = Annotated[PathSetting, AfterValidator(_readable_directory)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(parse_network)]
Count = Annotated[int, Field(strict=True, ge=1)]
PolicySetting = dict[OutcomeKind, Decision]
CertificateFile = Annotated[FileSetting, AfterValidator(_with_certificates)]
