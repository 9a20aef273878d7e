"""How long our own certificates are good. Whether they fit their keys the configuration says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from bridge.commands.checking.line import Line, failed, ok, warning
from bridge.core import Settings

_AREA = "certificate"
_SOON = timedelta(days=30)
_OTHERS = 0o007
_RENEW = (
    "make a new one with `kata-bridge enrol --renew`, and have the KATA administrator accept it"
)
_REPLACE = "put a new certificate there, and reload icapd (SIGHUP)"


def look_at_certificates(settings: Settings) -> Iterator[Line]:
    """What this system shows to KATA, and to proxies."""
    kata, tls = settings.kata, settings.icap.tls
    now = datetime.now(UTC)
    yield judge_certificate("kata.client_cert", kata.client_cert, _RENEW, now)
    yield from _open_key("kata.client_key", kata.client_key)
    if tls is not None:
        yield judge_certificate("icap.tls.cert", tls.cert, _REPLACE, now)
        yield from _open_key("icap.tls.key", tls.key)


def judge_certificate(key: str, path: Path, renew: str, now: datetime) -> Line:
    """Whether a certificate in PEM is valid at `now` (with a zone) and for a while."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (OSError, ValueError) as error:
        return failed(_AREA, f"{key} ({path}) cannot be read: {error}", renew)
    if ends <= now:
        return failed(_AREA, f"{key} ({path}) has expired on {ends:%Y-%m-%d}", renew)
    if begins > now:
        sentence = f"{key} ({path}) is not valid before {begins:%Y-%m-%d %H:%M} UTC"
        return failed(_AREA, sentence, f"set this machine's clock, or {renew}")
    if ends - now < _SOON:
        sentence = f"{key} ({path}) expires on {ends:%Y-%m-%d}, in {(ends - now).days} days"
        return warning(_AREA, sentence, renew)
    return ok(_AREA, f"{key} ({path}) is valid until {ends:%Y-%m-%d}")


def _open_key(key: str, path: Path) -> Iterator[Line]:
    if path.stat().st_mode & _OTHERS:
        yield warning(
            _AREA,
            f"{key} ({path}) can be read or changed by every user of this machine",
            f"take the rights of others away: chmod o= {path}",
        )
