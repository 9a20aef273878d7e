"""The formats that katabridge tells apart, and the groups that settings name them by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class Group(StrEnum):
    """What `submit.types` and the exclusion criterion `format` may name."""

    EXECUTABLE = "executable"
    ARCHIVE = "archive"
    DOCUMENT = "document"
    SCRIPT = "script"
    WEB = "web"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    FONT = "font"
    UNKNOWN = "unknown"


class Format(NamedTuple):
    """What some bytes are."""

    name: str
    group: Group


# Installers, packages with install scripts and shortcuts count as executable: they start things.
# `ole` is a compound file whose directory is out of sight: it may be an installer.
# `text` is unknown: PowerShell, VBScript and JavaScript cannot be told from prose.
_NAMES = {
    Group.EXECUTABLE: "pe mz elf macho class dex pyc luac wasm swf jar apk msix crx deb rpm "
    "msi ole lnk chm hlp",
    Group.SCRIPT: "shebang batch vbe hta wsf php reg url desktop",
    Group.ARCHIVE: "zip opc rar 7z gzip bzip2 xz zstd lzip lz4 compress tar cpio ar xar cab wim "
    "ace arj lzh tnef iso vhd vhdx vmdk qcow",
    Group.DOCUMENT: "doc xls ppt msg ooxml odf epub pdf rtf ps djvu onenote mhtml wordml mdb slk",
    Group.WEB: "html xml svg json",
    Group.IMAGE: "png jpeg gif webp bmp tiff ico avif heic jp2 jxl psd",
    Group.AUDIO: "mp3 wav flac ogg aac m4a midi aiff",
    Group.VIDEO: "mp4 mov 3gp mkv webm ogv avi mpeg mpegts flv asf",
    Group.FONT: "ttf otf ttc woff woff2",
    Group.UNKNOWN: "text unknown",
}

FORMATS: Mapping[str, Group] = MappingProxyType(
    {name: group for group, names in _NAMES.items() for name in names.split()}
)
