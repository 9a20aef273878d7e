"""Options for an installation of KDS, which several commands take."""

from __future__ import annotations

import argparse
from pathlib import Path

from bridge.core import ConfigError, parse_fingerprint
from bridge.folder.kds import (
    DEFAULT_RECORDS,
    DEFAULT_STATE,
    EXCLUDED,
    Installation,
    Pin,
    read_conf,
    read_pin,
)

KDS_OPTIONS = ("state", "records", "log", "excluded", "fingerprint")


def add_kds_config(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """`--config`, unless `required`, or else `--kds-config`."""
    group = parser.add_mutually_exclusive_group(required=required)
    if not required:
        group.add_argument("--config", type=Path, metavar="FILE", help="the configuration file")
    group.add_argument(
        "--kds-config", type=Path, metavar="FILE", help="KDS's own: kata_dir_scanner.conf"
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """`--state` and `--fingerprint`."""
    parser.add_argument(
        "--state", type=Path, metavar="DIR",
        help=f"with --kds-config: spool, verdicts and the pinned server ({DEFAULT_STATE})",
    )  # fmt: skip
    parser.add_argument(
        "--fingerprint", type=_fingerprint, metavar="sha256:…",
        help="with --kds-config: the Central Node's certificate (else pinned on first use)",
    )  # fmt: skip


def add_places(parser: argparse.ArgumentParser) -> None:
    """`--records` and `--excluded`, which settle what KDS's configuration leaves open."""
    parser.add_argument(
        "--records", type=Path, metavar="DIR",
        help=f"with --kds-config: log-history.log and log-detects.log ({DEFAULT_RECORDS})",
    )  # fmt: skip
    parser.add_argument(
        "--excluded", choices=EXCLUDED,
        help="with --kds-config: a file of exclude_list.txt stays (skip, the default), goes to "
        "output (pass) or to quarantine (block)",
    )  # fmt: skip


def refuse_without_kds_config(options: argparse.Namespace) -> None:
    """ConfigError for an option that only --kds-config gives a meaning."""
    given = [name for name in KDS_OPTIONS if getattr(options, name, None) is not None]
    if options.kds_config is None and given:
        raise ConfigError(
            f"--{given[0]} goes with --kds-config only; a katabridge.yaml says it itself."
        )


def read_installation(options: argparse.Namespace) -> Installation:
    """What the options name; ConfigError where the configuration cannot be used."""
    return Installation(
        read_conf(options.kds_config),
        state=(options.state or DEFAULT_STATE).absolute(),
        records=(getattr(options, "records", None) or DEFAULT_RECORDS).absolute(),
        excluded=getattr(options, "excluded", None) or EXCLUDED[0],
    )


def named_pin(options: argparse.Namespace, installation: Installation) -> Pin | None:
    """The server's fingerprint: the option's, else the pin file's, else none yet. ConfigError."""
    if options.fingerprint is not None:
        return Pin(options.fingerprint, "--fingerprint")
    return read_pin(installation.pin_file)


def _fingerprint(text: str) -> str:
    try:
        return parse_fingerprint(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
