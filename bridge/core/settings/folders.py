"""Section `folders`: the folder door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.core.fields import Duration, PathSetting, at_least
from bridge.core.quoting import quoted
from bridge.core.realpaths import real_path
from bridge.core.settings.section import Section

# names under which common programs write a file before it is complete, and their lock files
TEMPORARY = ["~$*", "*.part", "*.crdownload", ".~lock*", "*.filepart"]


_OWN = ".katabridge"


def _mask(value: str) -> str:
    if not value or "/" in value:
        raise ValueError(f"{quoted(value)} is no mask of a file name, such as *.part")
    if not value.strip("*?."):
        raise ValueError(f"{quoted(value)} fits almost every file: none would be judged")
    return value


class FolderSettings(Section):
    """One input, output and quarantine triple."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    """Its name in records: letters, digits, `.`, `_`, `-`."""
    input: PathSetting
    """Where files are taken from. It must exist when the daemon starts, as must the two below."""
    output: PathSetting
    """Where they go that may pass."""
    quarantine: PathSetting
    """Where they go that are blocked. Three different folders."""
    recursive: Annotated[bool, Field(strict=True)] = False
    """`true`: sub-folders too, rebuilt in output and quarantine. Links are never followed, and a
    file system that is mounted inside input is left out and named in the log. Emptied sub-folders
    stay."""
    settle: Duration = 2
    """A file is taken when size and time have not changed for this long, and no process of this
    machine has it open for writing. Whether other machines write is not known on network file
    systems: choose it longer than their writers pause."""
    rescan: Annotated[Duration, AfterValidator(at_least(0.05, "50ms"))] = 1
    """How often input is listed. A listing may take a fifth of the time, so a slow one is done less
    often, but a minute after the last at the latest. On local file systems inotify makes it
    sooner."""
    ignore: list[Annotated[str, AfterValidator(_mask)]] = TEMPORARY
    """File names that are not taken: those under which common programs write before they rename,
    and their lock files. `*` and `?`; capitals do not count."""
    on_conflict: Literal["replace", "rename", "keep-both"] = "replace"
    """What happens in output where the name is taken. `replace`: the newcomer replaces it.
    `rename`: the newcomer becomes `name (2).ext`. `keep-both`: the newcomer gets the name, and what
    had it becomes `name (2).ext`. With the last two a file of the same content that is there
    already is not doubled."""
    quarantine_conflict: Literal["replace", "rename"] = "rename"
    """The same for quarantine: `rename` or `replace`."""

    @property
    def places(self) -> tuple[Path, Path, Path]:
        """Input, output and quarantine."""
        return self.input, self.output, self.quarantine

    @model_validator(mode="after")
    def _three_places(self) -> Self:
        places = [real_path(place) for place in self.places]
        if len(set(places)) != len(places):
            raise ValueError("input, output and quarantine must be three different folders")
        if any(part.lower() == _OWN for place in places for part in place.parts):
            raise ValueError(f"a folder below {_OWN} is katabridge's own")
        return self


def check_together(folders: list[FolderSettings]) -> list[FolderSettings]:
    """The folders, if none is another's quarantine and no file would go round; else ValueError."""
    names = [folder.name for folder in folders]
    if len(set(names)) != len(names):
        raise ValueError("two folders have the same name")
    real = _really(place for folder in folders for place in folder.places)
    inputs = [real[folder.input] for folder in folders]
    if len(set(inputs)) != len(inputs):
        raise ValueError("two folders have the same input")
    quarantines = {real[folder.quarantine] for folder in folders}
    delivered = {*inputs, *(real[folder.output] for folder in folders)}
    if quarantines & delivered:
        raise ValueError("one folder's quarantine is an input or output of another")
    for around, inner in _taken_twice(folders, real):
        raise ValueError(f"{inner} lies inside the input {around}, which is recursive")
    follow = {real[folder.input]: real[folder.output] for folder in folders}
    for start in follow:
        place: Path | None = start
        for _ in follow:
            place = follow.get(place) if place is not None else None
            if place == start:
                raise ValueError("files would go round: outputs lead back to an input")
    return folders


def _really(paths: Iterable[Path]) -> dict[Path, Path]:
    """By path where it leads, each looked at once: it is to be the same for all that is checked."""
    return {path: real_path(path) for path in set(paths)}


def _taken_twice(
    folders: list[FolderSettings], real: Mapping[Path, Path]
) -> Iterator[tuple[Path, Path]]:
    """Folders whose files a recursive input would take for its own."""
    for around in (real[folder.input] for folder in folders if folder.recursive):
        for folder in folders:
            for inner in folder.places:
                if around in real[inner].parents:
                    yield around, inner


def check_own_places(folders: list[FolderSettings], own: dict[str, Path]) -> None:
    """ValueError where what we keep ourselves would lie in a folder of somebody's files.

    `own`: by key the folder that it names.
    """
    real = _really([*own.values(), *(place for folder in folders for place in folder.places)])
    for folder in folders:
        for key in ("input", "output", "quarantine"):
            place = real[getattr(folder, key)]
            for name, path in own.items():
                if place == real[path] or place in real[path].parents:
                    raise ValueError(f"{name} lies in the {key} of folder {folder.name}: {path}")
