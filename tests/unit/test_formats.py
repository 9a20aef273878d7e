"""What bytes are: by content only, leaning to the dangerous side, never by surprise."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.formats import FORMATS, HEAD_BYTES, Format, Group, recognise
from bridge.core.formats.signatures import ACTIVE, PASSIVE


def zip_of(*names: str, stored: bytes = b"x", prefix: bytes = b"") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, stored)
    return prefix + target.getvalue()


def streamed_zip(*names: str) -> bytes:
    """A zip whose local headers do not tell lengths, as streams make them."""

    class Pipe(io.RawIOBase):
        data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            part = bytes(data)  # type: ignore[call-overload]
            self.data += part
            return len(part)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for name in names:
            archive.writestr(name, b"data")
    assert pipe.data[6] & 8
    return pipe.data


def packed_tar() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("GIF89a"), io.BytesIO())
    return target.getvalue()


def at(offset: int, magic: bytes, start: bytes = b"") -> bytes:
    return start.ljust(offset, b"\0") + magic.ljust(16, b"\0")


def pe() -> bytes:
    return b"MZ" + bytes(58) + (128).to_bytes(4, "little") + bytes(64) + b"PE\0\0" + bytes(20)


def ole(*streams: str, class_id: int = 0, sector: int = 1, shift: int = 9) -> bytes:
    head = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    head[30:32] = shift.to_bytes(2, "little")
    head[48:52] = sector.to_bytes(4, "little")
    entries = b""
    for name in ("Root Entry", *streams):
        entry = bytearray(128)
        entry[: 2 * len(name)] = name.encode("utf-16-le")
        if not entries:
            entry[80:84] = class_id.to_bytes(4, "little")
        entries += entry
    return bytes(head).ljust((sector + 1) << shift, b"\0") + entries.ljust(1 << shift, b"\0")


def ftyp(brand: str) -> bytes:
    return b"\0\0\0\x18ftyp" + brand.encode() + b"\0\0\0\0isommp42" + b"\0\0\0\x08free"


def riff(kind: bytes) -> bytes:
    return b"RIFF\x24\0\0\0" + kind + b"fmt "


def gif(rest: bytes = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\0;") -> bytes:
    return b"GIF89a\x01\0\x01\0\x80\0\0" + b"\xff" * 6 + rest


def bmp() -> bytes:
    return b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0" + bytes(36)


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17)
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0"
ICON = b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\x68\4\0\0\x16\0\0\0" + bytes(32)
MP3_FRAME = b"\xff\xfb\x90\x00" + bytes(413)
AAC_FRAME = b"\xff\xf1\x50\x80\x04\x1f\xfc" + bytes(25)
MKV = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x88matroska"
WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm"
TTF = b"\0\x01\0\0\0\x0f\0\x80\0\x03\0\x70DSIG" + bytes(32)

SAMPLES: list[tuple[str, bytes]] = [
    ("pe", pe()),
    ("mz", b"MZ\x90\0" + bytes(60)),
    ("elf", b"\x7fELF\x02\x01\x01"),
    ("macho", b"\xcf\xfa\xed\xfe\x07\0\0\x01"),
    ("macho", b"\xfe\xed\xfa\xce\0\0\0\x12"),
    ("macho", b"\xca\xfe\xba\xbe\0\0\0\x02\x01\0\0\x07"),
    ("class", b"\xca\xfe\xba\xbe\0\0\0\x34"),
    ("dex", b"dex\n035\0"),
    ("pyc", b"\xa7\x0d\x0d\x0a" + bytes(12)),
    ("luac", b"\x1bLua\x53"),
    ("wasm", b"\0asm\x01\0\0\0"),
    ("swf", b"CWS\x0a\x00\x10\0\0"),
    ("jar", zip_of("META-INF/MANIFEST.MF", "A.class")),
    ("apk", zip_of("AndroidManifest.xml", "META-INF/MANIFEST.MF")),
    ("msix", zip_of("AppxManifest.xml", "[Content_Types].xml")),
    ("crx", b"Cr24\x03\0\0\0"),
    ("deb", b"!<arch>\ndebian-binary   "),
    ("rpm", b"\xed\xab\xee\xdb\x03\0"),
    ("msi", ole("\u4840\u3f7f\u4164", class_id=0xC1084)),
    ("ole", ole(sector=900, shift=9)[:4096]),
    ("ole", ole("Something")),
    ("lnk", b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F" + bytes(20)),
    ("chm", b"ITSF\x03\0\0\0"),
    ("hlp", b"?_\x03\0\0\0"),
    ("shebang", b"#!/bin/sh\necho hello\n"),
    ("batch", b"@echo off\r\ndel *\r\n"),
    ("batch", b"\xef\xbb\xbf@ECHO OFF\r\n"),
    ("vbe", b"#@~^XAAAAA=="),
    ("hta", b"<html><head><HTA:APPLICATION ID=a></head></html>"),
    ("wsf", b"<?xml version='1.0'?><package><job><script language='JScript'>x</script>"),
    ("wsf", b"<job id='a'><script>x()</script></job>"),
    ("php", b"<?php system($_GET[0]);"),
    ("reg", b"Windows Registry Editor Version 5.00\r\n"),
    ("reg", b"\xff\xfe" + "Windows Registry Editor Version 5.00".encode("utf-16-le")),
    ("url", b"[InternetShortcut]\r\nURL=file://x/y\r\n"),
    ("desktop", b"[Desktop Entry]\nExec=sh\n"),
    ("zip", zip_of("a.txt")),
    ("zip", zip_of()),
    ("zip", zip_of("[Content_Types].xml", "word/document.xml", "evil.EXE")),
    ("opc", zip_of("[Content_Types].xml", "FixedDocSeq.fdseq")),
    ("rar", b"Rar!\x1a\x07\0\xcf\x90"),
    ("rar", b"Rar!\x1a\x07\x01\0\xcf"),
    ("7z", b"7z\xbc\xaf\x27\x1c\0\4"),
    ("gzip", b"\x1f\x8b\x08\0"),
    ("bzip2", b"BZh91AY&SY\x01"),
    ("xz", b"\xfd7zXZ\0\0\4"),
    ("zstd", b"\x28\xb5\x2f\xfd\x24"),
    ("lzip", b"LZIP\x01\x0c"),
    ("lz4", b"\x04\x22\x4d\x18\x64"),
    ("compress", b"\x1f\x9d\x90"),
    ("tar", packed_tar()),
    ("cpio", b"070701000001"),
    ("ar", b"!<arch>\nfoo.o/  "),
    ("xar", b"xar!\0\x1c\0\x01"),
    ("cab", b"MSCF\0\0\0\0\x10\0"),
    ("wim", b"MSWIM\0\0\0\xd0"),
    ("ace", b"\x01\x02\x31\0\0\0\0**ACE**\x14"),
    ("arj", b"\x60\xea\x2b\0\x1e"),
    ("lzh", b"\x1f\x05-lh5-\0"),
    ("tnef", b"\x78\x9f\x3e\x22\0\0"),
    ("iso", at(32769, b"CD001")),
    ("iso", at(32769, b"CD001", start=gif())),
    ("vhd", b"conectix\0\0\0\x02"),
    ("vhdx", b"vhdxfileM\0"),
    ("vmdk", b"KDMV\x01\0\0\0"),
    ("vmdk", b"# Disk DescriptorFile\nversion=1\n"),
    ("qcow", b"QFI\xfb\0\0\0\3"),
    ("doc", ole("CompObj", "WordDocument")),
    ("xls", ole("Workbook")),
    ("xls", ole("Book", shift=12)),
    ("ppt", ole("PowerPoint Document")),
    ("msg", ole("__properties_version1.0")),
    ("ooxml", zip_of("[Content_Types].xml", "_rels/.rels", "word/document.xml")),
    ("ooxml", streamed_zip("[Content_Types].xml", "xl/workbook.xml")),
    ("ooxml", ole("EncryptionInfo", "EncryptedPackage")),
    ("odf", zip_of("mimetype", stored=b"application/vnd.oasis.opendocument.text")),
    ("epub", zip_of("mimetype", stored=b"application/epub+zip")),
    ("pdf", b"%PDF-1.7\n"),
    ("pdf", b"\0\1\2 some bytes first %PDF-1.4"),
    ("rtf", b"{\\rtf1\\ansi"),
    ("ps", b"%!PS-Adobe-3.0"),
    ("djvu", b"AT&TFORM\0\0\1\0DJVM"),
    ("onenote", b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3" + bytes(8)),
    ("mhtml", b"MIME-Version: 1.0\r\nContent-Type: multipart/related"),
    ("wordml", b"<?xml version='1.0'?><?mso-application progid='Word.Document'?><w>"),
    ("mdb", b"\0\x01\0\0Standard ACE DB\0"),
    ("slk", b"ID;PWXL;N;E\r\n"),
    ("html", b"\r\n <!DOCTYPE html><html>"),
    ("html", b"<script>x</script>"),
    ("html", b"<!-- a comment --><p>"),
    ("html", b"<?xml version='1.0'?><html xmlns='x'>"),
    ("xml", b"<?xml version='1.0'?><feed>"),
    ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'>"),
    ("svg", b"<?xml version='1.0'?>\n<!-- x --><svg>"),
    ("json", b'{"a": [1, 2]}\n'),
    ("png", PNG),
    ("jpeg", JPEG),
    ("gif", gif()),
    ("webp", riff(b"WEBP")),
    ("bmp", bmp()),
    ("tiff", b"II*\0\x08\0\0\0"),
    ("tiff", b"MM\0*\0\0\0\x08"),
    ("ico", ICON),
    ("avif", ftyp("avif")),
    ("heic", ftyp("heic")),
    ("jp2", b"\0\0\0\x0cjP  \r\n\x87\n\0\0"),
    ("jxl", b"\0\0\0\x0cJXL \r\n\x87\n\0\0"),
    ("psd", b"8BPS\0\x01\0\0\0\0\0\0\0\3"),
    ("mp3", b"ID3\x04\0\0\0\0\x0f\x76TSSE"),
    ("mp3", MP3_FRAME * 2),
    ("wav", riff(b"WAVE")),
    ("flac", b"fLaC\0\0\0\x22\x10"),
    ("ogg", b"OggS\0\x02" + bytes(22) + b"\x01vorbis"),
    ("aac", AAC_FRAME * 2),
    ("m4a", ftyp("M4A ")),
    ("midi", b"MThd\0\0\0\x06\0\x01"),
    ("aiff", b"FORM\0\0\0\x20AIFFCOMM"),
    ("mp4", ftyp("isom")),
    ("mp4", ftyp("mp42")),
    ("mov", ftyp("qt  ")),
    ("3gp", ftyp("3gp5")),
    ("mkv", MKV),
    ("webm", WEBM),
    ("ogv", b"OggS\0\x02" + bytes(22) + b"\x80theora\3"),
    ("avi", riff(b"AVI ")),
    ("mpeg", b"\0\0\x01\xba\x44" + bytes(12)),
    ("mpeg", b"\0\0\x01\xb3" + bytes(12)),
    ("mpegts", (b"G" + bytes(187)) * 5),
    ("flv", b"FLV\x01\5\0\0\0\x09"),
    ("asf", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c" + bytes(8)),
    ("ttf", TTF),
    ("otf", b"OTTO" + TTF[4:]),
    ("ttc", b"ttcf\0\x01\0\0"),
    ("woff", b"wOFF" + bytes(44)),
    ("woff2", b"wOF2" + bytes(44)),
    ("text", b"Just some words.\n"),
    ("text", "Просто слова".encode("cp1251")),
    ("text", b"Get-ChildItem | Remove-Item\r\n"),
    ("unknown", b""),
    ("unknown", bytes(64)),
    ("unknown", bytes(range(256))),
]


@pytest.mark.parametrize(
    ("name", "head"), SAMPLES, ids=[f"{i}-{name}" for i, (name, _) in enumerate(SAMPLES)]
)
def test_a_sample_of_each_format(name: str, head: bytes) -> None:
    assert recognise(head) == Format(name, FORMATS[name])


def test_every_format_that_has_a_name_has_a_sample() -> None:
    assert {name for name, _ in SAMPLES} == set(FORMATS)
    assert {row.name for row in (*ACTIVE, *PASSIVE)} <= set(FORMATS)
    assert set(FORMATS.values()) == set(Group)


# A magic alone is no picture: these look like one to a table of first bytes.
PRETENDERS = [
    b"BM, the initials of a scientist who wrote a long text about them",
    b"GIF89a=1;/*" + b" " * 20 + b"*/alert(1)",
    b"GIF89a<script>alert(1)</script>",
    b"\x89PNG\r\n\x1a\n and then something else",
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\x00 no marker",
    b"ID3 is a tag in front of music",
    b"\xff\xfb\x90\x00 only one frame" + bytes(500),
    b"\xff\xf1\x50\x80\x04\x1f\xfc only one frame" + bytes(60),
    b"\0\0\x01\0\x01\0 not an icon's list of pictures",
    b"\0\0\x01\xba",
    b"\0\x01\0\0 not a table of fonts",
    b"wOFF",
    b"II*\0\0\0\0\0",
    b"FLV\x02",
    b"OggS",
    b"G" + bytes(187) + b"G" + bytes(900),
    ftyp("evil"),
    b"\xff\xff\xff\xffftypisom",
    b"\x1a\x45\xdf\xa3 an unknown kind of EBML",
    riff(b"ACON"),
]


@pytest.mark.parametrize("head", PRETENDERS)
def test_a_magic_without_its_fields_is_no_picture_film_or_sound(head: bytes) -> None:
    assert recognise(head).group is Group.UNKNOWN


CARRIED = [
    ("zip", zip_of("a.txt")),
    ("jar", zip_of("META-INF/MANIFEST.MF")),
    ("rar", b"Rar!\x1a\x07\0"),
    ("7z", b"7z\xbc\xaf\x27\x1c"),
    ("cab", b"MSCF\0\0\0\0"),
    ("pdf", b"%PDF-1.4"),
    ("html", b"<ScRiPt>alert(1)</script>"),
    ("html", b"<html >"),
    ("php", b"<?php phpinfo();"),
    ("hta", b"<hta:application>"),
]
PASSIVE_SAMPLES = [
    head
    for name, head in SAMPLES
    if FORMATS[name] in (Group.IMAGE, Group.AUDIO, Group.VIDEO, Group.FONT)
]


@pytest.mark.parametrize(("name", "payload"), CARRIED, ids=[name for name, _ in CARRIED])
def test_what_carries_something_else_counts_as_that(name: str, payload: bytes) -> None:
    for head in PASSIVE_SAMPLES:
        assert recognise(head + payload).name == name
    assert len(PASSIVE_SAMPLES) >= 35


def test_an_archive_behind_an_unknown_beginning_is_an_archive() -> None:
    assert recognise(zip_of("META-INF/MANIFEST.MF", prefix=b"\0\1\2")).name == "jar"


def test_a_pdf_begins_where_readers_look_for_it() -> None:
    assert recognise(bytes(1019) + b"%PDF-").name == "pdf"
    assert recognise(bytes(1020) + b"%PDF-").name == "unknown"


def test_a_program_is_one_whatever_else_it_looks_like() -> None:
    both = pe().ljust(257, b"\0") + b"ustar" + b"%PDF-1.4" + zip_of("word/document.xml")
    assert recognise(both).name == "pe"
    assert recognise(b"MZ" + packed_tar()[2:]).group is Group.EXECUTABLE


def test_a_file_inside_a_stored_zip_does_not_name_the_zip() -> None:
    inner = zip_of("[Content_Types].xml", "word/document.xml")
    assert recognise(zip_of("inner.bin", stored=inner)).name == "zip"


def test_json_that_is_cut_off_or_broken_is_text() -> None:
    assert recognise(b'{"a": [1, 2').name == "text"
    assert recognise(b"[" * HEAD_BYTES).name == "text"
    assert recognise(b"[" * 50000 + b"]" * 50000).name == "text"
    assert recognise(b"{var a = 1; alert(a)}").name == "text"


@given(st.binary(max_size=600))
def test_any_bytes_have_a_format_that_is_in_the_table(head: bytes) -> None:
    found = recognise(head)
    assert FORMATS[found.name] is found.group


@given(st.sampled_from([head for _, head in SAMPLES]), st.data())
def test_a_damaged_or_cut_sample_raises_nothing(head: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(head)))
    noise = data.draw(st.binary(max_size=40))
    found = recognise(head[:cut] + noise + head[cut + len(noise) :])
    assert FORMATS[found.name] is found.group


@pytest.mark.parametrize("unit", [b"<job", b"<?xml <job ", b"PK\x03\x04", b"<svg", b"<?xml <a"])
def test_repeated_beginnings_cost_no_more_than_their_length(unit: bytes) -> None:
    assert recognise((unit * HEAD_BYTES)[:HEAD_BYTES]) is not None
