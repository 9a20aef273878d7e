"""A KDS installation as our settings: what its configuration says, and what it never said."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.core import ConfigError, Settings, named
from bridge.folder.kds.conf import NO_ID, KdsConf

DEFAULT_STATE = Path("/var/lib/katabridge")
DEFAULT_RECORDS = Path("/var/log/katabridge")
DEFAULT_LOG = Path("/var/log/kata-dir-scanner.log")
EXCLUDED = ("skip", "pass", "block")

_NO_PIN = "0" * 64  # while only the rest is checked: nobody is ever asked by it
_BY_ENROLMENT = ("system_id", "cert_pem", "cert_key")
_KDS_KEYS = {  # what our settings complain about, by the key of KDS's that it came from
    ("kata", "urls"): "kata_cn_addr",
    ("kata", "sensor_id"): "system_id",
    ("kata", "client_cert"): "cert_pem",
    ("kata", "client_key"): "cert_key",
    ("folders", "input"): "in_dir",
    ("folders", "output"): "out_dir",
    ("folders", "quarantine"): "qrnt_dir",
    ("folders",): "in_dir",
}
_OPTIONS = {"spool": "--state", "verdicts": "--state", "logs": "--records"}
_PLACES = ("--state", "--records")
_WORDS = {"input": "in_dir", "output": "out_dir", "quarantine": "qrnt_dir"}

Fault = tuple[str, str]  # the key of KDS's, or "", and the sentence


@dataclass(frozen=True, slots=True)
class Installation:
    """A configuration of KDS's and the places beside it. `state`: spool, verdicts and the pin;
    `records`: log-history.log and log-detects.log; both absolute. `excluded`: one of EXCLUDED."""

    conf: KdsConf
    state: Path = DEFAULT_STATE
    records: Path = DEFAULT_RECORDS
    excluded: str = "skip"

    @property
    def pin_file(self) -> Path:
        """Where the Central Node's fingerprint is kept."""
        return self.state / f"{self.conf.node}.pin"

    @property
    def enrol_command(self) -> str:
        """What makes id and certificate, ready for a shell."""
        state = "" if self.state == DEFAULT_STATE else f" --state {shlex.quote(str(self.state))}"
        return f"kata-bridge enrol --kds-config {shlex.quote(str(self.conf.path))}{state}"

    def settings(self, pin: str = _NO_PIN) -> Settings:
        """Our settings with the server's fingerprint (hex); ConfigError in KDS's own words."""
        settings, faults = self._validated(pin)
        if settings is None or faults:
            raise ConfigError("\n".join(sentence for _, sentence in faults))
        return settings

    def check_but_enrolment(self) -> None:
        """ConfigError for what is wrong, but for id and certificate, which enrolment makes."""
        _, faults = self._validated(_NO_PIN)
        others = [sentence for key, sentence in faults if key not in _BY_ENROLMENT]
        if others:
            raise ConfigError("\n".join(others))

    def as_katabridge(self, pin: str) -> dict[str, Any]:
        """What a katabridge.yaml of the same meaning holds; all its paths are absolute."""
        conf = self.conf
        folder = {
            "name": "kds",
            "input": str(conf.paths["in_dir"]),
            "output": str(conf.paths["out_dir"]),
            "quarantine": str(conf.paths["qrnt_dir"]),
            "recursive": False,
            "ignore": [],
            "on_conflict": "replace",
            "quarantine_conflict": "replace",
        }
        return {
            "kata": {
                "urls": [conf.url],
                "sensor_id": (conf.system_id or NO_ID).lower(),
                "node": conf.node,
                "client_cert": str(conf.paths["cert_pem"]),
                "client_key": str(conf.paths["cert_key"]),
                "server_fingerprint": f"sha256:{pin}",
                "max_object_size": "100MiB",
            },
            "folder_policy": {"excluded": self.excluded},
            "exclude_lists": [str(each) for each in (conf.exclude_list,) if each is not None],
            "verdicts": {"store": f"sqlite://{self.state}/verdicts.db"},
            "spool": {"dir": f"{self.state}/spool"},
            "folders": [folder],
            "logs": {"dir": str(self.records)},
            "status": {"watch": None},  # several installations on a machine would meet there
        }

    def _validated(self, pin: str) -> tuple[Settings | None, list[Fault]]:
        faults = list(self._enrolment_faults())
        told = {key for key, _ in faults}
        try:
            data = self.as_katabridge(pin)
            settings = Settings.model_validate(data, context={"base": self.conf.folder})
        except ValidationError as error:
            others = (self._fault(detail) for detail in error.errors())
            return None, faults + [fault for fault in others if fault[0] not in told]
        return settings, faults

    def _enrolment_faults(self) -> Iterator[Fault]:
        conf, command = self.conf, self.enrol_command
        if conf.system_id is None:
            yield (
                "system_id",
                f"{conf.at('system_id')}: it is empty, and KATA takes no files without it; "
                f"fill it with `{command}`.",
            )
        missing = [key for key in ("cert_pem", "cert_key") if not _is_there(conf.paths[key])]
        for key in missing:
            what = f"{conf.at(key)}: {named(conf.paths[key])} does not exist"
            if len(missing) == 2:
                yield key, f"{what}; make certificate and key with `{command}`."
            else:
                yield (
                    key,
                    f"{what}, but the other half of the pair does; put it back, or make both anew "
                    f"with `{command} --force`.",
                )

    def _fault(self, detail: ErrorDetails) -> Fault:
        names = tuple(str(part) for part in detail["loc"] if isinstance(part, str))
        message = detail["msg"].removeprefix("Value error, ").removesuffix(".")
        if names[:1] == ("exclude_lists",):
            return "", f"{message}."  # it names the list and its line itself
        if names[:1] == ("folders",):
            message = re.sub(r"\b(?:input|output|quarantine)\b", lambda m: _WORDS[m[0]], message)
        key = _KDS_KEYS.get(names[:2]) or _KDS_KEYS.get(names[:1])
        if key is not None:
            return key, f"{self.conf.at(key)}: {message}."
        option = option_of(".".join(names)) if names else ", ".join(_PLACES)
        return "", f"{self.conf.path}: {option}: {message}."


def option_of(key: str) -> str:
    """What stands for a key of ours, where KDS has none: an option, or the key itself."""
    return _OPTIONS.get(key.partition(".")[0], key)


def _is_there(path: Path) -> bool:
    """False only where there is surely nothing; what cannot be looked at is said by its reader."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
