"""The certificate and key that this system shows to KATA."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bridge.commands.enrol_trust import EnrolError
from bridge.commands.terminal import complain, say
from bridge.core import certificate_expiry, expiry_warning, make_certificate, renew_certificate

_SUBJECT = "katabridge"

Making = Callable[[Path, Path, str], object]


class Pair:
    """Certificate and key, there or not. `make_new` and `renew` (certificate, key, subject) write
    them: the first only where neither exists, the second keeps the old ones as `.old`."""

    def __init__(
        self,
        certificate: Path,
        key: Path,
        make_new: Making = make_certificate,
        renew: Making = renew_certificate,
    ) -> None:
        self.certificate = certificate
        self.key = key
        self._make_new = make_new
        self._renew = renew

    def check(self, *, force: bool) -> None:
        """EnrolError for half a pair."""
        there, missing = self.certificate, self.key
        if there.exists() == missing.exists() or force:
            return
        if missing.exists():
            there, missing = missing, there
        raise EnrolError(
            f"{there} is there, but not {missing}, which belongs to it: put it back, or make both "
            "anew with --force."
        )

    def make(self, *, anew: bool) -> None:
        """Make the pair where there is none; `anew`: another one, and the old one is kept."""
        there = self.certificate.exists() or self.key.exists()
        if not there:
            self._make_new(self.certificate, self.key, _SUBJECT)
            say(f"{self.certificate} and {self.key} are new.")
        elif anew:
            self._renew(self.certificate, self.key, _SUBJECT)
            say(
                f"{self.certificate} and {self.key} are new; "
                "the old ones are kept beside them (.old)."
            )
            say("KATA must accept this system anew: until then it takes no files from it.")
        else:
            say(f"{self.certificate} and {self.key} exist: they are used as they are.")
            self._warn()

    def _warn(self) -> None:
        try:
            expires = certificate_expiry(self.certificate)
        except ValueError:
            return  # the configuration's check names the file and what is wrong with it
        warning = expiry_warning(self.certificate, expires, datetime.now(UTC))
        if warning is not None:
            complain("enrol", warning)
