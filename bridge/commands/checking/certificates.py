"""How long the certificates are good that the configuration names, each of each file.

Whether our own fit their keys the configuration says.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from bridge.commands.checking.line import Line, failed, ok, skipped, warning
from bridge.core import Settings

_AREA = "certificate"
_SOON = timedelta(days=30)
_OTHERS = 0o007
_BUNDLE = 10  # of more CAs a file is a system's, which its packages renew
_RENEW = (
    "make a new one with `kata-bridge enrol --renew`, and have the KATA administrator accept it"
)
_REPLACE = "put a new certificate there, and reload icapd (SIGHUP)"
_RENEW_CA = "put the new certificate of that CA there, and reload the daemons (SIGHUP)"
_RENEW_FIXED = "put the new certificate of that CA there, and restart the daemons"
_CLOCK = "set this machine's clock, or "


def look_at_certificates(settings: Settings) -> Iterator[Line]:
    """What this system shows to KATA and to proxies, and by what it knows others. Blocks: disk."""
    kata, tls = settings.kata, settings.icap.tls
    now = datetime.now(UTC)
    yield judge_certificate("kata.client_cert", kata.client_cert, _RENEW, now)
    yield from _open_key("kata.client_key", kata.client_key)
    if tls is not None:
        yield judge_certificate("icap.tls.cert", tls.cert, _REPLACE, now)
        yield from _open_key("icap.tls.key", tls.key)
    for key, path, renew in _authorities(settings):
        yield judge_authorities(key, path, renew, now)


def _authorities(settings: Settings) -> Iterator[tuple[str, Path, str]]:
    """By which the certificates of others are judged: key, file, and what to do."""
    tls, syslog, notify = settings.icap.tls, settings.logs.syslog, settings.notify
    if settings.kata.server_ca is not None:
        yield "kata.server_ca", settings.kata.server_ca, _RENEW_CA
    if tls is not None and tls.client_ca is not None:
        yield "icap.tls.client_ca", tls.client_ca, _RENEW_CA
    if syslog is not None and syslog.ca is not None:
        yield "logs.syslog.ca", syslog.ca, _RENEW_FIXED
    if notify is not None and notify.ca is not None:
        yield "notify.ca", notify.ca, _RENEW_FIXED
    redis = urlsplit(settings.verdicts.store)  # that it can be read the settings have seen to
    if redis.scheme == "rediss":
        for option, path in parse_qsl(redis.query):
            if option == "ssl_ca_certs":
                yield "ssl_ca_certs of verdicts.store", Path(path), _RENEW_FIXED


def judge_certificate(key: str, path: Path, renew: str, now: datetime) -> Line:
    """Whether a certificate in PEM, and what is between it and its CA, is valid at `now` (with a
    zone) and for a while. Blocks: disk."""
    try:
        first, *others = _read(path)
    except (OSError, ValueError) as error:
        return _unread(key, path, error, renew)
    # a root that is there too is not used: who is shown it has one of his own
    needed = [first, *(each for each in others if each.issuer != each.subject)]
    name, signers = f"{key} ({path})", [each for each in others if each.subject == first.issuer]
    invalid = [each for each in needed if not _is_valid(each, now)]
    if not invalid:
        return _soon_or_ok(name, needed, renew, now)
    worst = next((each for each in invalid if each is first or each in signers), invalid[0])
    line = _invalid(name, worst, needed, renew, now)
    if worst is first or (worst in signers and not any(_is_valid(each, now) for each in signers)):
        return line
    sentence = f"{line.sentence}; who has another way to its CA does without it"
    return warning(_AREA, sentence, f"take it out if it is used no more, or {line.advice}")


def judge_authorities(key: str, path: Path, renew: str, now: datetime) -> Line:
    """The same for a file of CAs, of which one that is valid may be enough. Blocks: disk."""
    try:
        several = _read(path)
    except OSError as error:
        return _unread(key, path, error, renew)
    except ValueError as error:  # who uses it can: the settings have seen to that
        return skipped(_AREA, f"the dates in {key} ({path}) cannot be read: {error}")
    name = f"{key} ({path})"
    valid = sum(_is_valid(each, now) for each in several)
    if valid and len(several) > _BUNDLE:
        return ok(_AREA, f"{name} has {len(several)} CAs, of which {valid} are valid now")
    invalid = next((each for each in several if not _is_valid(each, now)), None)
    if invalid is None:
        return _soon_or_ok(name, several, renew, now)
    line = _invalid(name, invalid, several, renew, now)
    if not valid:
        return line
    sentence = f"{line.sentence}; who shows a certificate of it is refused, others are valid"
    return warning(_AREA, sentence, f"take it out if it is used no more, or {line.advice}")


def _read(path: Path) -> Sequence[x509.Certificate]:
    with warnings.catch_warnings():
        # of odd ones in a system's bundle, which nobody here can mend
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return x509.load_pem_x509_certificates(path.read_bytes())


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _unread(key: str, path: Path, error: Exception, renew: str) -> Line:
    return failed(_AREA, f"{key} ({path}) cannot be read: {error}", renew)


def _named(name: str, one: x509.Certificate, several: Sequence[x509.Certificate]) -> str:
    return name if len(several) == 1 else f"{name}: {one.subject.rfc4514_string()} in it"


def _invalid(
    name: str, one: x509.Certificate, several: Sequence[x509.Certificate], renew: str, now: datetime
) -> Line:
    who = _named(name, one, several)
    begins, ends = one.not_valid_before_utc, one.not_valid_after_utc
    if ends <= now:
        return failed(_AREA, f"{who} has expired on {ends:%Y-%m-%d}", renew)
    sentence = f"{who} is not valid before {begins:%Y-%m-%d %H:%M} UTC"
    return failed(_AREA, sentence, f"{_CLOCK}{renew}")


def _soon_or_ok(name: str, several: Sequence[x509.Certificate], renew: str, now: datetime) -> Line:
    first = min(several, key=lambda each: each.not_valid_after_utc)
    ends = first.not_valid_after_utc
    if ends - now < _SOON:
        who = _named(name, first, several)
        sentence = f"{who} expires on {ends:%Y-%m-%d}, in {(ends - now).days} days"
        return warning(_AREA, sentence, renew)
    return ok(_AREA, f"{name} is valid until {ends:%Y-%m-%d}")


def _open_key(key: str, path: Path) -> Iterator[Line]:
    if path.stat().st_mode & _OTHERS:
        yield warning(
            _AREA,
            f"{key} ({path}) can be read or changed by every user of this machine",
            f"take the rights of others away: chmod o= {path}",
        )
