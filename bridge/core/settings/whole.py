"""The configuration file as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from bridge.core.exclusions import Rule, read_kds_list
from bridge.core.fields import PathSetting, PolicySetting
from bridge.core.settings.folders import FolderSettings, check_own_places, check_together
from bridge.core.settings.icap import IcapSettings
from bridge.core.settings.kata import KataSettings, SubmitSettings
from bridge.core.settings.logs import LogSettings, NotifySettings, StatusSettings
from bridge.core.settings.policy import no_skip
from bridge.core.settings.section import Section
from bridge.core.settings.stores import SpoolSettings, VerdictSettings


def _kds_list(path: Path) -> Path:
    read_kds_list(path)  # KdsListError is a ValueError
    return path


KdsList = Annotated[PathSetting, AfterValidator(_kds_list)]


class Settings(Section):
    """The whole configuration file."""

    kata: KataSettings
    submit: SubmitSettings = SubmitSettings()
    policy: Annotated[PolicySetting, AfterValidator(no_skip)] = {}
    """Outcome to decision, for both doors, as in `{timeout: pass}`. What is not written is
    as shipped."""
    folder_policy: PolicySetting = {}
    """The same for the folder door; it goes before `policy`."""
    exclusions: list[Rule] = []
    """Rules, as below. What fits one of them is not judged."""
    exclude_lists: list[KdsList] = []
    """Files as KDS's `exclude_list.txt`: a file name or `*.ext` a line. They count for folders
    only."""
    verdicts: VerdictSettings = VerdictSettings()
    spool: SpoolSettings = SpoolSettings()
    icap: IcapSettings = IcapSettings()
    folders: Annotated[list[FolderSettings], AfterValidator(check_together)] = []
    """The folders of the folder door, each as below."""
    logs: LogSettings = LogSettings()
    notify: NotifySettings | None = None
    status: StatusSettings = StatusSettings()

    @model_validator(mode="after")
    def _own_places(self) -> Self:
        self.check_places()
        return self

    def check_places(self) -> None:
        """ValueError where a folder is to lie where our own files are."""
        own = {"spool.dir": self.spool.dir, "logs.dir": self.logs.dir}
        scheme, _, path = self.verdicts.store.partition("://")
        if scheme == "sqlite":
            own["verdicts.store"] = Path(path).parent
        check_own_places(self.folders, own)
