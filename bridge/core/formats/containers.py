"""Containers whose inside says what they are: zip, OLE, RIFF, IFF, ISO media, Matroska."""

from __future__ import annotations

import re
from collections.abc import Iterator

ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCAL_HEADER, _DESCRIPTOR = 30, 0x08
_ENTRY = 128  # bytes of an OLE directory entry

# What an Office document does not carry: such a package counts as a plain archive.
_STARTS = (".exe", ".dll", ".scr", ".com", ".bat", ".cmd", ".ps1", ".vbs", ".lnk", ".hta", ".jar")
_OFFICE = ("word/", "xl/", "ppt/", "visio/")

_OLE_STREAMS = {
    "EncryptedPackage": "ooxml",
    "WordDocument": "doc",
    "Workbook": "xls",
    "Book": "xls",
    "PowerPoint Document": "ppt",
    "__properties_version1.0": "msg",
}
_INSTALLERS = (0xC1084, 0xC1086)  # first part of the class id: package and patch

_BRANDS = (
    (r"avi[fs]", "avif"),
    (r"hei[cxms]|hev[cxms]|mif1|msf1", "heic"),
    (r"M4[AB] ", "m4a"),
    (r"qt  ", "mov"),
    (r"3g[gprs2][0-9a-z]", "3gp"),
    (r"iso[m2-9]|mp4[12]|avc1|M4V[ HP]|MSNV|dash|mmp4", "mp4"),
)
_RIFF = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}


def container(head: bytes) -> str | None:
    """The format of a container; None for what is none, or holds nothing that we know."""
    if head.startswith(ZIP) or head.startswith(b"PK\x05\x06"):
        return zip_format(head)
    if head.startswith(OLE):
        return _ole_format(head)
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _matroska_format(head)
    return _media_format(head)


def zip_format(head: bytes) -> str:
    """The format by the local headers in sight, though a zip's own list stands at its end."""
    entries = list(_entries(head))
    names = [name for name, _ in entries]
    if "AndroidManifest.xml" in names or "classes.dex" in names:
        return "apk"
    if "META-INF/MANIFEST.MF" in names or any(name.endswith(".class") for name in names):
        return "jar"
    if "AppxManifest.xml" in names or "AppxMetadata/AppxBundleManifest.xml" in names:
        return "msix"
    if any(name.lower().endswith(_STARTS) for name in names):
        return "zip"
    return _document_package(entries, names)


def _document_package(entries: list[tuple[str, bytes]], names: list[str]) -> str:
    kind = entries[0][1] if entries and names[0] == "mimetype" else b""
    if kind.startswith(b"application/vnd.oasis.opendocument."):
        return "odf"
    if kind.startswith(b"application/epub+zip"):
        return "epub"
    if "[Content_Types].xml" not in names and "_rels/.rels" not in names:
        return "zip"
    return "ooxml" if any(name.startswith(_OFFICE) for name in names) else "opc"


def _entries(head: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, beginning of the data) of each local header (APPNOTE.TXT 4.3.7) in sight."""
    at = 0
    while head.startswith(ZIP, at) and at + _LOCAL_HEADER <= len(head):
        flags = int.from_bytes(head[at + 6 : at + 8], "little")
        packed = int.from_bytes(head[at + 18 : at + 22], "little")
        named = int.from_bytes(head[at + 26 : at + 28], "little")
        extra = int.from_bytes(head[at + 28 : at + 30], "little")
        start = at + _LOCAL_HEADER + named + extra
        name = head[at + _LOCAL_HEADER : at + _LOCAL_HEADER + named]
        yield name.decode("utf-8", "replace").replace("\\", "/"), head[start : start + 64]
        if flags & _DESCRIPTOR and not packed:  # the length stands behind the data
            at = head.find(ZIP, start)
            if at < 0:
                return
        else:
            at = start + packed


def _ole_format(head: bytes) -> str:
    """By the first directory sector ([MS-CFB] 2.2, 2.6); `ole` where it is out of sight."""
    size = 1 << min(int.from_bytes(head[30:32], "little"), 16)
    start = (int.from_bytes(head[48:52], "little") + 1) * size
    sector = head[start : start + size]
    entries = [sector[i : i + _ENTRY] for i in range(0, len(sector) - _ENTRY + 1, _ENTRY)]
    if entries and int.from_bytes(entries[0][80:84], "little") in _INSTALLERS:
        return "msi"
    names = [entry[:64].decode("utf-16-le", "replace").partition("\0")[0] for entry in entries]
    return next((_OLE_STREAMS[name] for name in names if name in _OLE_STREAMS), "ole")


def _matroska_format(head: bytes) -> str | None:
    kind = re.search(rb"\x42\x82[\x80-\x8f](matroska|webm)", head[:80])
    if kind is None:
        return None
    return "webm" if kind[1] == b"webm" else "mkv"


def _media_format(head: bytes) -> str | None:
    """By the major brand of an `ftyp` box (ISO/IEC 14496-12, 4.3)."""
    if head[4:8] != b"ftyp" or not 16 <= int.from_bytes(head[:4], "big") <= 4096:
        return None
    brand = head[8:12].decode("ascii", "replace")
    return next((name for mask, name in _BRANDS if re.fullmatch(mask, brand)), None)
