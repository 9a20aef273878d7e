"""What bytes are, by themselves: never by a header, a name or what somebody says of them.

The tables of this package are our own, since a rule may let an object pass unscanned by its format:
each answer must be explained by one row, be the same every time, and lean to the dangerous side.

Only the head is seen. What stands behind it (an archive appended to a picture, the true list of a
zip) is out of sight: a rule on a format takes a file's word for what its first bytes show.
"""

from __future__ import annotations

import re

from bridge.core.formats.containers import ZIP, container, zip_format
from bridge.core.formats.names import FORMATS, Format, Group
from bridge.core.formats.signatures import ACTIVE, PASSIVE, first_signature
from bridge.core.formats.text import text_format

__all__ = ["FORMATS", "HEAD_BYTES", "Format", "Group", "format_group", "recognise"]

HEAD_BYTES = 64 << 10  # the first volume descriptor of a disk image stands at 32 KiB

_PASSIVE_GROUPS = (Group.IMAGE, Group.AUDIO, Group.VIDEO, Group.FONT)
_PDF_REACH = 1024  # readers look for %PDF- so far in (ISO 32000-1, annex H.3)

# Archivers open these wherever they begin, so what carries one inside counts as that.
_CARRIED = (
    ("rar", b"Rar!\x1a\x07"),
    ("7z", b"7z\xbc\xaf\x27\x1c"),
    ("cab", b"MSCF\0\0\0\0"),
)
_CARRIED_SCRIPT = (
    ("php", re.compile(rb"<\?php", re.IGNORECASE)),
    ("hta", re.compile(rb"<hta:application", re.IGNORECASE)),
    ("html", re.compile(rb"<(?:script|html|iframe)[\s>]", re.IGNORECASE)),
)


def recognise(head: bytes) -> Format:
    """The format of what begins with `head` (give it `HEAD_BYTES` of them, where there are).

    A picture, film, sound or font that carries an archive, a document or a script in sight counts
    as that, and so does what is not known. What is not sure is `unknown`. Raises nothing.
    """
    name = _name(head)
    group = FORMATS[name]
    if group in _PASSIVE_GROUPS:
        name = _carried(head) or _carried_script(head) or name
    elif group is Group.UNKNOWN:
        name = _carried(head) or name
    return Format(name, FORMATS[name])


def format_group(head: bytes) -> Group:
    """The group of the format of what begins with `head`; see `recognise`."""
    return recognise(head).group


def _name(head: bytes) -> str:
    return (
        first_signature(ACTIVE, head)
        or container(head)
        or first_signature(PASSIVE, head)
        or text_format(head)
        or "unknown"
    )


def _carried(head: bytes) -> str | None:
    at = head.find(ZIP)
    if at >= 0:
        return zip_format(head[at:])
    if b"%PDF-" in head[:_PDF_REACH]:
        return "pdf"
    return next((name for name, magic in _CARRIED if magic in head), None)


def _carried_script(head: bytes) -> str | None:
    return next((name for name, mask in _CARRIED_SCRIPT if mask.search(head)), None)
