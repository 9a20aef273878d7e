"""Text: what its beginning says it is. What it does not say is `text`, whose group is unknown."""

from __future__ import annotations

import codecs
import json
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")

_HTML = re.compile(
    r"(?:<!doctype html|<(?:html|head|body|script|iframe|h1|div|font|table|a|style|title|b|br|p"
    r"|meta|link|form|img|object|embed|frameset|center|base|input|button))[\s>/]",
    re.IGNORECASE,
)
_BEGINNINGS = (
    ("shebang", re.compile(r"#!")),
    ("batch", re.compile(r"@echo\b", re.IGNORECASE)),
    ("vbe", re.compile(r"#@~\^")),
    ("php", re.compile(r"<\?(?:php\b|=)", re.IGNORECASE)),
    ("reg", re.compile(r"(?:Windows Registry Editor Version|REGEDIT4)", re.IGNORECASE)),
    ("url", re.compile(r"\[InternetShortcut\]", re.IGNORECASE)),
    ("desktop", re.compile(r"\[Desktop Entry\]")),
    ("mhtml", re.compile(r"MIME-Version:", re.IGNORECASE)),
    ("svg", re.compile(r"<(?:!doctype )?svg\b", re.IGNORECASE)),
)
# Inside of what begins as XML or HTML.
_INSIDE = (
    ("hta", re.compile(r"<hta:application", re.IGNORECASE)),
    ("wordml", re.compile(r"<\?mso-application", re.IGNORECASE)),
)
_SCRIPT_FILE = re.compile(r"<(?:package|job|component|scriptlet)\b", re.IGNORECASE)
_SCRIPT = re.compile(r"<script\b", re.IGNORECASE)
_IN_XML = (
    ("html", re.compile(r"<html\b", re.IGNORECASE)),
    ("svg", re.compile(r"<(?:\w+:)?svg\b", re.IGNORECASE)),
)


def text_format(head: bytes) -> str | None:
    """The format of a text by its beginning; None for what is no text."""
    text = _decoded(head)
    if text is None:
        return None
    start = text.lstrip()
    name = next((name for name, mask in _BEGINNINGS if mask.match(start)), None)
    return name or _markup(start) or ("json" if _is_json(start) else "text")


def _decoded(head: bytes) -> str | None:
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return head[len(bom) :].decode(encoding, "replace")
    if not head or _NOT_TEXT.search(head):
        return None
    return head.decode("utf-8", "replace")


def _markup(start: str) -> str | None:
    xml = start[:5].lower() == "<?xml"
    if not start.startswith("<"):
        return None
    page = _HTML.match(start)
    holder = None if page else _SCRIPT_FILE.search(start)
    if holder and _SCRIPT.search(start, holder.end()):
        return "wsf"
    kinds = (*_INSIDE, *_IN_XML) if xml else _INSIDE
    inner = next((name for name, mask in kinds if mask.search(start)), None)
    return inner or ("xml" if xml else "html" if page or start.startswith("<!--") else None)


def _is_json(start: str) -> bool:
    """Whether it is JSON to its end; what is cut off, or is a script's literal, is not sure."""
    ends = start.rstrip()[-1:]
    if (start[:1], ends) not in (("{", "}"), ("[", "]")):
        return False
    try:
        json.loads(start)
    except (ValueError, RecursionError):
        return False
    return True
