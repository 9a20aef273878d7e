"""Options for an installation of KDS, which several commands take."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import yaml

from bridge.core import ConfigError, Settings, find_config, load_config, parse_fingerprint
from bridge.folder.kds import (
    DEFAULT_LOG,
    DEFAULT_RECORDS,
    DEFAULT_STATE,
    EXCLUDED,
    Installation,
    Pin,
    katabridge_yaml,
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


def add_records(parser: argparse.ArgumentParser) -> None:
    """`--records`."""
    parser.add_argument(
        "--records", type=Path, metavar="DIR",
        help=f"with --kds-config: log-history.log and log-detects.log ({DEFAULT_RECORDS})",
    )  # fmt: skip


def add_log(parser: argparse.ArgumentParser) -> None:
    """`--log`."""
    parser.add_argument(
        "--log", type=Path, metavar="FILE",
        help=f"with --kds-config: the service's log ({DEFAULT_LOG})",
    )  # fmt: skip


def add_places(parser: argparse.ArgumentParser) -> None:
    """`--records` and `--excluded`, which settle what KDS's configuration leaves open."""
    add_records(parser)
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
    found = Installation(
        read_conf(options.kds_config),
        state=(getattr(options, "state", None) or DEFAULT_STATE).absolute(),
        records=(getattr(options, "records", None) or DEFAULT_RECORDS).absolute(),
        excluded=getattr(options, "excluded", None) or EXCLUDED[0],
    )
    _refuse_other_than_utf8(found.conf.folder, "--kds-config")
    _refuse_other_than_utf8(found.state, "--state")
    _refuse_other_than_utf8(found.records, "--records")
    return found


def _refuse_other_than_utf8(folder: Path, option: str) -> None:
    """ConfigError for a path that no setting can hold."""
    try:
        str(folder).encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigError(
            f"{folder}: the name of this folder is not UTF-8; rename it, or name another with "
            f"{option}."
        ) from None


def service_log(options: argparse.Namespace) -> Path:
    """Where the service of an installation of KDS writes its own log."""
    named: Path | None = options.log
    return (named or DEFAULT_LOG).absolute()


def named_pin(options: argparse.Namespace, installation: Installation) -> Pin | None:
    """The server's fingerprint: the option's, else the pin file's, else none yet. ConfigError."""
    if options.fingerprint is not None:
        return Pin(options.fingerprint, "--fingerprint")
    return read_pin(installation.pin_file)


def config_of(options: argparse.Namespace) -> Path:
    """The file that the options name."""
    named: Path | None = options.kds_config
    return find_config(options.config) if named is None else named


def load_named(options: argparse.Namespace) -> Settings:
    """What that file says, and the options; ConfigError."""
    if options.kds_config is None:
        return load_config(find_config(options.config))
    installation = read_installation(options)
    settings = installation.settings()
    pin = named_pin(options, installation)
    if pin is None:
        raise ConfigError(
            f"{installation.pin_file}: the Central Node's certificate is not pinned yet; the first "
            "start of `kata-bridge watch --kds-config` does it, or name it with --fingerprint."
        )
    settings = installation.settings(pin.digits)
    # what another configuration of this machine has running is not looked at
    status = settings.status.model_copy(update={"icapd": None, "watch": None})
    return settings.model_copy(update={"status": status})


def as_yaml(options: argparse.Namespace) -> str:
    """A katabridge.yaml of the same meaning; ConfigError. A server that is not pinned is zeros."""
    installation = read_installation(options)
    pin = None
    with contextlib.suppress(ConfigError):
        pin = named_pin(options, installation)
    return katabridge_yaml(installation, pin or Pin("0" * 64, "nowhere yet"))


def places_as_yaml(options: argparse.Namespace) -> str:
    """What the options say of one whose file cannot be used."""
    state = (options.state or DEFAULT_STATE).absolute()
    records = (options.records or DEFAULT_RECORDS).absolute()
    return yaml.safe_dump({"logs": {"dir": str(records)}, "spool": {"dir": f"{state}/spool"}})


def as_words(options: argparse.Namespace) -> list[str]:
    """Options that name the same to another process, whatever folder that is in."""
    if options.kds_config is None:
        return ["--config", str(config_of(options).absolute())]
    words = ["--kds-config", str(options.kds_config.absolute())]
    for name in ("state", "records", "log"):
        if (place := getattr(options, name)) is not None:
            words += [f"--{name}", str(place.absolute())]
    if options.fingerprint is not None:
        words += ["--fingerprint", f"sha256:{options.fingerprint}"]
    return words if options.excluded is None else [*words, "--excluded", options.excluded]


def _fingerprint(text: str) -> str:
    try:
        return parse_fingerprint(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
