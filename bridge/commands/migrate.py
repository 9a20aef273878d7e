"""`kata-bridge migrate`: the katabridge.yaml that equals a configuration of KDS's."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.commands.kds_options import (
    add_kds_config,
    add_places,
    add_trust,
    named_pin,
    read_installation,
)
from bridge.commands.terminal import complain, reason, say
from bridge.core import ConfigError, TrustError, server_certificate
from bridge.folder.kds import Installation, Pin, katabridge_yaml

if TYPE_CHECKING:
    from bridge.commands import Commands


def add(commands: Commands) -> None:
    """Give the command its options."""
    parser = commands.add_parser(
        "migrate",
        help="write the katabridge.yaml that equals KDS's configuration",
        description="Writes the katabridge.yaml that means what `watch --kds-config` with the same "
        "options does. Verdicts, spool and journal are taken on.",
    )
    add_kds_config(parser, required=True)
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="a new file (else it goes to stdout)"
    )
    add_trust(parser)
    add_places(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write it: 0, 1 where it cannot be written or the server is not known, 2 configuration."""
    try:
        installation = read_installation(options)
        installation.settings()
        pin = named_pin(options, installation)
    except ConfigError as error:
        for line in str(error).splitlines():
            complain("migrate", line)
        return 2
    try:
        pin = pin or _shown(installation)
        return _write(katabridge_yaml(installation, pin).encode("utf-8"), options.output)
    except _MigrateError as error:
        complain("migrate", str(error))
        return 1


class _MigrateError(Exception):
    """It cannot be done; the text is one sentence for people."""


def _shown(installation: Installation) -> Pin:
    """What the server shows now, since nothing was pinned yet."""
    url = installation.conf.url
    try:
        shown = server_certificate(url)
    except (OSError, TrustError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise _MigrateError(
            f"the Central Node's certificate is not pinned yet ({installation.pin_file}), and "
            f"{url} cannot be asked for it: {why}. Name it with --fingerprint sha256:…"
        ) from None
    complain(
        "migrate",
        f"FIRST USE: {url} shows the certificate sha256:{shown.fingerprint} (subject "
        f"{shown.subject or '(none)'}), and it stands in the file as the one to trust. Nothing "
        "vouches for it: whoever stands in between now would be trusted. Compare it with the "
        "Central Node's own.",
    )
    return Pin(shown.fingerprint, f"{url}, as it was shown when this was written")


def _write(text: bytes, output: Path | None) -> int:
    if output is None:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
        return 0
    made = False
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        made = True
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o640)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError:
        raise _MigrateError(
            f"{output} exists and is not overwritten; name another with --output."
        ) from None
    except OSError as error:
        if made:  # half a configuration is none
            with contextlib.suppress(OSError):
                output.unlink()
        raise _MigrateError(f"{output}: cannot be written: {reason(error)}.") from None
    name = shlex.quote(str(output))
    say(f"{output} is new. Stop `watch --kds-config`; then: kata-bridge watch --config {name}")
    return 0
