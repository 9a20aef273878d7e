"""Whether the Central Nodes are the right ones: looked at, shown, confirmed, and then held to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.commands.clock import Clock
from bridge.commands.enrol_config import KataSection
from bridge.commands.terminal import reason, say
from bridge.core import ServerCertificate, TrustError, server_certificate

ASK_SECONDS = 5.0


class EnrolError(Exception):
    """Enrolment cannot go on; the text is for people."""


@dataclass(frozen=True, slots=True)
class PinPlace:
    """Where the fingerprint is kept, in words: its key, the key with its file, the configuration
    file, and how a person names it."""

    key: str
    where: str
    file: str
    by_hand: str


class Trust:
    """What the servers must show. `pin`: the one fingerprint (lower hex) for all of them, or None
    where `kata.server_ca` alone decides."""

    def __init__(self, section: KataSection, place: PinPlace, *, yes: bool, force: bool) -> None:
        self.pin = section.pin
        self._section = section
        self._place = place
        self._yes = yes
        self._force = force
        self._seen: set[str] = set()

    def establish(self, clock: Clock) -> None:
        """Look at the servers until one answers, and have it confirmed. EnrolError: refused."""
        shown = self._look(clock)
        for url, certificate in shown.items():
            _describe(url, certificate)
        self._seen.update(shown)
        if self.pin is not None:
            if all(each.fingerprint == self.pin for each in shown.values()):
                say(f"It is the certificate of {self._place.key}.")
                return
            if not self._force:
                for url, certificate in shown.items():
                    self._hold_to_pin(url, certificate)
        elif self._section.ca is not None:
            say("kata.server_ca vouches for it.")
            return
        self.pin = self._confirmed(shown)

    def check(self, url: str) -> None:
        """Hold a server to what was confirmed, when it first answers.

        OSError where it does not answer, EnrolError where it shows something else.
        """
        if url not in self._seen:
            self._hold_to_pin(url, self._shown(url))
            self._seen.add(url)

    def _look(self, clock: Clock) -> Mapping[str, ServerCertificate]:
        shown = self._look_once(says=True)
        if not shown:
            with clock.showing("Waiting for a Central Node that can be reached"):
                while not shown:
                    if not clock.left:
                        raise EnrolError("time is up: no Central Node can be reached.")
                    clock.pause(ASK_SECONDS)
                    shown = self._look_once(says=False)
        return shown

    def _look_once(self, *, says: bool) -> Mapping[str, ServerCertificate]:
        shown = {}
        for url in self._section.urls:
            try:
                shown[url] = self._shown(url)
            except OSError as error:
                if says:
                    say(f"{url} cannot be reached: {reason(error)}. It is asked again.")
        return shown

    def _shown(self, url: str) -> ServerCertificate:
        ca = self._section.ca
        try:
            return server_certificate(url, ca=ca, any_name=self._section.pin is not None)
        except TrustError as error:
            if ca is None:
                raise EnrolError(f"{url} shows a certificate, but {error}.") from None
            raise EnrolError(
                f"REFUSED: {url} shows a certificate that kata.server_ca ({ca}) does not vouch "
                f"for: {error}. Nothing was sent. If it is the right server, put its CA, or the "
                "certificate itself, into that file."
            ) from None

    def _hold_to_pin(self, url: str, certificate: ServerCertificate) -> None:
        if self.pin is None or certificate.fingerprint == self.pin:
            return
        raise EnrolError(
            f"REFUSED: {url} shows the certificate sha256:{certificate.fingerprint}, but "
            f"sha256:{self.pin} is trusted ({self._place.where}). Nothing was sent. Either the "
            "Central Node has a new certificate, or somebody stands in between: ask the KATA "
            "administrator. If the new one is right, write it there (or call this with --force, "
            "which makes id and certificate anew, or with --force --renew). Several Central Nodes "
            "with certificates of their own need kata.server_ca: one file with all of them."
        )

    def _confirmed(self, shown: Mapping[str, ServerCertificate]) -> str:
        pins = {certificate.fingerprint for certificate in shown.values()}
        if len(pins) > 1:
            raise EnrolError(
                "the Central Nodes show different certificates, and kata.server_fingerprint holds "
                "one for all: put all of them, or their CA, into one PEM file, and name it as "
                f"kata.server_ca in {self._place.file}."
            )
        (pin,) = pins
        if not self._yes and not _is_trusted(self._place):
            raise EnrolError("the certificate is not trusted. Nothing was sent.")
        return pin


def _describe(url: str, certificate: ServerCertificate) -> None:
    over = certificate.not_after < datetime.now(UTC)
    say(f"{url} shows the certificate")
    say(f"  sha256:{certificate.fingerprint}")
    say(f"  subject {certificate.subject or '(none)'}")
    say(
        f"  valid from {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
        f"{' (it has expired)' if over else ''}"
    )


def _is_trusted(place: PinPlace) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise EnrolError(
            "nobody can be asked whether this certificate is trusted: compare it, and call this "
            f"with --yes, or {place.by_hand}."
        )
    try:
        answer = input("Trust it? [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")
